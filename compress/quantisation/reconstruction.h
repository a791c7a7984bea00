// Second-order reconstruction of one layer: pruning and rounding of weights such that the layer's outputs on
// given inputs change least.
//
// The error of a row w is (w − ŵ)ᵀ·H·(w − ŵ) with H the second moments of the inputs. A weight that is
// removed or rounded passes its error on to the weights that are still free (Optimal Brain Surgeon): removal
// after SparseGPT (Frantar and Alistarh 2023, section 3), rounding after GPTQ (Frantar et al. 2023, section
// 3). Both go through the columns once and can only correct what comes behind; what they leave is then
// improved by descent: conjugate gradients on the weights that are kept, and coordinate by coordinate on the
// grid.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

namespace popcorn::compress {

/// Second moments of the inputs and outputs of a layer with `groups` groups of `rows` outputs and `columns`
/// inputs each. All are centred (covariances), because the bias takes up every constant.
struct LayerMoments {
  std::size_t groups = 1, rows = 0, columns = 0;
  std::vector<double> inputs;       ///< groups × columns × columns: cov(x, x)
  std::vector<double> outputs;      ///< groups × rows × columns: cov(y, x), y the wanted outputs
  std::vector<double> input_mean;   ///< groups × columns
  std::vector<double> output_mean;  ///< groups × rows
};

/// Moments of the same layer on two halves of the samples.
struct HalvedMoments {
  LayerMoments both, first, second;
};

class Reconstruction {
 public:
  /// @param damping share by which the variance of each input grows, in (0, 1]: keeps what the inputs do not
  /// determine as it was, whatever the scale of an input
  /// @param pinned inputs (groups × columns, not 0 = yes) whose weights stay about as they are; empty = none
  /// @throws Error "cholesky.indefinite" for moments that are no covariances
  Reconstruction(LayerMoments moments, double damping, const std::vector<std::uint8_t>& pinned = {});

  /// Moves weights (groups × rows × columns) to the regression of the wanted outputs on the inputs, with a
  /// ridge about where they are: makes up for what the layers before did to the inputs. Masked weights take
  /// part: call it before pruning.
  void adapt(std::vector<double>& weights) const;
  /// What the error grows by when a weight is removed and the weights behind it make up for it: w² / U_ii².
  std::vector<double> removal_losses(const std::vector<double>& weights) const;
  /// Removes exactly `count` weights and lets the others make up for it; `mask` (0 = removed, empty = all
  /// kept) says which. Weights that were masked before count and stay removed.
  /// @param importance factor of the squared error of each output; empty = all alike
  void prune(std::vector<double>& weights, std::vector<std::uint8_t>& mask, std::size_t count,
             const std::vector<double>& importance = {}) const;
  /// Rounds weight after weight by `nearest` (output over all groups, value → permitted value); masked
  /// weights become zero.
  void round(std::vector<double>& weights, const std::vector<std::uint8_t>& mask,
             const std::function<double(std::size_t output, double value)>& nearest) const;
  /// Mean square of what an output of the layer with these weights differs from the wanted one by, summed
  /// over the outputs, but for a constant that does not depend on the weights. `moments` as they were given.
  static double regression_error(const LayerMoments& moments, const std::vector<double>& weights);
  /// The biases with which the mean outputs are the wanted ones.
  std::vector<double> biases(const std::vector<double>& weights) const;
  /// Σ (w − v)ᵀ·H·(w − v) over all rows.
  double error(const std::vector<double>& weights, const std::vector<double>& other) const;

 private:
  /// One group's weights with columns in the order in which they are decided.
  std::vector<double> ordered(const std::vector<double>& weights, std::size_t group) const;
  void pass_on(std::vector<double>& rows, std::size_t group, std::size_t row, std::size_t column,
               double value) const;
  std::vector<std::size_t> block_shares(const std::vector<double>& weights,
                                        const std::vector<std::uint8_t>& mask, std::size_t count,
                                        const std::vector<double>& importance) const;
  /// Moves the kept weights of one output to where its error against `wanted` is least.
  void settle(double* weights, const double* wanted, const std::uint8_t* mask, std::size_t group) const;
  /// Moves single weights of one output to other permitted values as long as its error becomes smaller.
  void descend(double* weights, const double* wanted, const std::uint8_t* mask, std::size_t group,
               const std::function<double(double)>& nearest) const;

  LayerMoments moments_;                         // with the ridge on the diagonals
  std::vector<double> ridge_;                    // groups × columns
  std::vector<std::vector<std::size_t>> order_;  // per group: columns of large variance first
  std::vector<std::vector<double>> factor_;      // per group, in that order: U with H⁻¹ = Uᵀ·U
};

/// Marks the inputs to which adapting gave a weight far beyond any there was: what hardly varies on the
/// samples (a dying channel, say) explains next to nothing with a weight of any size, and one enormous weight
/// would leave the others no steps to be rounded to. Returns whether there were any that `pinned` (empty, or
/// groups × columns) had not yet.
bool pin_outliers(const std::vector<double>& before, const std::vector<double>& adapted, std::size_t groups,
                  std::size_t columns, std::vector<std::uint8_t>& pinned);

/// The damping with which weights that were adapted on the first half of the samples do best on the second:
/// few samples for many inputs ask for more. @param usual is kept unless another is clearly better
double choose_damping(const HalvedMoments& moments, const std::vector<double>& weights, double usual);

}  // namespace popcorn::compress
