// What a direct reading of the scheme costs for a linear layer: every operation counted exactly, each kind
// timed on a sample with GMP.
#pragma once

#include <cstdint>
#include <vector>

#include "cli/bench/gmp_textbook.h"
#include "cli/bench/sampling.h"
#include "models/network/integer_network.h"
#include "paillier/weighted_sum/weighted_sum.h"

namespace popcorn::cli {

/// Operations of one layer: c^|w| and a product for every non-zero weight, positive and negative products
/// apart, one division for each output that has negative weights, one product for each bias. (A textbook that
/// raises to N − |w| or inverts for every negative weight would be far slower.)
struct TextbookLayer {
  std::uint64_t powers = 0;
  std::uint64_t divisions = 0;
  std::uint64_t additions = 0;       ///< of plain biases
  std::vector<std::int32_t> sample;  ///< weights as they occur, one entry drawn per so many powers

  /// Counts a layer; draws the sample evenly over its weights, each as often as it is used.
  static TextbookLayer of(const paillier::LinearMap& map);
  /// What to time, in the order seconds() takes the timings: a power, a division, an addition.
  std::vector<Contender> contenders(GmpTextbook& gmp) const;
  /// Seconds of the whole layer from seconds of single operations.
  double seconds(double power, double division, double addition) const;
};

/// A whole inference, one value a ciphertext both ways: r^N for every input value and every answer, one
/// decryption for every value the client sees, and for each comparison a blinding power c^τ of 128 bits, one
/// more to take it off, and a product; a division where two values are compared. Re-randomisation, which a
/// direct reading forgets, is left out.
struct TextbookNetwork {
  std::vector<TextbookLayer> layers;
  std::uint64_t encryptions = 0;
  std::uint64_t decryptions = 0;
  std::uint64_t blindings = 0;
  std::uint64_t multiplications = 0;
  std::uint64_t divisions = 0;
  std::uint64_t additions = 0;

  static TextbookNetwork of(const models::IntegerNetwork& network);
  /// Times a sample of every kind of operation and scales; seconds of one core.
  Timing measure(GmpTextbook& gmp, std::size_t samples) const;
};

}  // namespace popcorn::cli
