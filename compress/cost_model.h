// What a layer costs under encryption: an estimate that needs nothing but the network.
//
// The engine computes a weighted sum with one modular multiplication for every non-zero weight and about one
// more for every unit of the largest magnitude (bucket method), at every output position. `popcorn inspect
// --cost` prints the exact numbers of the engine at hand; these here steer and report the compression.
#pragma once

#include <cstdint>

#include "models/integer_network.h"

namespace popcorn::compress {

/// Homomorphic work and traffic of one inference, or of one node of it.
struct Cost {
  std::uint64_t multiplications = 0;   ///< modulo N²
  std::uint64_t ciphertexts_up = 0;    ///< client to server: inputs and answers to non-linear steps
  std::uint64_t ciphertexts_down = 0;  ///< packed, blinded values
  Cost& operator+=(const Cost& other);
};

struct CostSettings {
  unsigned key_bits = 2048;
  unsigned statistical_bits = 40;  ///< σ of the additive masks
  unsigned blinding_bits = 128;    ///< κ of the multiplicative blinding
};

/// @param network finished: bounds are needed for the packing
Cost node_cost(const models::IntegerNetwork& network, std::size_t node, const CostSettings& settings = {});
Cost network_cost(const models::IntegerNetwork& network, const CostSettings& settings = {});

/// Multiplications of a layer whose weights were all kept and rounded to 8 bits: what compression starts
/// from.
std::uint64_t dense_multiplications(const models::Node& node);

/// Bytes of one ciphertext on the wire: 2·key_bits / 8.
std::uint64_t ciphertext_bytes(const CostSettings& settings = {});

}  // namespace popcorn::compress
