// Whole preparations: against the plaintext evaluator, in any order, with hostile bytes.
#include "protocols/shares/layer/preparation.h"

#include <catch2/catch.hpp>

#include "base/error.h"
#include "models/evaluation/plaintext_evaluator.h"
#include "protocols/ot/steps/share_transfers.h"
#include "tests/paillier/expect_error.h"
#include "tests/protocols/parties.h"
#include "tests/protocols/shares/packed_cases.h"
#include "tests/support/random_network.h"

namespace popcorn::protocols::shares {
namespace {

using test::SeededRng;

constexpr unsigned kKeyBits = 768;

models::IntegerNetwork network_with_rings(SeededRng& rng) {
  test::RandomNetworkOptions options = test::requantised_options();
  options.nodes = 8;
  return test::random_network(rng, options);
}

/// Rings of at most 24 bits.
PreparationPlan narrow_plan(const models::IntegerNetwork& network) {
  std::vector<unsigned> rings;
  for (const models::Node& node : network.nodes) rings.push_back(std::min(node_ring(node), 24U));
  return preparation_plan(network, rings);
}

/// Both halves for one network and key.
struct Preparation {
  Preparation(const models::IntegerNetwork& network, SeededRng& rng)
      : network_side(std::make_shared<PackedNetwork>(network, narrow_plan(network), kKeyBits)),
        client(test::party(kKeyBits).owner, network_side->plan(), rng),
        server(network_side, test::party(kKeyBits).context, rng) {}

  Bytes request() {
    Bytes bytes;
    client.append_request(bytes);
    return bytes;
  }
  Bytes respond(std::size_t layer, ByteView request) {
    Bytes bytes;
    server.respond(layer, request, bytes);
    return bytes;
  }

  std::shared_ptr<const PackedNetwork> network_side;
  ClientPreparation client;
  ServerPreparation server;
};

/// W·c of a node by the plaintext evaluator, without the bias, modulo 2^ring.
ot::Words plaintext_result(const models::IntegerNetwork& network, const PreparationPlan::Layer& layer,
                           const ot::Words& shares) {
  models::IntegerNetwork unbiased = network;
  models::Node& node = unbiased.nodes[layer.node];
  node.bias = WideVector(node.bias.size(), node.bias.limbs());
  std::vector<std::int64_t> values;
  for (const std::uint32_t share : shares) values.push_back(share & ot::low_bits(layer.facts.ring));
  const WideVector input = WideVector::from_int64(values);
  const WideVector sums = models::evaluate_node(unbiased, layer.node, {&input});
  ot::Words result;
  for (std::size_t i = 0; i < sums.size(); ++i) {
    result.push_back(static_cast<std::uint32_t>(sums[i][0]) & ot::low_bits(layer.facts.ring));
  }
  return result;
}

TEST_CASE("preparations of random networks agree with the plaintext evaluator, at the predicted cost",
          "[shares]") {
  SeededRng rng(41);
  std::size_t layers = 0;
  for (int round = 0; round < 12; ++round) {
    const models::IntegerNetwork network = network_with_rings(rng);
    Preparation both(network, rng);
    const PreparationPlan& plan = both.network_side->plan();
    PackedCost counted;
    for (std::size_t layer = 0; layer < both.client.layers(); ++layer) {
      const Bytes request = both.request();
      const Bytes response = both.respond(layer, request);
      CHECK(request.size() == both.server.request_bytes(layer));
      CHECK(response.size() == both.client.response_bytes(layer));
      counted.bytes_up += request.size();
      counted.bytes_down += response.size();
      both.client.take_response(response);
    }
    REQUIRE(both.client.complete());
    REQUIRE(both.server.complete());
    for (std::size_t layer = 0; layer < both.client.layers(); ++layer, ++layers) {
      const PreparationPlan::Layer& of = plan.layers[layer];
      CAPTURE(of.facts.name, of.facts.ring, of.facts.slot_bits);
      CHECK(test::opened(both.client.take_result(layer), both.server.take_result(layer), of.facts.ring) ==
            plaintext_result(network, of, both.client.shares(of.source)));
    }
    const PackedCost cost = both.network_side->cost(paillier::KeyKind::ordinary);
    CHECK(cost.bytes_up == counted.bytes_up);
    CHECK(cost.bytes_down == counted.bytes_down);
    CHECK(cost.multiplications == both.server.counts().multiplications);
  }
  CHECK(layers > 20);
}

TEST_CASE("layers that read one tensor share its chosen share", "[shares]") {
  models::IntegerNetwork network;
  network.name = "shared";
  network.encoding.shape = {16, 1, 1};
  const auto add = [&](models::NodeKind kind, std::string name,
                       std::vector<std::size_t> inputs) -> models::Node& {
    models::Node& node = network.nodes.emplace_back();
    node.kind = kind;
    node.name = std::move(name);
    node.inputs = std::move(inputs);
    return node;
  };
  add(models::NodeKind::input, "input", {}).shape = {16, 1, 1};
  models::Node& conv = add(models::NodeKind::conv2d, "conv", {0});
  conv.shape.channels = 1;
  conv.weights.assign(16, 3);
  conv.ring_bits = 14;
  models::Node& dense = add(models::NodeKind::dense, "dense", {0});
  dense.shape.channels = 1;
  dense.weights.assign(16, -1);
  dense.ring_bits = 18;
  add(models::NodeKind::add, "sum", {1, 2});
  add(models::NodeKind::output, "output", {3});
  network.finish();
  const PreparationPlan plan = preparation_plan(network);
  REQUIRE(plan.layers.size() == 2);
  REQUIRE(plan.sources.size() == 1);
  CHECK(plan.sources[0].node == 0);
  CHECK(plan.sources[0].ring == 18);
  CHECK(plan.layers[1].source == 0);
}

TEST_CASE("a request may come again, another one may not", "[shares]") {
  SeededRng rng(43);
  const models::IntegerNetwork network = network_with_rings(rng);
  Preparation both(network, rng);
  const Bytes request = both.request();
  const Bytes first = both.respond(0, request);
  const Bytes second = both.respond(0, request);  // under a fresh mask
  CHECK(first != second);
  CHECK(both.server.digest(0) == sha256(request));
  Bytes other;
  ClientPreparation(test::party(kKeyBits).owner, both.network_side->plan(), rng).append_request(other);
  test::expect_error<RefusedError>("preparation.other_body", [&] { both.respond(0, other); });
  both.client.take_response(second);
  const PreparationPlan::Layer& layer = both.network_side->plan().layers[0];
  // The server keeps the mask of the second answer, not of the first.
  CHECK(test::opened(both.client.take_result(0), both.server.take_result(0), layer.facts.ring) ==
        plaintext_result(network, layer, both.client.shares(layer.source)));
  test::expect_error<RefusedError>("preparation.other_body", [&] { both.respond(0, request); });
  test::expect_error<Error>("preparation.order", [&] { both.server.take_result(0); });
  test::expect_error<Error>("preparation.order", [&] { both.client.take_result(0); });
}

TEST_CASE("hostile requests and responses are refused by name and change nothing", "[shares]") {
  SeededRng rng(44);
  Preparation both(network_with_rings(rng), rng);
  const std::string name = both.network_side->plan().layers[0].facts.name;
  const std::size_t width = test::party(kKeyBits).ciphertext_bytes();
  const Bytes request = both.request();
  const auto refused = [&](const std::string& code, const Bytes& bytes, bool by_server) {
    const std::string what = test::expect_error(code, [&] {
      if (by_server) {
        Bytes response{1, 2, 3};
        try {
          both.server.respond(0, bytes, response);
        } catch (...) {
          CHECK(response == Bytes{1, 2, 3});
          throw;
        }
      } else {
        both.client.take_response(bytes);
      }
    });
    CHECK(what.find(name) != std::string::npos);
  };
  const auto check = [&](const Bytes& good, bool by_server) {
    refused("ciphertext.length", {}, by_server);
    refused("ciphertext.length", Bytes(good.begin(), good.end() - 1), by_server);
    Bytes longer = good;
    longer.resize(good.size() + width);
    refused("ciphertext.length", longer, by_server);
    Bytes zero = good;
    std::fill_n(zero.end() - static_cast<std::ptrdiff_t>(width), width, std::uint8_t{0});
    refused("ciphertext.invalid", zero, by_server);
    Bytes large = good;
    std::fill_n(large.begin(), width, std::uint8_t{0xff});
    refused("ciphertext.invalid", large, by_server);
    Bytes multiple = good;  // N itself
    const ByteView n = test::party(kKeyBits).owner->public_key().modulus();
    std::fill_n(multiple.begin(), width, std::uint8_t{0});
    std::ranges::copy(n, multiple.begin() + static_cast<std::ptrdiff_t>(width - n.size()));
    refused("ciphertext.invalid", multiple, by_server);
  };
  check(request, true);
  CHECK_FALSE(both.server.digest(0).has_value());
  test::expect_error("preparation.layer", [&] { both.respond(both.server.layers(), request); });
  const Bytes response = both.respond(0, request);
  check(response, false);
  CHECK(both.client.responses_taken() == 0);
  both.client.take_response(response);
  test::expect_error<Error>("preparation.order", [&] { both.client.take_response(response); });
}

TEST_CASE("plans that make no sense are refused", "[shares]") {
  SeededRng rng(46);
  const PreparationPlan good = narrow_plan(network_with_rings(rng));
  const auto refused = [&](const auto& change) {
    PreparationPlan plan = good;
    change(plan);
    test::expect_error("layer.invalid",
                       [&] { const ClientPreparation client(test::party(kKeyBits).owner, plan, rng); });
  };
  refused([](PreparationPlan& plan) { plan.layers[0].source = plan.sources.size(); });
  refused([](PreparationPlan& plan) { plan.sources[0].values += 1; });
  refused([](PreparationPlan& plan) { plan.sources[0].ring = 3; });
  refused([](PreparationPlan& plan) { plan.sources[0].ring = 33; });
  refused([](PreparationPlan& plan) { plan.layers.back().facts.window.stride_height = 0; });
}

TEST_CASE("a network packed for one key size refuses keys of another", "[shares]") {
  SeededRng rng(45);
  const models::IntegerNetwork network = network_with_rings(rng);
  const auto packed = std::make_shared<PackedNetwork>(network, narrow_plan(network), kKeyBits);
  test::expect_error<Error>("preparation.key",
                            [&] { const ServerPreparation server(packed, test::party(512).context, rng); });
}

}  // namespace
}  // namespace popcorn::protocols::shares
