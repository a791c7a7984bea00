// The bytes of what a party holds between the rounds of a preparation and after the last of them, before an
// input is there: seeds of the transfers of both directions, results of the layers done. Secret.
// Of a small network also the transfers themselves.
//
// What the online phase holds is never kept: an answer that was computed again with the same transfers, and
// other values, would show how the two differ.
#pragma once

#include <vector>

#include "protocols/ot/set_up.h"
#include "protocols/ot/sources/random_transfer.h"
#include "protocols/shares/layer/masked_result.h"
#include "protocols/shares/shares_schedule.h"
#include "protocols/wire/session_state.h"

namespace popcorn::protocols::shares {

/// Base transfers of both directions, and the nonce of the session that made them. Wiped at the end.
struct PreparedSeeds {
  ot::SetUpNonce nonce{};
  ot::ChosenSeeds chosen{};
  ot::OfferedSeeds offered{};

  PreparedSeeds() = default;
  ~PreparedSeeds();
  PreparedSeeds(const PreparedSeeds&) = delete;
  PreparedSeeds& operator=(const PreparedSeeds&) = delete;

  void save(StateWriter& out) const;
  /// @throws InputError "session_state.*"
  void restore(StateReader& in);
};

/// The transfers of both directions that the preparation made, where it does: then no seeds are left.
struct PreparedTransfers {
  ot::SentPads sent;
  ot::ReceivedPads received;

  bool none() const noexcept { return sent.zero.empty() && received.pads.empty(); }
  std::size_t memory_bytes() const noexcept { return 8 * sent.zero.size() + 5 * received.pads.size(); }
  void save(StateWriter& out) const;
  /// @param need of the plan. @throws InputError "session_state.*"
  void restore(const TransferNeed& need, bool is_server, StateReader& in);
};

/// Words of four bytes each, as StateWriter::places() wrote them. @param bits that a word has. @throws
/// InputError "session_state.*"
ot::Words restore_words(std::size_t count, unsigned bits, StateReader& in);

/// A byte that says whether a layer is done, then five an output.
void save_results(const std::vector<MaskedResult>& results, StateWriter& out);
/// @throws InputError "session_state.*"
std::vector<MaskedResult> restore_results(const SharesSchedule& schedule, StateReader& in);

}  // namespace popcorn::protocols::shares
