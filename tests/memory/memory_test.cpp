// A session's predicted peak memory is what it allocates at most, and not much more.
#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>

#include "models/file/popcorn_file.h"
#include "paillier/operation_costs.h"
#include "protocols/session/cost_prediction.h"
#include "protocols/session/message_intake.h"
#include "protocols/session/session.h"
#include "tests/memory/allocation_meter.h"
#include "tests/protocols/parties.h"
#include "tests/support/random_network.h"

namespace popcorn::protocols {
namespace {

/// Bytes that one party's calls leave allocated, and the most during them.
class PartyMeter {
 public:
  template <typename Call>
  auto measure(std::size_t messages, Call call) {
    const std::size_t before = test::allocated_bytes();
    test::start_peak();
    auto result = call();
    peak_ = std::max(peak_, held_ + (test::peak_bytes() - before) + messages);
    held_ += test::allocated_bytes() - before;
    return result;
  }
  /// Something made by the party that has left it.
  void forget(std::size_t bytes) { held_ -= bytes; }
  std::size_t peak() const { return peak_; }

 private:
  std::size_t held_ = 0;
  std::size_t peak_ = 0;
};

struct Peaks {
  std::size_t client = 0, server = 0;
};

constexpr std::size_t kPieceBytes = 65536;

/// As the service does it: pieces that the transport makes and that go when they were taken.
template <typename Take>
void take_in_pieces(ByteView message, const Take& take) {
  for (; !message.empty(); message = message.subspan(std::min(message.size(), kPieceBytes))) {
    const ByteView piece = message.first(std::min(message.size(), kPieceBytes));
    const Bytes received(piece.begin(), piece.end());
    take(received);
  }
}

/// @param streamed whether messages arrive in pieces: then what is held of them is counted as it is allocated
Peaks measure(const std::shared_ptr<const ServedModel>& model, const test::Party& party,
              const WideVector& input, const std::string& sign_test, bool streamed) {
  SessionOptions options;
  options.sign_test = sign_test;
  test::SeededRng rng(92);
  PartyMeter client_meter;
  PartyMeter server_meter;
  const auto server = server_meter.measure(
      0, [&] { return std::make_unique<ServerSession>(model, party.context, options, rng); });
  const auto client = client_meter.measure(
      0, [&] { return std::make_unique<ClientSession>(model->bundle(), party.owner, input, options, rng); });
  ByteView message = client_meter.measure(0, [&] { return ByteView(client->start()); });
  const auto handle = [&] {
    if (!streamed) return server->handle(message);
    MessageIntake intake(server->key(), message.size());
    take_in_pieces(message, [&](ByteView piece) { intake.take(piece); });
    return server->handle(intake);
  };
  for (;;) {
    const Bytes answer = server_meter.measure(streamed ? 0 : message.size(), handle);
    const auto next = client_meter.measure(streamed ? 0 : answer.size(), [&] {
      if (!streamed) return client->handle(answer);
      client->begin_answer();
      take_in_pieces(answer, [&](ByteView piece) { client->take_answer(piece); });
      return client->finish_answer();
    });
    server_meter.forget(answer.capacity());
    if (!next) break;
    message = *next;
  }
  return {client_meter.peak(), server_meter.peak()};
}

/// Half more, and a fixed allowance: what tasks on all cores may need, and objects of a fixed size.
void check_tight(const InferenceCost& cost, const Peaks& peaks, unsigned key_bits) {
  const std::uint64_t allowance = paillier::task_bytes(key_bits) + std::uint64_t{160} * 1024;
  CHECK(cost.peak_memory_client <= peaks.client * 3 / 2 + allowance);
  CHECK(cost.peak_memory_server <= peaks.server * 3 / 2 + allowance);
}

void check(const models::IntegerNetwork& network, unsigned key_bits, const std::string& sign_test,
           std::uint64_t chunk, bool tight) {
  const auto model = ServedModel::create(network, chunk);
  test::SeededRng rng(91);
  const WideVector input = test::random_input(rng, network);
  const InferenceCost cost = predict_cost(*model, key_bits, {.sign_test = sign_test});
  const test::Party& party = test::party(key_bits);
  for (const bool streamed : {true, false}) {
    const Peaks peaks = measure(model, party, input, sign_test, streamed);
    CAPTURE(network.name, key_bits, sign_test, streamed, peaks.client, cost.peak_memory_client, peaks.server,
            cost.peak_memory_server);
    CHECK(peaks.client <= cost.peak_memory_client);
    CHECK(peaks.server <= cost.peak_memory_server);
    if (tight && !streamed) check_tight(cost, peaks, key_bits);
  }
}

TEST_CASE("no session of a random network allocates more than predicted", "[memory]") {
  const std::string sign_test = GENERATE("blinded", "oblivious");
  test::SeededRng rng(93);
  for (int round = 0; round < 15; ++round) {
    const models::IntegerNetwork network = test::random_network(rng);
    check(network, test::fitting_key_bits(network), sign_test, round % 2 == 0 ? kDefaultChunk : 4, false);
  }
}

TEST_CASE("the prediction for the shipped models is no more than half too large", "[memory]") {
  const std::string sign_test = GENERATE("blinded", "oblivious");
  for (const char* const name : {"mnist-mlp", "mnist-conv1", "mnist-conv2"}) {
    check(models::read_network(std::filesystem::path("models") / (std::string(name) + ".popcorn")), 512,
          sign_test, kDefaultChunk, true);
  }
}

}  // namespace
}  // namespace popcorn::protocols
