// The inner loops of clear sums, compiled once for each instruction set: included by their sources only.
#pragma once

#include <cstddef>
#include <cstdint>

namespace popcorn::protocols::shares {

/// y[i] += weight·x[i] modulo 2^32.
using AddScaled = void (*)(std::uint32_t* y, const std::uint32_t* x, std::uint32_t weight, std::size_t count);
/// Σ x[i]·y[i] modulo 2^32.
using Product = std::uint32_t (*)(const std::int32_t* x, const std::uint32_t* y, std::size_t count);

struct ClearLoops {
  const char* name;
  AddScaled add_scaled;
  Product product;
};
const ClearLoops& clear_loops_avx2();
const ClearLoops& clear_loops_avx512();

namespace {

inline void add_scaled_loop(std::uint32_t* __restrict y, const std::uint32_t* __restrict x,
                            std::uint32_t weight, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) y[i] += weight * x[i];
}

inline std::uint32_t product_loop(const std::int32_t* __restrict x, const std::uint32_t* __restrict y,
                                  std::size_t count) {
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i < count; ++i) sum += static_cast<std::uint32_t>(x[i]) * y[i];
  return sum;
}

}  // namespace

}  // namespace popcorn::protocols::shares
