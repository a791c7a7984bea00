// Counts what the program has allocated with operator new: a program that links this replaces the global
// operators.
#pragma once

#include <cstddef>

namespace popcorn::test {

/// Bytes allocated and not yet freed, as the allocator rounds them.
std::size_t allocated_bytes() noexcept;
/// Largest value of allocated_bytes() since the last start_peak().
std::size_t peak_bytes() noexcept;
void start_peak() noexcept;

}  // namespace popcorn::test
