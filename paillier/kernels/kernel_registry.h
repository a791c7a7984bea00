// The list of kernels and the choice among them.
#pragma once

#include <span>
#include <string_view>

#include "paillier/kernels/kernel.h"

namespace popcorn::paillier::kernels {

/// All kernels compiled into this program, preferred first; not all may run here (Kernel::supported).
std::span<const Kernel* const> all();

/// The kernel in use: chosen once, at the first call, by POPCORN_KERNEL ("auto", "portable" or "avx512ifma")
/// or else the first supported one. A non-portable kernel must pass a known-answer self-test against GMP
/// before it is used.
/// @throws UsageError "kernel.unknown", RefusedError "kernel.unsupported", CheckError "kernel.self_test"
const Kernel& active();

/// Multiplies and squares fixed operands at several sizes and compares with GMP.
bool self_test(const Kernel& kernel);

}  // namespace popcorn::paillier::kernels
