// Whole inferences with both parties in one process: the encrypted network is the plaintext network, bit for
// bit.
#include "protocols/session/session.h"

#include <catch2/catch.hpp>
#include <set>

#include "base/error.h"
#include "models/evaluation/plaintext_evaluator.h"
#include "paillier/operation_costs.h"
#include "protocols/ciphertext/sign/sign_protocol.h"
#include "protocols/wire/message.h"
#include "tests/protocols/parties.h"
#include "tests/support/random_network.h"

namespace popcorn::protocols {
namespace {

using models::IntegerNetwork;
using models::Node;
using models::NodeKind;
using test::party;
using test::Party;

void check_equals_plaintext(const std::shared_ptr<const ServedModel>& model, const Party& keys,
                            const WideVector& input, Rng& rng, const std::string& sign_test) {
  SessionOptions options;
  options.sign_test = sign_test;
  const test::Transcript transcript = test::run_inference(model, keys, input, rng, options);
  const std::vector<WideVector> expected = models::evaluate_all(model->network(), input);
  REQUIRE(transcript.tensors.size() == expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i) {
    CAPTURE(model->network().nodes[i].name);
    CHECK(transcript.tensors[i] == expected[i]);
  }
  CHECK(transcript.logits == expected.back());
}

TEST_CASE("random networks with every node kind, random keys: all tensors equal the plaintext evaluation") {
  test::SeededRng rng(31);
  std::set<NodeKind> kinds;
  for (int round = 0; round < 36; ++round) {
    IntegerNetwork network = test::random_network(rng);
    const WideVector input = test::random_input(rng, network);
    const unsigned key_bits = std::max(test::fitting_key_bits(network), 256U + 128U * (round % 3));
    for (const Node& node : network.nodes) kinds.insert(node.kind);
    const std::string sign_test = round % 2 == 0 ? "oblivious" : "blinded";
    CAPTURE(round, key_bits, sign_test);
    // Small chunks too, so that layers and levels are cut into several steps.
    const std::uint64_t chunk = round % 3 == 0 ? 3 : kDefaultChunk;
    check_equals_plaintext(ServedModel::create(std::move(network), chunk), party(key_bits, round % 4 / 2),
                           input, rng, sign_test);
  }
  CHECK(kinds.size() == 11);  // none was left out
}

Node node_of(NodeKind kind, const std::string& name, std::vector<std::size_t> inputs) {
  Node node;
  node.kind = kind;
  node.name = name;
  node.inputs = std::move(inputs);
  return node;
}

Node weighted(Node node, std::int64_t outputs, std::size_t weights, test::SeededRng& rng) {
  for (std::size_t i = 0; i < weights; ++i) {
    node.weights.push_back(rng.below(3) == 0 ? static_cast<std::int32_t>(rng.between(-7, 7)) : 0);
  }
  node.bias = WideVector(static_cast<std::size_t>(outputs), 1);
  for (std::size_t i = 0; i < node.bias.size(); ++i) node.bias.set_int64(i, rng.between(-500, 500));
  return node;
}

/// Convolution, max-pool, ReLU twice, then two dense layers: the shape of a digit classifier, with random
/// weights.
IntegerNetwork digit_network(test::SeededRng& rng, std::int64_t size) {
  IntegerNetwork network;
  network.name = "digits";
  network.encoding.low = 0;
  network.encoding.high = 255;
  Node input = node_of(NodeKind::input, "image", {});
  input.shape = {1, size, size};
  network.nodes.push_back(input);
  std::size_t last = 0;
  std::int64_t channels = 1;
  const auto add = [&](Node node) {
    network.nodes.push_back(std::move(node));
    last = network.nodes.size() - 1;
  };
  for (const char* level : {"1", "2"}) {
    Node conv = node_of(NodeKind::conv2d, std::string("conv") + level, {last});
    conv.window.kernel_height = conv.window.kernel_width = 3;
    add(weighted(conv, 4, static_cast<std::size_t>(4 * channels * 9), rng));
    channels = 4;
    Node pool = node_of(NodeKind::max_pool2d, std::string("pool") + level, {last});
    pool.window.kernel_height = pool.window.kernel_width = 2;
    pool.window.stride_height = pool.window.stride_width = 2;
    add(pool);
    add(node_of(NodeKind::relu, std::string("relu") + level, {last}));
  }
  add(node_of(NodeKind::flatten, "flatten", {last}));
  const std::int64_t side = ((size - 2) / 2 - 2) / 2;
  add(weighted(node_of(NodeKind::dense, "dense1", {last}), 20, static_cast<std::size_t>(20 * 4 * side * side),
               rng));
  add(node_of(NodeKind::relu, "relu3", {last}));
  add(weighted(node_of(NodeKind::dense, "dense2", {last}), 10, 200, rng));
  add(node_of(NodeKind::output, "output", {last}));
  network.finish();
  return network;
}

TEST_CASE("a digit classifier with a key of standard size") {
  test::SeededRng rng(32);
  IntegerNetwork network = digit_network(rng, 10);
  const WideVector input = test::random_input(rng, network);
  const auto model = ServedModel::create(std::move(network));
  for (const char* sign_test : {"oblivious", "blinded"}) {
    check_equals_plaintext(model, party(2048), input, system_rng(), sign_test);
  }
}

TEST_CASE("rounds, names and sizes are announced as they happen") {
  test::SeededRng rng(33);
  const auto model = ServedModel::create(digit_network(rng, 14));
  const WideVector input = test::random_input(rng, model->network());
  const Party& keys = party(384);
  ServerSession server(model, keys.context);
  ClientSession client(model->bundle(), keys.owner, input);
  std::vector<std::string> names;
  for (const Step& step : model->bundle().steps) {
    names.insert(names.end(), sign_test_named(kDefaultSignTest).exchanges(step.bits), step.name);
  }
  REQUIRE(server.rounds() == names.size() + 1);
  CHECK(client.rounds() == server.rounds());
  CHECK(client.step_name() == "input");
  CHECK_THROWS_AS(client.logits(), Error);
  ByteView message = client.start();
  CHECK(client.start().data() == message.data());
  for (std::uint64_t round = 0;; ++round) {
    CHECK(server.next_round() == round);
    CHECK(client.round() == round);
    CHECK_FALSE(server.finished());
    CHECK(message.size() == server.max_message_bytes(round));
    const std::size_t expected_reply = client.max_message_bytes();
    const Bytes reply = server.handle(message);
    CHECK(reply.size() == expected_reply);
    const std::optional<ByteView> next = client.handle(reply);
    if (!next) break;
    CHECK(client.step_name() == names.at(round));
    message = *next;
  }
  CHECK(server.finished());
  CHECK(client.finished());
  CHECK(server.next_round() == server.rounds());
  CHECK(client.logits() == models::evaluate(model->network(), input));
}

TEST_CASE("a finished session holds its output and nothing else") {
  test::SeededRng rng(34);
  const auto model = ServedModel::create(digit_network(rng, 14));
  const test::Transcript transcript =
      test::run_inference(model, party(384), test::random_input(rng, model->network()), rng);
  const std::size_t output = paillier::batch_bytes(10, 384);
  CHECK(transcript.final_memory == output);
  CHECK(transcript.peak_memory > 10 * output);
}

TEST_CASE("every ciphertext that leaves the server is new, whatever came in") {
  SessionOptions options;
  options.sign_test = GENERATE("blinded", "oblivious");
  CAPTURE(options.sign_test);
  test::SeededRng rng(35);
  const auto model = ServedModel::create(digit_network(rng, 10));
  const WideVector input = test::random_input(rng, model->network());
  const Party& keys = party(384);
  ClientSession client(model->bundle(), keys.owner, input, options);
  const Bytes first = client.start();
  const auto ciphertexts_of = [&](const Bytes& message) {
    const Message parsed = parse_message(message);
    const std::size_t width = keys.ciphertext_bytes();
    std::vector<std::string> ciphertexts;
    for (const ByteView section : {parsed.ciphertexts, parsed.sign_test}) {
      // An oblivious test's section begins with a nonce.
      for (std::size_t i = section.size() % width; i < section.size(); i += width) {
        ciphertexts.push_back(to_hex(section.subspan(i, width)));
      }
    }
    return ciphertexts;
  };
  std::set<std::string> seen;
  std::size_t count = 0;
  for (int run = 0; run < 5; ++run) {
    ServerSession server(model, keys.context, options);
    for (std::string& ciphertext : ciphertexts_of(server.handle(first))) {
      seen.insert(std::move(ciphertext));
      ++count;
    }
  }
  CHECK(count >= 10);
  CHECK(seen.size() == count);
}

TEST_CASE("a network without a non-linear layer takes one round; its logits are re-randomised") {
  test::SeededRng rng(36);
  test::RandomNetworkOptions options;
  options.kinds = {NodeKind::conv2d, NodeKind::add, NodeKind::flatten};
  const auto model = ServedModel::create(test::random_network(rng, options));
  const WideVector input = test::random_input(rng, model->network());
  const Party& keys = party(512);
  ClientSession client(model->bundle(), keys.owner, input);
  ServerSession server(model, keys.context);
  ServerSession other(model, keys.context);
  CHECK(server.rounds() == 1);
  const Bytes message = client.start();
  const Bytes logits = server.handle(message);
  // The same computation on the same ciphertexts: only the randomness of the answer can differ.
  const Bytes again = other.handle(message);
  CHECK(to_hex(ByteView(logits).first(kMessagePrefixBytes)) ==
        to_hex(ByteView(again).first(kMessagePrefixBytes)));
  CHECK(logits != again);
  CHECK_FALSE(client.handle(logits).has_value());
  CHECK(client.logits() == models::evaluate(model->network(), input));
}

TEST_CASE("options that the model does not offer are refused") {
  test::SeededRng rng(37);
  const auto model = ServedModel::create(digit_network(rng, 10));
  const Party& keys = party(384);
  const WideVector input = test::random_input(rng, model->network());
  CHECK_THROWS_AS(ServerSession(model, keys.context, {"telepathic", "logits"}), RefusedError);
  CHECK_THROWS_AS(ServerSession(model, keys.context, {"blinded", "weights"}), RefusedError);
  CHECK_THROWS_AS(ClientSession(model->bundle(), keys.owner, input, {"telepathic", "logits"}), RefusedError);
  CHECK_THROWS_AS(ClientSession(model->bundle(), keys.owner, WideVector(3, 1)), InputError);
  WideVector outside = input;
  outside.set_int64(5, 256);
  CHECK_THROWS_AS(ClientSession(model->bundle(), keys.owner, outside), InputError);
}

}  // namespace
}  // namespace popcorn::protocols
