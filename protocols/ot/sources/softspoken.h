// Correlated transfers by SoftSpoken [Roy22, sec 3 to 5] with k = 8: z = y ⊕ x·Δ, sender (Δ, y), receiver (x,
// z).
//
//   receiver: 16 trees of 256 leaves r_x               sender: each tree but for the leaf δ, eight bits of Δ
//   u = ⊕ r_x, v = ⊕ x·r_x                             w = ⊕ (x ⊕ δ)·r_x = v ⊕ δ·u
//   trees' sums, tags  ──── set_up ────►               checks the tags
//   u_i ⊕ u_0, checks  ──── extend ────►               w ⊕ δ·(u_i ⊕ u_0) = v ⊕ δ·u_0
//
// 1.9 bytes a transfer, one message, no assumption beyond AES and SHA-256. Both messages are checked: a
// receiver whose trees or corrections are not consistent is found out except with probability 2^-128
// (polynomial hash with r from the hash of all that was sent, [Roy22, sec 4.1], of the columns by its digest;
// trees by the hash of their tags, [Roy22, fig 14]); what it can do is guess bits of Δ and be caught when
// wrong, so a failed check must end the session and forget the base transfers.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/bytes.h"
#include "protocols/ot/bits/block_array.h"
#include "protocols/ot/kernels/kernel.h"
#include "protocols/ot/sources/base_seeds.h"

namespace popcorn::protocols::ot {

namespace softspoken {
/// Bytes of the trees' message, and of extending by `groups` groups of 128 transfers.
std::size_t set_up_bytes() noexcept;
std::size_t extend_bytes(std::size_t groups) noexcept;
/// Most groups of one extension: 2^17 transfers.
inline constexpr std::size_t kMaxGroups = 1024;
/// Groups that hold so many transfers.
constexpr std::size_t groups_for(std::size_t transfers) noexcept {
  return (transfers + kBaseTransfers - 1) / kBaseTransfers;
}
/// Of extensions of `together` groups each, and one of the rest.
std::size_t extension_bytes(std::size_t groups, std::size_t together = kMaxGroups) noexcept;
}  // namespace softspoken

class SoftSpokenReceiver {
 public:
  /// @param context names the session and the direction; the same at both ends, and never twice with the same
  /// seeds. @param roots secret; all that the trees are made of
  SoftSpokenReceiver(const OfferedSeeds& base, ByteView context, Block roots, const kernels::Kernel& kernel);
  ~SoftSpokenReceiver();
  /// Before the first extension. Appends the trees' message, always the same.
  void set_up(Bytes& out);
  /// In place of set_up(), where the other party has the message already.
  void rebuild();
  /// rows[i] ← z with its choice x as lowest bit, for 128·groups transfers. One group more is spent on the
  /// check. @param name of the streams that are used: the same at both ends, and in a session never twice
  void extend(ByteView name, std::size_t groups, Block* rows, Bytes& out);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

class SoftSpokenSender {
 public:
  /// Δ is the complement of the choices. @param base its first choice is 0, so that Δ has lowest bit 1
  SoftSpokenSender(const ChosenSeeds& base, ByteView context, const kernels::Kernel& kernel);
  ~SoftSpokenSender();
  Block delta() const noexcept;
  /// @throws FailedCheck "ot.check" @param message of set_up_bytes()
  void set_up(ByteView message);
  /// In place of set_up(), for a message that has passed its check before.
  void rebuild(ByteView message);
  /// rows[i] ← y with lowest bit 0. @throws FailedCheck "ot.check" @param message of extend_bytes(groups)
  void extend(ByteView name, std::size_t groups, ByteView message, Block* rows);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace popcorn::protocols::ot
