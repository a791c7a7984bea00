// VAES on 256-bit registers: two blocks at once.
#include <immintrin.h>
#include <openssl/crypto.h>

#include "protocols/ot/kernels/kernel.h"

namespace popcorn::protocols::ot::kernels {

namespace {

#include "protocols/ot/kernels/vector_kernel.h"

struct V256 {
  using Register = __m256i;
  static constexpr std::size_t kBlocks = 2;
  /// Of the code: the next places are drawn between few look-ups, which the processor overlaps by itself; to
  /// prefetch them was slower (8.4 ns an output against 14).
  static constexpr std::size_t kOutputsTogether = 4;
  static constexpr bool kPrefetch = false;
  static Register load(const Block* from) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
  }
  static void store(Block* to, Register x) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), x); }
  static Register broadcast(const Block* from) { return _mm256_broadcastsi128_si256(load_block(from)); }
  static Register zero() { return _mm256_setzero_si256(); }
  static Register exclusive_or(Register x, Register y) { return _mm256_xor_si256(x, y); }
  static Register both(Register x, Register y) { return _mm256_and_si256(x, y); }
  static Register round(Register x, Register key) { return _mm256_aesenc_epi128(x, key); }
  static Register last_round(Register x, Register key) { return _mm256_aesenclast_epi128(x, key); }
  template <int kHalves>
  static Register multiply(Register x, Register y) {
    return _mm256_clmulepi64_epi128(x, y, kHalves);
  }
  static Register swap_halves(Register x) { return _mm256_shuffle_epi32(x, 0x4e); }
  static Register first_block(__m128i x) { return _mm256_zextsi128_si256(x); }
  static __m128i fold(Register x) {
    return _mm_xor_si128(_mm256_castsi256_si128(x), _mm256_extracti128_si256(x, 1));
  }
  static Register sigma(Register x) {
    return _mm256_xor_si256(_mm256_shuffle_epi32(x, 0x4e),
                            _mm256_and_si256(x, _mm256_set_epi64x(-1, 0, -1, 0)));
  }
  static Register counters(std::uint64_t first) {
    return _mm256_set_epi64x(0, static_cast<long long>(first + 1), 0, static_cast<long long>(first));
  }
  static Register add(Register x, Register y) { return _mm256_add_epi64(x, y); }
  /// Every 32-bit word, to the left.
  static Register shifted_by_4(Register x) { return _mm256_slli_epi32(x, 4); }
  static void store_low_words(std::uint32_t* to, Register x) {
    to[0] = static_cast<std::uint32_t>(_mm_cvtsi128_si32(_mm256_castsi256_si128(x)));
    to[1] = static_cast<std::uint32_t>(_mm_cvtsi128_si32(_mm256_extracti128_si256(x, 1)));
  }
};

class Vaes256 final : public VectorKernel<V256> {
 public:
  std::string_view name() const noexcept override { return "vaes256"; }
  bool supported() const noexcept override {
    return __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("vaes") != 0 &&
           __builtin_cpu_supports("vpclmulqdq") != 0 && __builtin_cpu_supports("aes") != 0 &&
           __builtin_cpu_supports("pclmul") != 0;
  }
};

}  // namespace

const Kernel& vaes256() {
  static const Vaes256 kernel;
  return kernel;
}

}  // namespace popcorn::protocols::ot::kernels
