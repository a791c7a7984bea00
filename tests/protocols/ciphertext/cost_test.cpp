// What is predicted before an inference is what happens in it.
#include <catch2/catch.hpp>

#include "base/error.h"
#include "protocols/session/cost_prediction.h"
#include "protocols/session/session.h"
#include "protocols/wire/message.h"
#include "tests/protocols/parties.h"
#include "tests/support/random_network.h"

namespace popcorn::protocols {
namespace {

TEST_CASE("multiplications, ciphertexts, bytes and rounds are predicted exactly") {
  const std::string sign_test = GENERATE("blinded", "oblivious");
  test::SeededRng rng(81);
  for (int round = 0; round < 12; ++round) {
    const models::IntegerNetwork network = test::random_network(rng);
    const unsigned key_bits = test::fitting_key_bits(network);
    const auto model = ServedModel::create(network, round % 2 == 0 ? kDefaultChunk : 4);
    const WideVector input = test::random_input(rng, network);
    const InferenceCost cost = predict_cost(*model, key_bits, {.sign_test = sign_test});
    SessionOptions options;
    options.sign_test = sign_test;
    const test::Transcript transcript =
        test::run_inference(model, test::party(key_bits), input, rng, options);
    CAPTURE(round, key_bits, sign_test);
    CHECK(transcript.counts.multiplications == cost.multiplications);
    CHECK(transcript.up.size() == cost.rounds);
    std::uint64_t bytes_up = 0, bytes_down = 0, ciphertexts_up = 0, ciphertexts_down = 0;
    for (const Bytes& message : transcript.up) {
      bytes_up += message.size();
      ciphertexts_up += parse_message(message).shape.ciphertexts;
    }
    const std::size_t width = test::party(key_bits).ciphertext_bytes();
    for (const Bytes& message : transcript.down) {
      const Message parsed = parse_message(message);
      bytes_down += message.size();
      ciphertexts_down += parsed.shape.ciphertexts + parsed.shape.sign_test_bytes / width;
    }
    CHECK(bytes_up == cost.bytes_up);
    CHECK(bytes_down == cost.bytes_down);
    if (sign_test == "blinded") {  // its section holds nothing but ciphertexts
      CHECK(ciphertexts_up == cost.ciphertexts_up);
      CHECK(ciphertexts_down == cost.ciphertexts_down);
    }

    InferenceCost sum;
    for (const InferenceCost::Layer& layer : cost.layers) {
      sum.multiplications += layer.multiplications;
      sum.bytes_up += layer.bytes_up;
      sum.bytes_down += layer.bytes_down;
    }
    CHECK(sum.multiplications == cost.multiplications);
    CHECK(sum.bytes_up == cost.bytes_up);
    CHECK(sum.bytes_down == cost.bytes_down);
    CHECK(cost.layers.size() == network.nodes.size());
    CHECK(cost.layers[1].name == network.nodes[1].name);
  }
}

TEST_CASE("a later inference under the same key costs what is predicted without a set-up") {
  test::SeededRng rng(82);
  models::IntegerNetwork network;
  do network = test::random_network(rng);
  while (plan_steps(network).empty());
  const unsigned key_bits = test::fitting_key_bits(network);
  const auto model = ServedModel::create(network);
  const test::Party& keys = test::party(key_bits);
  SessionOptions server_options;
  SessionOptions client_options;
  for (const bool later : {false, true}) {
    const InferenceCost cost = predict_cost(*model, key_bits, {}, later);
    ServerSession server(model, keys.context, server_options, rng);
    ClientSession client(model->bundle(), keys.owner, test::random_input(rng, network), client_options, rng);
    std::uint64_t bytes_up = 0;
    std::uint64_t bytes_down = 0;
    Bytes answer;
    for (std::optional<ByteView> message = client.start(); message;) {
      bytes_up += message->size();
      answer = server.handle(*message);
      bytes_down += answer.size();
      message = client.handle(answer);
      if (server.transfer_set_up()) server_options.transfer_set_up = server.transfer_set_up();
    }
    client_options.transfer_set_up = client.transfer_set_up();
    CAPTURE(later);
    CHECK(server.counts().multiplications == cost.multiplications);
    CHECK(bytes_up == cost.bytes_up);
    CHECK(bytes_down == cost.bytes_down);
  }
  REQUIRE(predict_cost(*model, key_bits, {}, true).bytes_up < predict_cost(*model, key_bits).bytes_up);
}

TEST_CASE("one exponentiation for each weight costs more than a planned weighted sum") {
  test::SeededRng rng(83);
  test::RandomNetworkOptions options;
  options.kinds = {models::NodeKind::conv2d};
  options.max_weight = 100;
  options.nonzero_percent = 90;
  options.max_channels = 8;
  const auto model = ServedModel::create(test::random_network(rng, options));
  const InferenceCost cost = predict_cost(*model, 2048);
  CHECK(cost.naive_multiplications > cost.multiplications);
}

TEST_CASE("a cost can only be asked for what can be served") {
  test::SeededRng rng(82);
  const auto model = ServedModel::create(test::random_network(rng));
  CHECK_THROWS_AS(predict_cost(*model, 2048, {.sign_test = "telepathic"}), RefusedError);
  CHECK_THROWS_AS(predict_cost(*model, 16), InputError);  // plaintexts narrower than a step
}

}  // namespace
}  // namespace popcorn::protocols
