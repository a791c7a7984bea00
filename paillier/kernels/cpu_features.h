// What this processor and operating system can run.
#pragma once

namespace popcorn::paillier::kernels {

/// AVX-512 F, DQ, BW, VL and IFMA by CPUID, and the operating system saves the 512-bit state (XGETBV).
bool cpu_has_avx512ifma();

}  // namespace popcorn::paillier::kernels
