// Pair sums with AVX2: one position of all lanes in a register, eight positions at a time.
#include <immintrin.h>

#include <type_traits>

#include "models/evaluation/kernels/pair_sums.h"

namespace popcorn::models::kernels {

namespace {

static_assert(kLanes == 8);

/// kCount positions, whose sums stay in registers over all taps.
template <std::size_t kCount>
void block(std::int32_t* sums, std::int32_t start, const std::int32_t* values, std::size_t stride,
           const PairTap* taps, std::size_t count) {
  __m256i sum[kCount];
  for (std::size_t j = 0; j < kCount; ++j) sum[j] = _mm256_set1_epi32(start);
  for (std::size_t t = 0; t < count; ++t) {
    const std::int32_t* const pairs = values + taps[t].offset;
    const __m256i weights = _mm256_set1_epi32(taps[t].weights);
    for (std::size_t j = 0; j < kCount; ++j) {
      const __m256i value = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(pairs + j * stride));
      sum[j] = _mm256_add_epi32(sum[j], _mm256_madd_epi16(value, weights));
    }
  }
  for (std::size_t j = 0; j < kCount; ++j)
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(sums + j * kLanes), sum[j]);
}

void run(std::int32_t* sums, std::size_t positions, std::int32_t start, const std::int32_t* values,
         std::size_t stride, const PairTap* taps, std::size_t count) {
  const auto advance = [&](auto by) {
    constexpr std::size_t kCount = decltype(by)::value;
    for (; positions >= kCount; positions -= kCount) {
      block<kCount>(sums, start, values, stride, taps, count);
      sums += kCount * kLanes;
      values += kCount * stride;
    }
  };
  advance(std::integral_constant<std::size_t, 8>());
  advance(std::integral_constant<std::size_t, 4>());
  advance(std::integral_constant<std::size_t, 2>());
  advance(std::integral_constant<std::size_t, 1>());
}

}  // namespace

const PairSums& avx2_pair_sums() {
  static constexpr PairSums kAvx2{"avx2", [] { return __builtin_cpu_supports("avx2") != 0; }, run};
  return kAvx2;
}

}  // namespace popcorn::models::kernels
