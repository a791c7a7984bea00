// Both sessions under damaged messages: an InputError, and afterwards the undamaged message still goes
// through.
//
// The bytes are edits (offset: 3 bytes, value: 1 byte) of the valid message of one round; the first byte
// chooses the round and the party, the second how much is cut off. When the second is 255 the engine is
// "shares", and the next two say round and cut in their place.
#include <algorithm>
#include <cstdint>

#include "base/error.h"
#include "protocols/ot/failed_check.h"
#include "protocols/session/session.h"
#include "tests/fuzz/small_world.h"
#include "tests/protocols/parties.h"

namespace {

using namespace popcorn;
using namespace popcorn::protocols;
using popcorn::test::require;

struct World {
  World()
      : rng(7),
        model(ServedModel::create(test::random_network(rng, test::smallest_networks()))),
        input(1, 1) {
    input = test::random_input(rng, model->network());
  }

  test::SeededRng rng;
  std::shared_ptr<const ServedModel> model;
  WideVector input;
};

/// A requantised network and an input that it is exact for.
struct ShareWorld {
  ShareWorld() : input(1, 1) {
    test::RandomNetworkOptions options = test::smallest_networks();
    const test::RandomNetworkOptions requantised = test::requantised_options();
    options.rings = requantised.rings;
    options.kinds = requantised.kinds;
    for (std::uint64_t seed = 7; !model; ++seed) {
      test::SeededRng rng(seed);
      models::IntegerNetwork network = test::random_network(rng, options);
      input = test::random_input(rng, network);
      if (!test::fit_rings(network, input)) continue;
      try {
        model = ServedModel::create(std::move(network), kDefaultChunk, {}, {"shares"});
      } catch (const InputError&) {  // wider than shares are
      }
    }
  }

  std::shared_ptr<const ServedModel> model;
  WideVector input;
};

Bytes damaged(ByteView good, ByteView edits, std::uint8_t cut) {
  Bytes bytes(good.begin(), good.end());
  for (; edits.size() >= 4; edits = edits.subspan(4)) {
    const std::size_t offset = edits[0] | std::size_t{edits[1]} << 8 | std::size_t{edits[2]} << 16;
    bytes[offset % bytes.size()] = edits[3];
  }
  bytes.resize(bytes.size() - std::min<std::size_t>(cut, bytes.size()));
  return bytes;
}

enum class Verdict { accepted, refused, over };

/// Handles the damaged bytes. A message that is refused leaves the session as it was; a check that depends on
/// secrets ends it for good.
template <typename Session>
Verdict handle(Session& session, ByteView message) {
  try {
    session.handle(message);
    return Verdict::accepted;
  } catch (const ot::FailedCheck&) {
    return Verdict::over;
  } catch (const InputError&) {
    return Verdict::refused;
  }
}

template <typename Session>
bool is_over(Session& session, ByteView message) {
  try {
    session.handle(message);
    return false;
  } catch (const ot::FailedCheck&) {
    return true;
  }
}

template <typename Place>
int run(const Place& world, const SessionOptions& options, const std::uint8_t* data, std::size_t size) {
  const test::Party& party = test::party(256);
  ServerSession server(world.model, party.context, options);
  ClientSession client(world.model->bundle(), party.owner, world.input, options);
  const std::uint64_t target = data[0] / 4 % server.rounds();
  const bool to_server = data[0] % 2 == 0;
  const ByteView edits(data + 2, size - 2);
  ByteView message = client.start();
  for (std::uint64_t round = 0; round <= target; ++round) {
    const bool here = round == target;
    if (here && to_server) {
      const Verdict verdict = handle(server, damaged(message, edits, data[1]));
      if (verdict == Verdict::over) require(is_over(server, message));
      if (verdict != Verdict::refused) return 0;
    }
    const Bytes reply = server.handle(message);
    if (here && !to_server) {
      const Verdict verdict = handle(client, damaged(reply, edits, data[1]));
      if (verdict == Verdict::over) require(is_over(client, reply));
      if (verdict != Verdict::refused) return 0;
    }
    const std::optional<ByteView> next = client.handle(reply);
    require(next.has_value() == (round + 1 < server.rounds()));
    if (next) message = *next;
  }
  return 0;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  SessionOptions options;
  if (data[1] == 255) {
    static const ShareWorld on_shares;
    options.engine = "shares";
    if (size < 4) return 0;
    data += 2;
    size -= 2;
    return run(on_shares, options, data, size);
  }
  static const World world;
  options.sign_test = (data[0] & 2) == 0 ? "blinded" : "oblivious";
  return run(world, options, data, size);
}
