#include "paillier/kernels/cpu_features.h"

#if defined(__x86_64__)
#include <cpuid.h>

#include <cstdint>
#endif

namespace popcorn::paillier::kernels {

#if defined(__x86_64__)

namespace {

constexpr std::uint32_t kOsxsave = 1U << 27;  // leaf 1, ecx: the system uses XSAVE
// leaf 7, ebx
constexpr std::uint32_t kAvx512f = 1U << 16;
constexpr std::uint32_t kAvx512dq = 1U << 17;
constexpr std::uint32_t kAvx512ifma = 1U << 21;
constexpr std::uint32_t kAvx512bw = 1U << 30;
constexpr std::uint32_t kAvx512vl = 1U << 31;
// XCR0: SSE, AVX, opmask, upper halves of zmm0-15, zmm16-31
constexpr std::uint32_t kXcr0Avx512 = 0x02 | 0x04 | 0x20 | 0x40 | 0x80;

std::uint32_t xcr0() {
  std::uint32_t low = 0;
  std::uint32_t high = 0;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return low;
}

}  // namespace

bool cpu_has_avx512ifma() {
  std::uint32_t eax = 0;
  std::uint32_t ebx = 0;
  std::uint32_t ecx = 0;
  std::uint32_t edx = 0;
  if (__get_cpuid(1, &eax, &ebx, &ecx, &edx) == 0 || (ecx & kOsxsave) == 0) return false;
  if ((xcr0() & kXcr0Avx512) != kXcr0Avx512) return false;
  if (__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) == 0) return false;
  constexpr std::uint32_t kNeeded = kAvx512f | kAvx512dq | kAvx512ifma | kAvx512bw | kAvx512vl;
  return (ebx & kNeeded) == kNeeded;
}

#else

bool cpu_has_avx512ifma() {
  return false;
}

#endif

}  // namespace popcorn::paillier::kernels
