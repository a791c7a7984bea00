// What inference on shares with fast rounding may give: no one result, but a few for each value.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/wide_vector.h"
#include "models/network/integer_network.h"

namespace popcorn::cli {

/// How far truncations were from what they truncate, in units of what is kept: 0 on average.
struct RoundingErrors {
  std::uint64_t values = 0;
  double sum = 0;
  double variance = 0;  ///< of the sum
  /// The sum in its standard deviations.
  double standard_errors() const noexcept;
  /// Beyond this the rounding has a bias: by chance once in 1.7 million.
  static constexpr double kMost = 5;
};

/// Takes the opened tensors of one inference after the other and holds each against the values that the nodes
/// before it had:
///   linear results                       W·x, or one unit more where the carry is dropped
///   truncations by t digits              ⌊x / 2^t⌋, or one more where x is not a multiple of 2^t
///   ReLU, maximum, sign, sums            of these, exactly
/// A node that a step has taken in was never there: its possible values are kept as an interval.
class FastRoundingCheck {
 public:
  /// @param network requantised; outlives the object
  explicit FastRoundingCheck(const models::IntegerNetwork& network);

  /// Forgets what it was shown; the errors go on.
  void begin(const WideVector& input);
  void show(std::size_t node, const WideVector& values);
  /// Whether all weighted nodes before an arg-max were shown, and all that was shown is possible. Gives the
  /// values compared. @throws CheckError "verify.mismatch", "verify.unseen"
  std::size_t check(const std::string& input_name, const WideVector& output);
  const RoundingErrors& errors() const noexcept { return errors_; }

 private:
  /// Every value of a tensor lies in [low, high].
  struct Range {
    std::vector<std::int64_t> low, high;
  };
  Range possible(std::size_t node) const;
  Range truncated(const models::Node& node, Range range) const;
  std::size_t compare(const std::string& input_name, std::size_t node, const Range& range) const;
  void add_errors(std::size_t node);

  const models::IntegerNetwork& network_;
  std::vector<unsigned> missing_carries_;  ///< by node: units that may be too many
  std::size_t last_;                       ///< node whose values are the logits
  std::vector<std::vector<std::int64_t>> shown_;
  std::vector<Range> ranges_;
  RoundingErrors errors_;
};

}  // namespace popcorn::cli
