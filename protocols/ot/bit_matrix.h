// Transposition of a bit matrix: 128 columns of n bits into n rows of 128 bits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "protocols/ot/block.h"

namespace popcorn::protocols::ot {

inline constexpr std::size_t kRowBits = 128;

/// `columns`: 128 columns of `column_bytes` bytes each, one after the other; bit j of a column is bit j mod 8
/// of its byte j / 8. Returns rows 0 … 8·column_bytes − 1; bit i of a row is column i. Constant-time.
std::vector<Block> transpose(std::span<const std::uint8_t> columns, std::size_t column_bytes);

}  // namespace popcorn::protocols::ot
