#include "compress/quantisation/cholesky.h"

#include <cmath>

#include "base/error.h"

namespace popcorn::compress {

namespace {

/// A = R·Rᵀ in place, R upper triangular: the ordinary factorisation from the last row upwards. Row by row,
/// so that the innermost loops run along memory.
void factorise(std::vector<double>& a, std::size_t n) {
  for (std::size_t j = n; j-- > 0;) {
    double* const row = a.data() + j * n;
    if (!(row[j] > 0)) {
      throw Error("cholesky.indefinite", "a matrix of second moments is not positive definite");
    }
    const double pivot = std::sqrt(row[j]);
    // Column j of R above the diagonal, read from row j: the matrix is symmetric.
    for (std::size_t i = 0; i < j; ++i) row[i] /= pivot;
    row[j] = pivot;
    for (std::size_t i = 0; i < j; ++i) {
      const double factor = row[i];
      double* const target = a.data() + i * n;
      for (std::size_t k = 0; k <= i; ++k) target[k] -= factor * row[k];
    }
  }
}

}  // namespace

std::vector<double> inverse_factor(std::vector<double> matrix, std::size_t n) {
  factorise(matrix, n);
  // Row j of `matrix` now holds column j of R. U = R⁻¹: R·U = 1, solved for the rows of U from the last.
  std::vector<double> inverse(n * n, 0);
  for (std::size_t i = n; i-- > 0;) {
    double* const row = inverse.data() + i * n;
    row[i] = 1;
    for (std::size_t k = i + 1; k < n; ++k) {
      const double factor = matrix[k * n + i];
      const double* const below = inverse.data() + k * n;
      for (std::size_t c = k; c < n; ++c) row[c] -= factor * below[c];
    }
    for (std::size_t c = i; c < n; ++c) row[c] /= matrix[i * n + i];
  }
  return inverse;
}

}  // namespace popcorn::compress
