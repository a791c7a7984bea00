// VAES on 512-bit registers: four blocks at once.
#include <immintrin.h>
#include <openssl/crypto.h>

#include "protocols/ot/kernels/kernel.h"

namespace popcorn::protocols::ot::kernels {

namespace {

#include "protocols/ot/kernels/vector_kernel.h"

struct V512 {
  using Register = __m512i;
  static constexpr std::size_t kBlocks = 4;
  /// Of the code: 32 outputs ahead hides the second-level cache.
  static constexpr std::size_t kOutputsTogether = 32;
  static constexpr bool kPrefetch = true;
  static Register load(const Block* from) { return _mm512_loadu_si512(from); }
  static void store(Block* to, Register x) { _mm512_storeu_si512(to, x); }
  static Register broadcast(const Block* from) { return _mm512_broadcast_i32x4(load_block(from)); }
  static Register zero() { return _mm512_setzero_si512(); }
  static Register exclusive_or(Register x, Register y) { return _mm512_xor_si512(x, y); }
  static Register both(Register x, Register y) { return _mm512_and_si512(x, y); }
  static Register round(Register x, Register key) { return _mm512_aesenc_epi128(x, key); }
  static Register last_round(Register x, Register key) { return _mm512_aesenclast_epi128(x, key); }
  template <int kHalves>
  static Register multiply(Register x, Register y) {
    return _mm512_clmulepi64_epi128(x, y, kHalves);
  }
  static Register swap_halves(Register x) {
    return _mm512_shuffle_epi32(x, static_cast<_MM_PERM_ENUM>(0x4e));
  }
  static Register first_block(__m128i x) { return _mm512_zextsi128_si512(x); }
  static __m128i fold(Register x) {
    const __m256i half = _mm256_xor_si256(_mm512_castsi512_si256(x), _mm512_extracti64x4_epi64(x, 1));
    return _mm_xor_si128(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1));
  }
  static Register sigma(Register x) {
    return _mm512_xor_si512(_mm512_shuffle_epi32(x, static_cast<_MM_PERM_ENUM>(0x4e)),
                            _mm512_maskz_mov_epi64(0xaa, x));
  }
  static Register counters(std::uint64_t first) {
    const auto at = static_cast<long long>(first);
    return _mm512_set_epi64(0, at + 3, 0, at + 2, 0, at + 1, 0, at);
  }
  static Register add(Register x, Register y) { return _mm512_add_epi64(x, y); }
  /// Every 32-bit word, to the left.
  static Register shifted_by_4(Register x) { return _mm512_slli_epi32(x, 4); }
  static void store_low_words(std::uint32_t* to, Register x) {
    // The lowest of the four 32-bit words of every block.
    const __m512i low = _mm512_maskz_compress_epi32(0x1111, x);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm512_castsi512_si128(low));
  }
};

class Vaes512 final : public VectorKernel<V512> {
 public:
  std::string_view name() const noexcept override { return "vaes512"; }
  bool supported() const noexcept override {
    return __builtin_cpu_supports("avx512f") != 0 && __builtin_cpu_supports("vaes") != 0 &&
           __builtin_cpu_supports("vpclmulqdq") != 0 && __builtin_cpu_supports("aes") != 0 &&
           __builtin_cpu_supports("pclmul") != 0;
  }
};

}  // namespace

const Kernel& vaes512() {
  static const Vaes512 kernel;
  return kernel;
}

}  // namespace popcorn::protocols::ot::kernels
