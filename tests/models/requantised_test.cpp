// Requantised networks: rounding, rings, counts, files.
#include <catch2/catch.hpp>
#include <cmath>

#include "base/error.h"
#include "models/evaluation/plaintext_evaluator.h"
#include "models/file/popcorn_file.h"
#include "tests/models/golden_network.h"
#include "tests/models/reference_evaluator.h"
#include "tests/support/random_network.h"

using namespace popcorn;
using namespace popcorn::models;

namespace {

/// input → dense 1×1 with weight 1 (in a ring, if given) → rescale → output.
IntegerNetwork one_rescale(std::int64_t shift, bool rectify, unsigned ring_bits) {
  IntegerNetwork network;
  network.name = "one";
  network.encoding.low = -20'000;
  network.encoding.high = 20'000;
  const auto append = [&](NodeKind kind, const char* name, std::vector<std::size_t> inputs) -> Node& {
    Node node;
    node.kind = kind;
    node.name = name;
    node.inputs = std::move(inputs);
    return network.nodes.emplace_back(std::move(node));
  };
  append(NodeKind::input, "input", {}).shape = {1, 1, 1};
  Node& dense = append(NodeKind::dense, "dense", {0});
  dense.shape = {1, 1, 1};
  dense.weights = {1};
  dense.ring_bits = ring_bits;
  Node& rescale = append(NodeKind::rescale, "rescale", {1});
  rescale.shifts = {shift};
  rescale.rectify = rectify;
  append(NodeKind::output, "output", {2});
  network.finish();
  return network;
}

std::int64_t output_of(const IntegerNetwork& network, std::int64_t x, const EvaluationOptions& options = {}) {
  return evaluate(network, WideVector::from_int64(std::vector<std::int64_t>{x}), options).to_int64(0);
}

std::vector<std::int16_t> as_int16(const WideVector& input) {
  std::vector<std::int16_t> values;
  for (std::size_t i = 0; i < input.size(); ++i)
    values.push_back(static_cast<std::int16_t>(input.to_int64(i)));
  return values;
}

std::int64_t largest_magnitude(const WideVector& values) {
  std::int64_t largest = 0;
  for (std::size_t i = 0; i < values.size(); ++i) largest = std::max(largest, std::abs(values.to_int64(i)));
  return largest;
}

bool within(const Bounds& bounds, const WideVector& values) {
  const std::size_t plane = values.size() / bounds.low.size();
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (WideVector::compare(values, i, bounds.low, i / plane) < 0) return false;
    if (WideVector::compare(values, i, bounds.high, i / plane) > 0) return false;
  }
  return true;
}

}  // namespace

TEST_CASE("a rescale rounds to nearest, ties up", "[models]") {
  const IntegerNetwork plain = one_rescale(2, false, 0);
  CHECK(output_of(plain, 5) == 1);
  CHECK(output_of(plain, 6) == 2);
  CHECK(output_of(plain, -5) == -1);
  CHECK(output_of(plain, -6) == -1);
  CHECK(output_of(plain, -7) == -2);
  CHECK(output_of(one_rescale(2, true, 0), -7) == 0);
  CHECK(output_of(one_rescale(0, false, 0), -7) == -7);
}

TEST_CASE("values wrap in a ring and are counted", "[models]") {
  const IntegerNetwork network = one_rescale(0, false, 8);
  CHECK(output_of(network, 127) == 127);
  CHECK(output_of(network, 128) == -128);
  CHECK(output_of(network, 300) == 44);
  RangeCounts counts(network);
  const FastEvaluator fast(network);
  for (const std::int64_t x : {127, 128, -128, -129, 300}) {
    output_of(network, x, {Rounding(), 0, &counts});
    fast.run({static_cast<std::int16_t>(x)}, 1, {Rounding(), 0, &counts});
  }
  CHECK(counts.values(1) == 10);
  CHECK(counts.beyond(1) == 6);
}

TEST_CASE("operands of steps are counted by the steps' own bounds", "[models]") {
  const auto beyond = [](bool rectify, Rounding rounding, std::int64_t x) {
    const IntegerNetwork network = one_rescale(4, rectify, 10);
    RangeCounts counts(network);
    output_of(network, x, {rounding, 0, &counts});
    return counts.beyond(2);
  };
  CHECK(beyond(true, Rounding(), 512 - 8 - 1) == 0);
  CHECK(beyond(true, Rounding(), 512 - 8) == 1);
  CHECK(beyond(true, Rounding::stochastic(1), 512 - 16 - 1) == 0);
  CHECK(beyond(true, Rounding::stochastic(1), 512 - 16) == 1);
  CHECK(beyond(false, Rounding(), 256 - 8 - 1) == 0);
  CHECK(beyond(false, Rounding(), 256 - 8) == 1);
  CHECK(beyond(false, Rounding(), -256 - 8) == 0);
  CHECK(beyond(false, Rounding(), -256 - 9) == 1);
}

TEST_CASE("a max-pool in one step with the rescale behind it leaves room for the rounding", "[models]") {
  const auto beyond = [](bool joined, Rounding rounding, std::int64_t x, unsigned kept = 0) {
    IntegerNetwork network = one_rescale(4, true, 10);
    network.nodes[2].ring_bits = kept;
    Node pool;
    pool.kind = NodeKind::max_pool2d;
    pool.name = "pool";
    pool.inputs = {1};
    network.nodes.insert(network.nodes.begin() + 2, pool);
    network.nodes[3].inputs = {joined ? 2U : 1U};
    network.nodes[3].shape = {};
    network.nodes.back().inputs = {3};
    if (!joined) {
      Node sum;
      sum.kind = NodeKind::add;
      sum.name = "sum";
      sum.inputs = {2, 3};
      sum.multipliers = {1, 1};
      network.nodes.insert(network.nodes.begin() + 4, sum);
      network.nodes.back().inputs = {4};
    }
    network.finish();
    RangeCounts slow(network), fast(network);
    output_of(network, x, {rounding, 0, &slow});
    FastEvaluator(network).run({static_cast<std::int16_t>(x)}, 1, {rounding, 0, &fast});
    CHECK(slow.beyond(2) == fast.beyond(2));
    return slow.beyond(2);
  };
  CHECK(beyond(true, Rounding(), 256 - 8 - 1) == 0);
  CHECK(beyond(true, Rounding(), 256 - 8) == 1);
  CHECK(beyond(true, Rounding::stochastic(1), 256 - 16 - 1) == 0);
  CHECK(beyond(true, Rounding::stochastic(1), 256 - 16) == 1);
  CHECK(beyond(true, Rounding(), -256) == 0);
  CHECK(beyond(true, Rounding(), -257) == 1);
  CHECK(beyond(false, Rounding(), 256 - 1) == 0);
  CHECK(beyond(false, Rounding(), 256) == 1);
  // A pool's differences need one digit more than the rescale's ring.
  CHECK(beyond(true, Rounding(), 128 - 8 - 1, 4) == 0);
  CHECK(beyond(true, Rounding(), 128 - 8, 4) == 1);
  CHECK(beyond(true, Rounding(), -128, 4) == 0);
  CHECK(beyond(true, Rounding(), -129, 4) == 1);
  CHECK(beyond(true, Rounding(), 256 - 8 - 1, 5) == 0);
  CHECK(beyond(true, Rounding(), 256 - 8, 5) == 1);
}

TEST_CASE("both evaluators equal the reference on requantised networks", "[models]") {
  test::SeededRng rng(71);
  int evaluated = 0;
  for (int round = 0; round < 200; ++round) {
    test::RandomNetworkOptions options = test::requantised_options();
    if (round % 4 == 0) options.max_weight = 100'000;  // sums beyond 32 bits in rings below
    const IntegerNetwork network = test::random_network(rng, options);
    const WideVector input = test::random_input(rng, network);
    const std::vector<std::vector<NTL::ZZ>> expected = test::reference_outputs(network, input);
    RangeCounts counts(network), fast_counts(network);
    const std::vector<WideVector> outputs = evaluate_all(network, input, {Rounding(), 0, &counts});
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      INFO("round " << round << ", node " << network.nodes[i].name);
      REQUIRE(test::to_zz(outputs[i]) == expected[i]);
      REQUIRE(within(network.nodes[i].bounds, outputs[i]));
    }
    const FastEvaluator fast(network);
    if (!fast.is_exact()) continue;
    ValueExtremes extremes(network);
    const std::vector<double> logits = fast.run(as_int16(input), 1, {Rounding(), 0, &fast_counts, &extremes});
    ++evaluated;
    for (std::size_t i = 0; i < logits.size(); ++i) {
      REQUIRE(logits[i] == static_cast<double>(outputs.back().to_int64(i)));
    }
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      REQUIRE(counts.values(i) == fast_counts.values(i));
      REQUIRE(counts.beyond(i) == fast_counts.beyond(i));
      const Node& node = network.nodes[i];
      if (node.ring_bits == 0 || counts.beyond(i) > 0) continue;
      const std::int64_t largest = largest_magnitude(outputs[i]);
      REQUIRE((node.rectify ? extremes.of(i).high == largest : extremes.largest_magnitude(i) == largest));
    }
  }
  REQUIRE(evaluated > 150);
}

TEST_CASE("stochastic rounding is the same in both evaluators and within the bounds", "[models]") {
  test::SeededRng rng(72);
  for (int round = 0; round < 40; ++round) {
    const IntegerNetwork network = test::random_network(rng, test::requantised_options());
    const FastEvaluator fast(network);
    const Rounding rounding = Rounding::stochastic(static_cast<std::uint64_t>(round));
    std::vector<std::int16_t> values;
    std::vector<WideVector> inputs;
    for (int k = 0; k < 11; ++k) {
      inputs.push_back(test::random_input(rng, network));
      const std::vector<std::int16_t> more = as_int16(inputs.back());
      values.insert(values.end(), more.begin(), more.end());
    }
    const std::vector<double> logits = fast.run(values, inputs.size(), {rounding, 100, nullptr});
    for (std::size_t k = 0; k < inputs.size(); ++k) {
      const std::vector<WideVector> outputs = evaluate_all(network, inputs[k], {rounding, 100 + k, nullptr});
      for (std::size_t i = 0; i < outputs.size(); ++i) REQUIRE(within(network.nodes[i].bounds, outputs[i]));
      const std::size_t size = outputs.back().size();
      for (std::size_t i = 0; i < size; ++i) {
        REQUIRE(logits[k * size + i] == static_cast<double>(outputs.back().to_int64(i)));
      }
    }
  }
}

TEST_CASE("stochastic rounding has no mean error in any layer", "[models]") {
  test::SeededRng rng(73);
  std::size_t rescales = 0, plain = 0, rectified = 0, in_rings = 0;
  for (int round = 0; round < 40; ++round) {
    const IntegerNetwork network = test::random_network(rng, test::requantised_options());
    const WideVector input = test::random_input(rng, network);
    constexpr std::uint64_t kImages = 200;
    std::vector<double> sum(network.nodes.size()), variance(network.nodes.size());
    for (std::uint64_t image = 0; image < kImages; ++image) {
      const auto outputs = evaluate_all(network, input, {Rounding::stochastic(5), image, nullptr});
      for (std::size_t n = 0; n < network.nodes.size(); ++n) {
        const Node& node = network.nodes[n];
        if (node.kind != NodeKind::rescale) continue;
        const WideVector& x = outputs[node.inputs.front()];
        const auto plane = static_cast<std::size_t>(node.shape.height * node.shape.width);
        const double end = node.ring_bits == 0 ? HUGE_VAL : std::ldexp(1.0, int(node.ring_bits) - 1);
        for (std::size_t i = 0; i < x.size(); ++i) {
          const double unit = std::ldexp(1.0, static_cast<int>(node.shift(i / plane)));
          const double exact = x.to_double(i) / unit, up = exact - std::floor(exact);
          // What the ReLU or the ring changes is no rounding error.
          if (std::floor(exact) < (node.rectify ? 0 : -end) || std::floor(exact) + 1 >= end) continue;
          (node.rectify ? rectified : node.ring_bits != 0 ? in_rings : plain) += up > 0 ? 1 : 0;
          sum[n] += outputs[n].to_double(i) - exact;
          variance[n] += up * (1 - up);  // rounded up with probability `up`
        }
      }
    }
    for (std::size_t n = 0; n < network.nodes.size(); ++n) {
      if (variance[n] == 0) continue;
      ++rescales;
      INFO("round " << round << ", node " << network.nodes[n].name);
      REQUIRE(std::abs(sum[n]) <= 3 * std::sqrt(variance[n]));
    }
  }
  REQUIRE(rescales > 30);
  CHECK(plain > 1000);
  CHECK(rectified > 1000);
  CHECK(in_rings > 1000);
}

TEST_CASE("requantised networks survive their file, exact ones keep version 1", "[models]") {
  test::SeededRng rng(74);
  const auto version = [](const Bytes& file) {
    const std::string text(file.begin(), file.end());
    return text.substr(text.find("\"version\":\"") + 11, 1);
  };
  int requantised = 0;
  for (int round = 0; round < 40; ++round) {
    const IntegerNetwork network = test::random_network(rng, test::requantised_options());
    const Bytes file = serialise_network(network);
    const IntegerNetwork copy = parse_network(file);
    CHECK(serialise_network(copy) == file);
    CHECK(version(file) == (network.is_requantised() ? "2" : "1"));
    requantised += network.is_requantised() ? 1 : 0;
    for (std::size_t i = 0; i < network.nodes.size(); ++i) {
      CHECK(copy.nodes[i].shifts == network.nodes[i].shifts);
      CHECK(copy.nodes[i].rectify == network.nodes[i].rectify);
      CHECK(copy.nodes[i].ring_bits == network.nodes[i].ring_bits);
    }
  }
  CHECK(requantised > 30);
  CHECK(version(serialise_network(test::golden_network())) == "1");
}

TEST_CASE("a file of version 1 cannot round, one of version 2 must", "[models]") {
  const auto with_version = [](const IntegerNetwork& network, char from, char to) {
    Bytes file = serialise_network(network);
    const std::string text(file.begin(), file.end());
    const std::size_t place = text.find("\"version\":\"") + 11;
    REQUIRE(text[place] == from);
    file[place] = static_cast<std::uint8_t>(to);
    return file;
  };
  CHECK_THROWS_AS(parse_network(with_version(one_rescale(2, true, 12), '2', '1')), InputError);
  CHECK_THROWS_AS(parse_network(with_version(test::golden_network(), '1', '2')), InputError);
  CHECK_THROWS_AS(parse_network(with_version(test::golden_network(), '1', '3')), InputError);
}

TEST_CASE("impossible roundings and rings are refused", "[models]") {
  const auto refuses = [](const auto& change) {
    IntegerNetwork network = one_rescale(3, true, 12);
    change(network);
    CHECK_THROWS_AS(network.finish(), InputError);
  };
  refuses([](IntegerNetwork& network) { network.nodes[2].shifts = {}; });
  refuses([](IntegerNetwork& network) { network.nodes[2].shifts = {1, 2}; });
  refuses([](IntegerNetwork& network) { network.nodes[2].shifts = {-1}; });
  refuses([](IntegerNetwork& network) { network.nodes[2].shifts = {Limits::kShift + 1}; });
  refuses([](IntegerNetwork& network) { network.nodes[1].shifts = {1}; });
  refuses([](IntegerNetwork& network) { network.nodes[1].rectify = true; });
  refuses([](IntegerNetwork& network) { network.nodes[1].ring_bits = 1; });
  refuses([](IntegerNetwork& network) { network.nodes[1].ring_bits = Limits::kRingBits + 1; });
  refuses([](IntegerNetwork& network) { network.nodes[0].ring_bits = 8; });
  refuses([](IntegerNetwork& network) {
    network.nodes[1].ring_bits = 0;
    network.nodes[1].bias = WideVector(1, 2);
    network.nodes[1].bias.set_decimal(0, "1208925819614629174706176");
  });
}
