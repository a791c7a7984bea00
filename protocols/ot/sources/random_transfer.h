// Random transfers: the sender holds two pads of 32 bits, the receiver one of them and its bit. Everything on
// shares is made of them, whatever their source.
//
//   pads H(y, i) and H(y ⊕ Δ, i), H(z, i): TMMO [GKWY20, sec 7.4] under a key of the session that changes
//   every 2^22 transfers, with an index that a session never uses twice
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/secret_bytes.h"
#include "protocols/ot/dialogue.h"
#include "protocols/ot/kernels/kernel.h"
#include "protocols/ot/sources/silent.h"
#include "protocols/ot/sources/softspoken.h"

namespace popcorn::protocols::ot {

using Words = std::vector<std::uint32_t>;

/// How many transfers a source is worth its set-up for; both parties must agree.
struct TransferSource {
  enum class Kind { softspoken, silent } kind = Kind::silent;
  SilentParameters parameters = kSilentB12;
  std::string_view name() const noexcept {
    return kind == Kind::softspoken ? std::string_view("softspoken") : parameters.name;
  }
  /// "softspoken", "b10", "b12", "b13". @throws UsageError "ot.parameters"
  static TransferSource named(std::string_view name);
  /// The cheapest in bytes for so many of a direction.
  static TransferSource for_transfers(std::uint64_t count) noexcept;
  /// What one direction sends, both ways, for `count` transfers reserved at once; those of a session are
  /// reserved piece by piece, which adds a part of a batch at most.
  std::uint64_t bytes(std::uint64_t count) const noexcept;
  /// Transfers that may be made beyond those that are wanted.
  std::size_t beyond() const noexcept;
};

class RandomTransferReceiver;

/// Transfers where their half keeps them, until its next reserve().
struct SentTransfers {
  const std::uint32_t* zero;
  const std::uint32_t* one;
};
struct ReceivedTransfers {
  const std::uint32_t* pads;
  const std::uint8_t* bits;
};

/// Transfers that were made and are kept outside their half, each to be used once. bits[i] is 0 or 1.
struct SentPads {
  SecretVector<std::uint32_t> zero, one;
};
struct ReceivedPads {
  SecretVector<std::uint32_t> pads;
  SecretVector<std::uint8_t> bits;
};

/// The sender's half of one direction. Not thread-safe.
class RandomTransferSender {
 public:
  /// @param base whose first choice is 0; the other party's offered seeds. @param context as in softspoken.h
  RandomTransferSender(TransferSource source, const ChosenSeeds& base, ByteView context, Rng& rng,
                       const kernels::Kernel& kernel = kernels::active());
  /// Of transfers that another half made and released; makes none.
  explicit RandomTransferSender(SentPads kept);
  ~RandomTransferSender();
  /// Makes transfers until `count` are ready; the other half's reserve(count) must run against it.
  /// @throws FailedCheck "ot.check"; Error "ot.not_ready" of a half that makes none
  Dialogue<void> reserve(Wire& wire, std::size_t count);
  std::size_t ready() const noexcept;
  /// The next `count` ≤ ready() transfers; this half has none any more.
  SentPads release(std::size_t count);
  /// Takes the next `count` ≤ ready() transfers.
  SentTransfers take(std::size_t count);
  void take(std::size_t count, std::uint32_t* zero, std::uint32_t* one);
  std::uint64_t taken() const noexcept;
  std::size_t memory_bytes() const noexcept;

 private:
  friend Dialogue<void> reserve_both(Wire&, RandomTransferSender&, std::size_t, RandomTransferReceiver&,
                                     std::size_t, bool);
  struct State;
  std::unique_ptr<State> state_;
};

class RandomTransferReceiver {
 public:
  RandomTransferReceiver(TransferSource source, const OfferedSeeds& base, ByteView context, Rng& rng,
                         const kernels::Kernel& kernel = kernels::active());
  /// Of transfers that another half made and released; makes none.
  explicit RandomTransferReceiver(ReceivedPads kept);
  ~RandomTransferReceiver();
  /// @throws FailedCheck "ot.check"; Error "ot.not_ready" of a half that makes none
  Dialogue<void> reserve(Wire& wire, std::size_t count);
  std::size_t ready() const noexcept;
  /// The next `count` ≤ ready() transfers; this half has none any more.
  ReceivedPads release(std::size_t count);
  /// bits[i] is 0 or 1.
  ReceivedTransfers take(std::size_t count);
  void take(std::size_t count, std::uint32_t* pads, std::uint8_t* bits);
  std::uint64_t taken() const noexcept;
  std::size_t memory_bytes() const noexcept;

 private:
  friend Dialogue<void> reserve_both(Wire&, RandomTransferSender&, std::size_t, RandomTransferReceiver&,
                                     std::size_t, bool);
  struct State;
  std::unique_ptr<State> state_;
};

/// A party's reserve() of both its halves at once, whose messages travel together: half the flights. The
/// other party runs it with `first` the other way round.
/// @throws FailedCheck "ot.check"
Dialogue<void> reserve_both(Wire& wire, RandomTransferSender& sender, std::size_t to_send,
                            RandomTransferReceiver& receiver, std::size_t to_receive, bool first);

}  // namespace popcorn::protocols::ot
