#include "models/evaluation/kernels/pair_sums.h"

#include <algorithm>

namespace popcorn::models::kernels {

namespace {

std::uint32_t product(std::int32_t a, std::int32_t b) {
  const auto low = [](std::int32_t x) { return static_cast<std::int16_t>(x & 0xffff); };
  const auto high = [](std::int32_t x) { return static_cast<std::int16_t>(x >> 16); };
  return static_cast<std::uint32_t>(low(a) * low(b)) + static_cast<std::uint32_t>(high(a) * high(b));
}

void run(std::int32_t* sums, std::size_t positions, std::int32_t start, const std::int32_t* values,
         std::size_t stride, const PairTap* taps, std::size_t count) {
  for (std::size_t j = 0; j < positions; ++j) {
    std::uint32_t sum[kLanes];
    std::fill_n(sum, kLanes, static_cast<std::uint32_t>(start));
    for (std::size_t t = 0; t < count; ++t) {
      const std::int32_t* const pairs = values + j * stride + taps[t].offset;
      for (std::size_t lane = 0; lane < kLanes; ++lane) sum[lane] += product(pairs[lane], taps[t].weights);
    }
    for (std::size_t lane = 0; lane < kLanes; ++lane)
      sums[j * kLanes + lane] = static_cast<std::int32_t>(sum[lane]);
  }
}

}  // namespace

const PairSums& portable_pair_sums() {
  static constexpr PairSums kPortable{"portable", [] { return true; }, run};
  return kPortable;
}

const PairSums& pair_sums() {
#ifdef POPCORN_HAVE_MODEL_KERNELS
  static const PairSums& chosen = avx2_pair_sums().supported() ? avx2_pair_sums() : portable_pair_sums();
  return chosen;
#else
  return portable_pair_sums();
#endif
}

}  // namespace popcorn::models::kernels
