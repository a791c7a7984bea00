// Small dense linear algebra: what the second-order reconstruction needs and no more.
#pragma once

#include <cstddef>
#include <vector>

namespace popcorn::compress {

/// The upper triangular U with A⁻¹ = Uᵀ·U, for a symmetric positive definite A of n × n values, row-major:
/// the Cholesky factor A = R·Rᵀ with R upper triangular, inverted. n³/2 multiply-adds.
/// @throws Error "cholesky.indefinite" when A is not positive definite
std::vector<double> inverse_factor(std::vector<double> matrix, std::size_t n);

}  // namespace popcorn::compress
