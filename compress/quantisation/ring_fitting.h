// How wide the rings of a requantised network must be, from what sample inputs make of it, and where its
// pools stand.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "models/network/integer_network.h"

namespace popcorn::compress {

/// Of SqueezeNet on pictures that it was not calibrated on, the largest values are up to half a bit larger.
inline constexpr double kRingMargin = 1.6;

/// Gives layers with weights, sums, sum-pools and rescales the rings that the inputs' largest values ask for:
/// the bits of `margin` times them, a sign, and one bit more where a step on signed values comes next, see
/// models::step_range(). None where the static bound is no wider. Calls finish().
/// @param network requantised; rings it has are forgotten
/// @param inputs `count` inputs, row after row, as models::FastEvaluator takes them
/// @throws UsageError "requantise.inputs" without inputs
void fit_rings(models::IntegerNetwork& network, const std::vector<std::int16_t>& inputs, std::size_t count,
               double margin = kRingMargin);

/// Puts each max-pool before the rescale (or join of rescales) that it reads where that takes fewer bytes on
/// shares by `bytes`, with rings fitted either way. Values stay the same, bit for bit.
void place_pools(models::IntegerNetwork& network, const std::vector<std::int16_t>& inputs, std::size_t count,
                 const std::function<std::uint64_t(const models::IntegerNetwork&)>& bytes);

}  // namespace popcorn::compress
