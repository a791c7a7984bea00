// Accuracy of an integer network on a data set, by the exact semantics.
#pragma once

#include <atomic>

#include "compress/dataset.h"
#include "models/network/integer_network.h"
#include "models/network/value_range.h"

namespace popcorn::compress {

/// Share of pictures whose largest output is their class (the lowest class wins a tie), through
/// models::FastEvaluator. @throws InputError "training.shape" when the pictures do not fit the network's
/// input; Interrupted when `stop` (may be null) becomes true
/// @param counts of a requantised network's values beyond their range; may be null
double integer_accuracy(const models::IntegerNetwork& network, const Dataset& data,
                        const std::atomic<bool>* stop = nullptr, models::RangeCounts* counts = nullptr);

/// The class of the largest output (times its scale) of each picture, the lowest in a tie. Else as above.
/// @param extremes what the nodes' values reach; may be null
std::vector<std::uint16_t> integer_answers(const models::IntegerNetwork& network, const Dataset& data,
                                           const std::atomic<bool>* stop = nullptr,
                                           models::RangeCounts* counts = nullptr,
                                           models::ValueExtremes* extremes = nullptr);

/// The integer inputs of pictures [first, first + count): pixel − offset, channel by channel.
std::vector<std::int16_t> integer_inputs(const models::IntegerNetwork& network, const Dataset& data,
                                         std::size_t first, std::size_t count);

}  // namespace popcorn::compress
