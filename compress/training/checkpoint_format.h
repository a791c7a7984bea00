// What the head of a training's checkpoint holds: magic, version, the run's name with its length, epochs
// done; 32 bits each, little-endian.
#pragma once

#include <cstdint>

namespace popcorn::compress {

constexpr std::uint32_t kCheckpointMagic = 0x4b434350;  // "PCCK"
constexpr std::uint32_t kCheckpointVersion = 1;
constexpr std::uint32_t kMaxCheckpointEpochs = 1U << 20;

}  // namespace popcorn::compress
