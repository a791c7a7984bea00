// What is read back from a session store: a session's facts, the state of its machine, and the set-ups of
// transfers at either party. Refused with an InputError, or taken and then written as the same bytes.
//
// The first byte chooses the kind.
#include <algorithm>
#include <array>
#include <cstdint>

#include "base/error.h"
#include "protocols/session/session.h"
#include "service/store/session_record.h"
#include "tests/fuzz/small_world.h"
#include "tests/protocols/parties.h"

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t max_size);

namespace {

using namespace popcorn;
using namespace popcorn::protocols;
using popcorn::test::require;

constexpr unsigned kKeyBits = 256;
constexpr std::size_t kKinds = 4;

struct World {
  World()
      : rng(7),
        keys(test::party(kKeyBits)),
        model(ServedModel::create(test::random_network(rng, test::smallest_networks()))) {
    const WideVector input = test::random_input(rng, model->network());
    for (const char* const sign_test : {"blinded", "oblivious"}) walk(input, sign_test);
    add_record();
  }

  /// Adds the states of a whole inference.
  void walk(const WideVector& input, const std::string& sign_test) {
    SessionOptions chosen;
    chosen.sign_test = sign_test;
    ServerSession server(model, keys.context, chosen, rng);
    ClientSession client(model->bundle(), keys.owner, input, chosen, rng);
    for (std::optional<ByteView> message = client.start(); message;) {
      add(1, server.save());
      const Bytes reply = server.handle(*message);
      message = client.handle(reply);
    }
    Bytes kept;
    if (const auto state = server.transfer_set_up()) {
      state->serialise(kept);
      add(2, kept);
      kept.clear();
      client.transfer_set_up()->serialise(kept);
      add(3, kept);
    }
  }

  void add_record() {
    service::SessionInfo session;
    session.id = std::string(32, 'a');
    session.model = "mnist-mlp";
    session.config_id = session.key_id = std::string(64, 'b');
    session.caller = "alice";
    session.public_key = keys.owner->public_key().serialise();
    session.ciphertext_bytes = keys.ciphertext_bytes();
    session.rounds = 3;
    session.round_limits = {100, 200, 300};
    add(0, service::serialise_session(session));
  }

  void add(std::uint8_t kind, ByteView bytes) {
    examples.push_back({kind});
    examples.back().insert(examples.back().end(), bytes.begin(), bytes.end());
  }

  test::SeededRng rng;
  const test::Party& keys;
  std::shared_ptr<const ServedModel> model;
  std::vector<Bytes> examples;
};

const World& world() {
  static const World made;
  return made;
}

Bytes again(std::uint8_t kind, ByteView bytes) {
  Bytes out;
  switch (kind) {
    case 0:
      return service::serialise_session(service::parse_session(bytes));
    case 1:
      return ServerSession::restore(world().model, world().keys.context, bytes)->save();
    case 2:
      ot::server_set_up(bytes)->serialise(out);
      return out;
    default:
      ot::client_set_up(bytes)->serialise(out);
      return out;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const ByteView bytes(data + 1, size - 1);
  try {
    require(std::ranges::equal(again(data[0] % kKinds, bytes), bytes));
  } catch (const InputError&) {
  }
  return 0;
}

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t max_size,
                                               unsigned seed) {
  const auto& examples = world().examples;
  const Bytes& fresh = examples[seed / 16 % examples.size()];
  if (seed % 16 < 2 && fresh.size() <= max_size) {
    std::ranges::copy(fresh, data);
    size = fresh.size();
  }
  return LLVMFuzzerMutate(data, size, max_size);
}
