// Transposition of a bit matrix: 128 columns of n bits into n rows of 128 bits.
#pragma once

#include <cstddef>

#include "protocols/ot/bits/block.h"

namespace popcorn::protocols::ot {

inline constexpr std::size_t kRowBits = 128;

/// 128 columns that begin `stride` blocks apart; bit j of a column is bit j mod 128 of its block j / 128.
/// Writes rows 0 … 128·groups − 1; bit i of a row is column i. Constant-time.
void transpose(const Block* columns, std::size_t stride, std::size_t groups, Block* rows);

}  // namespace popcorn::protocols::ot
