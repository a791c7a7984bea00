// The millionaires' comparison of ℓ-bit integers x (client) and y (server) with the result [x < y] shared by
// exclusive or [RRK+20, sec 3]: 4-bit digits, one 1-of-16 transfer a digit for shares of (less, equal), then
// a tree
//   less = less_high ⊕ equal_high ∧ less_low,   equal = equal_high ∧ equal_low
// whose two conjunctions are one 1-of-8 transfer: the receiver's choice is its shares of (equal_high,
// less_low, equal_low), the sender offers the masked results for all eight. That needs no bit triples, 34
// bytes a node instead of 40, and no other message than the transfer's own.
//
// Transfers of one level of all neurons are one batch; level 0 are the digits. Batch k of the receiver is
// answered by batch k of the sender.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/bytes.h"
#include "base/random.h"
#include "base/wide_vector.h"
#include "protocols/ot/extension.h"
#include "protocols/session_state.h"

namespace popcorn::protocols {

struct ComparisonShape {
  std::uint64_t count = 0;
  unsigned bits = 0;  ///< ℓ ≥ 1

  unsigned digits() const noexcept { return (bits + 3) / 4; }
  /// Batches: 1 + ⌈log2 digits⌉.
  unsigned batches() const noexcept;
  std::size_t transfers(unsigned batch) const noexcept;
  /// Shares of one neuron before `batch`.
  unsigned width(unsigned batch) const noexcept;
  unsigned choices(unsigned batch) const noexcept { return batch == 0 ? 16 : 8; }
  std::size_t request_bytes(unsigned batch) const noexcept;
  std::size_t answer_bytes(unsigned batch) const noexcept;
};

/// Shares of (less, equal) of one party, `width` to a neuron: bit 0 less, bit 1 equal.
struct ComparisonShares {
  std::size_t width = 0;
  std::vector<std::uint8_t> values;
};

/// The client's half.
class ComparisonReceiver {
 public:
  /// @param values only their low `bits` bits are compared
  ComparisonReceiver(const ComparisonShape& shape, const WideVector& values);
  void request(unsigned batch, ot::ExtensionReceiver& extension, Bytes& out);
  void receive(unsigned batch, ot::ExtensionReceiver& extension, ByteView section);
  /// Share of [x < y], one byte a neuron; after the last batch.
  std::vector<std::uint8_t> less() const;

  /// @param batch that was requested last. Requesting it again after restore() gives the same request.
  void save(unsigned batch, StateWriter& out) const;
  /// @throws InputError "session_state.*"
  static ComparisonReceiver restore(const ComparisonShape& shape, unsigned batch, StateReader& in);

 private:
  explicit ComparisonReceiver(const ComparisonShape& shape) : shape_(shape) {}

  ComparisonShape shape_;
  std::vector<std::uint8_t> digits_;
  ComparisonShares shares_;
};

/// The server's half.
class ComparisonSender {
 public:
  ComparisonSender(const ComparisonShape& shape, const WideVector& values);
  void answer(unsigned batch, ot::ExtensionSender& extension, Rng& rng, Bytes& out);
  std::vector<std::uint8_t> less() const;

  /// @param batch that is answered next; batches() after the last
  void save(unsigned batch, StateWriter& out) const;
  /// @throws InputError "session_state.*"
  static ComparisonSender restore(const ComparisonShape& shape, unsigned batch, StateReader& in);

 private:
  explicit ComparisonSender(const ComparisonShape& shape) : shape_(shape) {}

  ComparisonShape shape_;
  std::vector<std::uint8_t> digits_;
  ComparisonShares shares_;
};

}  // namespace popcorn::protocols
