// What arrives of oblivious transfers, damaged: base transfers, the flights of a session's tables, and steps
// on shares with their sources. Refused with an InputError, or taken; what was taken unchanged in its checked
// parts gives right results.
//
// The first byte chooses what, the second the flight that is damaged, the third how much is cut off; the rest
// are edits (offset: 2 bytes, value: 1 byte).
#include <algorithm>
#include <array>
#include <cstdint>
#include <stdexcept>

#include "base/error.h"
#include "protocols/ot/failed_check.h"
#include "protocols/ot/sources/base_transfer.h"
#include "protocols/ot/steps/local_parties.h"
#include "protocols/ot/steps/share_steps.h"
#include "protocols/ot/steps/transfer_session.h"
#include "tests/fuzz/small_world.h"
#include "tests/support/seeded_rng.h"

namespace {

using namespace popcorn;
using namespace popcorn::protocols::ot;
using popcorn::test::require;

struct Damage {
  std::uint8_t flight;
  std::uint8_t cut;
  ByteView edits;

  Bytes of(Bytes bytes) const {
    for (ByteView rest = edits; rest.size() >= 3 && !bytes.empty(); rest = rest.subspan(3))
      bytes[(rest[0] | std::size_t{rest[1]} << 8) % bytes.size()] = rest[2];
    return bytes;
  }
  Bytes cut_of(Bytes bytes) const {
    bytes = of(std::move(bytes));
    bytes.resize(bytes.size() - std::min<std::size_t>(cut, bytes.size()));
    return bytes;
  }
};

void base_transfers(const Damage& damage) {
  test::SeededRng rng(1);
  const Bytes nonce(16, 1);
  const BaseOwner owner(rng);
  Bytes request;
  owner.request(request);
  if (damage.flight % 2 == 0) request = damage.cut_of(std::move(request));
  Bytes reply;
  const ChosenSeeds chosen = BaseChooser(request).reply(nonce, rng, reply);
  const Bytes sent = damage.flight % 2 == 0 ? reply : damage.of(reply);
  const OfferedSeeds offered = owner.finish(nonce, sent);
  if (damage.flight % 2 == 0 || sent != reply) return;
  for (std::size_t i = 0; i < kBaseTransfers; ++i)
    require(chosen.seeds[i] == offered.pairs[i][chosen.choices[i]]);
}

void tables(const Damage& damage) {
  test::SeededRng rng(2);
  const DealtBase base = deal_base(rng);
  const TableShape shape{9, 3, 2};
  const TableWords words{shape, Words{0, 1, 2, 3, 4, 5, 6, 7, 0}};
  std::array<TransferSession, 2> parties = {TransferSession(base.offered, as_bytes("fuzz")),
                                            TransferSession(base.chosen, as_bytes("fuzz"))};
  const std::span<const TableWords> all(&words, 1);
  std::vector<Words> own;
  for (unsigned flight = 0; flight < 4; ++flight) {
    Bytes message;
    own = parties[flight % 2].answer(flight == 0 ? std::span<const TableWords>{} : all, rng, message);
    if (flight < 3) parties[flight % 2].request(all, message);
    if (flight == damage.flight % 4) message = damage.of(std::move(message));
    const auto shares = parties[1 - flight % 2].take(
        message, flight < 3 ? std::span<const TableShape>(&shape, 1) : std::span<const TableShape>{});
    require(shares.size() == own.size());
    for (const Words& share : shares)
      require(std::ranges::all_of(share, [](auto word) { return word <= 3; }));
  }
}

void steps(const Damage& damage) {
  test::SeededRng rng(3);
  TwoParties parties(TransferSource::named("softspoken"), rng);
  const TruncationShape shape{.ring = 12, .groups = {{4, 4}}};
  FlightLedger ledger;
  truncate_and_rectify(ledger, shape);
  std::array<Words, 2> results;
  const auto body = [&](TransferParty& party) -> Dialogue<void> {
    const Words shares = {1, 2, 3, 4000};
    co_await reserve(party, ledger.transfers()[0], ledger.transfers()[1]);
    results[party.first ? 0 : 1] = co_await truncate_and_rectify(party, shape, shares);
  };
  Half first(parties.party(true).wire, body(parties.party(true)));
  Half second(parties.party(false).wire, body(parties.party(false)));
  unsigned flight = 0;
  run_halves(first, second, [&](bool, Bytes& bytes) {
    if (flight++ == damage.flight % 12) bytes = damage.cut_of(std::move(bytes));
  });
  for (const Words& words : results) require(words.size() == 4);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 3) return 0;
  const Damage damage{data[1], data[2], ByteView(data + 3, size - 3)};
  try {
    switch (data[0] % 3) {
      case 0:
        base_transfers(damage);
        break;
      case 1:
        tables(damage);
        break;
      default:
        steps(damage);
    }
  } catch (const InputError&) {
  } catch (const std::logic_error&) {  // what was cut off is waited for
  }
  return 0;
}
