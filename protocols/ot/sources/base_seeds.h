// What base transfers leave: the offering party has two seeds a transfer, the choosing one a bit and the seed
// it names.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "protocols/ot/bits/block.h"

namespace popcorn::protocols::ot {

inline constexpr std::size_t kBaseTransfers = 128;

struct OfferedSeeds {
  std::array<std::array<Block, 2>, kBaseTransfers> pairs;
};

struct ChosenSeeds {
  std::array<std::uint8_t, kBaseTransfers> choices;  ///< 0 or 1
  std::array<Block, kBaseTransfers> seeds;
};

}  // namespace popcorn::protocols::ot
