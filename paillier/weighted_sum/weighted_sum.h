// Weighted sums y_o = Σ_i w_oi·x_i + b_o on ciphertexts: the layer description, the plan, its cost.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/wide_vector.h"

namespace popcorn::paillier {

/// A sparse linear map in the shape that dense layers and convolutions share:
///   y[channel · positions + position] =
///     bias[channel] + Σ_k weight[k] · x[input_index[tap[k] · positions + position]]
/// with k over row_start[channel] … row_start[channel + 1]. Pruned weights are simply absent. A dense layer
/// has one position and as many taps as inputs.
struct LinearMap {
  static constexpr std::uint32_t kPadding = 0xffffffff;  ///< input_index of a zero outside the image

  std::size_t inputs = 0;
  std::size_t channels = 0;
  std::size_t positions = 1;
  std::size_t taps = 0;
  /// Inputs that lie in one plane (an image's channel), one plane after the other: a convolution's taps read
  /// the same places of several planes, which lets its rows share products. 1 when there is no such order.
  std::size_t plane = 1;
  std::vector<std::uint32_t> row_start;    ///< channels + 1
  std::vector<std::uint32_t> tap;          ///< one a non-zero weight, < taps
  std::vector<std::int32_t> weight;        ///< non-zero
  std::vector<std::uint32_t> input_index;  ///< taps × positions; < inputs or kPadding
  WideVector bias;                         ///< channels values

  std::size_t outputs() const noexcept { return channels * positions; }
};

/// Exact number of modular multiplications (squarings included) modulo N².
struct PlanCost {
  std::uint64_t multiplications = 0;  ///< of this plan
  std::uint64_t inversions = 0;       ///< modular inversions (a few a layer)
  std::uint64_t naive = 0;            ///< square-and-multiply for each weight, as the paper writes it
  std::uint64_t unshared = 0;         ///< the cheapest plan without shared tables
  std::uint64_t table_entries = 0;    ///< ciphertexts of the shared tables
};

/// How to evaluate a LinearMap: which products in which order. Depends on the weights only; built once at
/// model load, immutable, shared by all sessions. Takes the cheapest of several plans; its shared tables have
/// at most max(2^16, 2 · (inputs + outputs)) entries, each a ciphertext.
class WeightedSumPlan {
 public:
  enum class Tables : std::uint8_t { when_cheaper, never };

  /// @throws InputError "layer.invalid" when indices are out of range
  explicit WeightedSumPlan(LinearMap map, Tables tables = Tables::when_cheaper);
  ~WeightedSumPlan();
  WeightedSumPlan(WeightedSumPlan&&) noexcept;
  WeightedSumPlan& operator=(WeightedSumPlan&&) noexcept;

  const LinearMap& map() const noexcept;
  const PlanCost& cost() const noexcept;

  struct Program;
  const Program& program() const noexcept { return *program_; }

 private:
  std::unique_ptr<const Program> program_;
};

}  // namespace popcorn::paillier
