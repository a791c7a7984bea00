// Which values the steps of a requantised network can take, and counts of those beyond.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "models/network/integer_network.h"
#include "models/network/rounding.h"

namespace popcorn::models {

/// Closed interval.
struct ValueRange {
  std::int64_t low;
  std::int64_t high;
  bool contains(std::int64_t x) const noexcept { return x >= low && x <= high; }
};

/// Bits of the ring that the values of nodes[index] are in, also behind flatten, max_pool2d, relu and output;
/// 0 where no ring is given.
unsigned ring_of(const IntegerNetwork& network, std::size_t index);

/// Digits that nodes[index] drops of a channel, or that the rescale drops which alone reads it, if it is a
/// max_pool2d: on shares the two are one step. 0 for all others.
unsigned dropped_digits(const IntegerNetwork& network, std::size_t index, std::size_t channel);

/// What operands the step nodes[index] computes rightly on shares of its operand's ring w, with t the shift:
/// rescale with ReLU: [−2^(w−1), 2^(w−1) − 2^(t−1)); without: [−2^(w−2) − 2^(t−1), 2^(w−2) − 2^(t−1));
/// rounded stochastically, 2^t in place of 2^(t−1) at the upper end; max_pool2d: [−2^(w−2), 2^(w−2)), or,
/// with a rescale behind it in the same step, as without ReLU there but for the lower end, −2^(w−2), and with
/// w at most that rescale's ring + 1 + t. Nothing for other kinds and where nothing has a ring.
std::optional<ValueRange> step_range(const IntegerNetwork& network, std::size_t index, std::size_t channel,
                                     RoundingMode mode);

/// Values beyond their range, node by node. Thread-safe.
class RangeCounts {
 public:
  explicit RangeCounts(const IntegerNetwork& network)
      : values_(network.nodes.size()), beyond_(network.nodes.size()) {}

  void add(std::size_t node, std::uint64_t values, std::uint64_t beyond) {
    values_[node] += values;
    beyond_[node] += beyond;
  }
  /// How many values of the node were looked at: results that a ring holds, and operands of steps.
  std::uint64_t values(std::size_t node) const { return values_.at(node); }
  std::uint64_t beyond(std::size_t node) const { return beyond_.at(node); }
  std::uint64_t values() const;
  std::uint64_t beyond() const;

 private:
  std::vector<std::atomic<std::uint64_t>> values_;
  std::vector<std::atomic<std::uint64_t>> beyond_;
};

/// Least and largest result of each node, before its ring and its ReLU. Thread-safe.
class ValueExtremes {
 public:
  explicit ValueExtremes(const IntegerNetwork& network)
      : extremes_(network.nodes.size(), ValueRange{0, 0}), operands_(network.nodes.size()) {}
  ValueExtremes(ValueExtremes&& other) noexcept
      : extremes_(std::move(other.extremes_)), operands_(std::move(other.operands_)) {}
  ValueExtremes& operator=(ValueExtremes&&) = delete;

  void add(std::size_t node, std::int64_t least, std::int64_t largest);
  /// Largest magnitude of a max_pool2d's operand without the digits that are dropped behind it.
  void add_operand(std::size_t node, std::int64_t magnitude);
  /// With 0 where nothing was seen.
  ValueRange of(std::size_t node) const { return extremes_.at(node); }
  std::int64_t largest_magnitude(std::size_t node) const;
  std::int64_t largest_operand(std::size_t node) const { return operands_.at(node); }

 private:
  std::mutex mutex_;
  std::vector<ValueRange> extremes_;
  std::vector<std::int64_t> operands_;
};

}  // namespace popcorn::models
