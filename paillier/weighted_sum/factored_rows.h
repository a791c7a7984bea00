// Rows of a WeightedSumPlan over factored inputs: convolutions, whose positions fill whole groups of lanes.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

#include "paillier/ciphertext_batch.h"
#include "paillier/kernels/modulus.h"
#include "paillier/weighted_sum/factored_batch.h"
#include "paillier/weighted_sum/weighted_sum_program.h"

namespace popcorn::paillier {

/// What the rows read: inputs and inverses as factor_batch() gives them, and logarithms of biases.
struct FactoredOperands {
  const WeightedSumPlan::Program& program;
  FactoredBatch inputs;
  CiphertextBatch biases;  ///< one a channel, in the place of w; may be empty

  const kernels::Modulus& modulus() const { return inputs.units.modulus(); }
};

/// Runs one row at a time for `lanes` positions. A term is multiplied to `sum` as a unit, 8 units of work
/// instead of 10, its logarithm only added; biases are logarithms from the start. What comes out are
/// residues.
class FactoredRowRunner {
 public:
  explicit FactoredRowRunner(const FactoredOperands& from);

  /// Positions [first, first + count) of a row into `total`, a group. Returns the multiplications.
  std::uint64_t run(std::uint32_t row, std::size_t first, std::size_t count, std::uint64_t* total);

 private:
  /// A sum of logarithms, in w of a group; knows when it must be reduced.
  class LogarithmSum {
   public:
    explicit LogarithmSum(const kernels::Modulus& modulus);
    void clear();
    void set(const std::uint64_t* logarithm);
    void add(const std::uint64_t* logarithm);
    void set(const LogarithmSum& other);
    void add(LogarithmSum& other);
    void twice() { add(*this); }
    const std::uint64_t* digit() const;
    void normalise();

   private:
    void reduce();
    const kernels::Modulus* modulus_;
    kernels::GroupBuffer group_;
    unsigned count_ = 0;  ///< the sum is below 2N times this
  };

  std::size_t gather_terms(const RowStep& step, std::size_t count);
  void gather(std::uint64_t* target);
  void fetch_step(const RowStep& step, std::size_t count) const;
  const std::uint64_t* term(const RowStep& step, std::size_t lane) const;
  void multiply_sum();
  void add_bias(std::uint32_t row);
  void apply_logarithm(std::uint64_t* total);

  const FactoredOperands& from_;
  const WeightedSumPlan::Program& program_;
  const kernels::Modulus& modulus_;
  kernels::GroupBuffer sum_, operand_;
  bool sum_is_unit_ = false;
  LogarithmSum sum_logarithm_, total_logarithm_;
  std::size_t first_ = 0, last_ = 0;  ///< positions
  std::array<const std::uint64_t*, kernels::kMaxLanes> operands_{};
};

/// The results of all rows that a program computes for its outputs, `positions` a row.
CiphertextBatch run_factored_rows(const FactoredOperands& from, std::atomic<std::uint64_t>& multiplications);

}  // namespace popcorn::paillier
