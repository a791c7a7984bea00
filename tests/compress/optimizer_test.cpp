// The optimisers. REQUIRE only: LibTorch brings a CHECK of its own.
#include "compress/training/optimizer.h"

#include <catch2/catch.hpp>

#include "tests/support/seeded_rng.h"

using namespace popcorn;
using namespace popcorn::compress;

TEST_CASE("orthogonal steps have singular values near one and the gradient's singular vectors") {
  test::SeededRng rng(8);
  for (const auto& [rows, columns] :
       {std::pair<std::int64_t, std::int64_t>{12, 40}, {40, 12}, {1, 9}, {16, 16}}) {
    std::vector<float> values(static_cast<std::size_t>(rows * columns));
    for (float& value : values) value = static_cast<float>(rng.between(-1000, 1000)) / 50;
    const at::Tensor matrix = to_tensor(values, at::kFloat).reshape({rows, columns});
    const at::Tensor result = orthogonalised(matrix);
    const bool tall = rows > columns;
    const at::Tensor gram = tall ? result.t().matmul(result) : result.matmul(result.t());
    const std::int64_t side = std::min(rows, columns);
    // The eigenvalues of the Gram matrix are the squares of the singular values.
    REQUIRE(gram.trace().item<double>() > 0.4 * static_cast<double>(side));
    REQUIRE(gram.trace().item<double>() < 1.5 * static_cast<double>(side));
    REQUIRE((gram - gram.diag().diag()).abs().max().item<double>() < 0.5);
    // The same singular vectors: the product with the matrix is symmetric and positive.
    const at::Tensor product = tall ? result.t().matmul(matrix) : result.matmul(matrix.t());
    REQUIRE((product - product.t()).abs().max().item<double>() < 1e-3 * product.abs().max().item<double>());
    REQUIRE(product.trace().item<double>() > 0);
    const at::Tensor coarse = orthogonalised_by_gram(matrix);
    REQUIRE(coarse.scalar_type() == at::kFloat);
    REQUIRE((coarse - result).norm().item<double>() < 0.1 * result.norm().item<double>());
  }
}
