// AES-NI and PCLMULQDQ: one block a register.
#include <immintrin.h>
#include <openssl/crypto.h>

#include "protocols/ot/kernels/kernel.h"

namespace popcorn::protocols::ot::kernels {

namespace {

#include "protocols/ot/kernels/vector_kernel.h"

struct V128 {
  using Register = __m128i;
  static constexpr std::size_t kBlocks = 1;
  /// As in vaes256.cpp.
  static constexpr std::size_t kOutputsTogether = 4;
  static constexpr bool kPrefetch = false;
  static Register load(const Block* from) { return load_block(from); }
  static void store(Block* to, Register x) { store_block(to, x); }
  static Register broadcast(const Block* from) { return load_block(from); }
  static Register zero() { return _mm_setzero_si128(); }
  static Register exclusive_or(Register x, Register y) { return _mm_xor_si128(x, y); }
  static Register both(Register x, Register y) { return _mm_and_si128(x, y); }
  static Register round(Register x, Register key) { return _mm_aesenc_si128(x, key); }
  static Register last_round(Register x, Register key) { return _mm_aesenclast_si128(x, key); }
  template <int kHalves>
  static Register multiply(Register x, Register y) {
    return _mm_clmulepi64_si128(x, y, kHalves);
  }
  static Register swap_halves(Register x) { return _mm_shuffle_epi32(x, 0x4e); }
  static Register first_block(__m128i x) { return x; }
  static __m128i fold(Register x) { return x; }
  static Register sigma(Register x) {
    return _mm_xor_si128(_mm_shuffle_epi32(x, 0x4e), _mm_and_si128(x, _mm_set_epi64x(-1, 0)));
  }
  static Register counters(std::uint64_t first) { return _mm_set_epi64x(0, static_cast<long long>(first)); }
  static Register add(Register x, Register y) { return _mm_add_epi64(x, y); }
  /// Every 32-bit word, to the left.
  static Register shifted_by_4(Register x) { return _mm_slli_epi32(x, 4); }
  static void store_low_words(std::uint32_t* to, Register x) {
    *to = static_cast<std::uint32_t>(_mm_cvtsi128_si32(x));
  }
};

class AesNi final : public VectorKernel<V128> {
 public:
  std::string_view name() const noexcept override { return "aesni"; }
  bool supported() const noexcept override {
    return __builtin_cpu_supports("aes") != 0 && __builtin_cpu_supports("pclmul") != 0;
  }
};

}  // namespace

const Kernel& aesni() {
  static const AesNi kernel;
  return kernel;
}

}  // namespace popcorn::protocols::ot::kernels
