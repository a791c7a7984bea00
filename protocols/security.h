// The statistical parameters of the protocols.
#pragma once

namespace popcorn::protocols {

inline constexpr unsigned kStatisticalSecurity = 40;  ///< σ: masks are ℓ + 1 + σ bits
inline constexpr unsigned kBlindingBits = 128;        ///< κ of the blinded sign test

}  // namespace popcorn::protocols
