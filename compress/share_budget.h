// What activations and weights may take for a given cost on shares.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>

#include "compress/dataset.h"
#include "compress/float_graph.h"
#include "compress/pruning/pruning.h"
#include "compress/quantisation/quantisation.h"

namespace popcorn::compress {

/// Of one inference, as protocols::estimate_shares() counts with its default key and rounding to nearest.
struct ShareBudget {
  std::optional<std::uint64_t> multiplications, bytes;
};

/// Lowers quantisation.activations, layer by layer, until the bytes fit: where a bit less saves most for the
/// noise that it adds, to no fewer than kLeastActivationBits. Then raises pruning.sparsity (to 1/64) until
/// the multiplications fit. Both are tried on the network rounded plainly.
/// @param graph without batch-norm, can_round_activations()
/// @param pictures for the values' ranges, some dozen
/// @throws UsageError "cost.target" with the least that can be reached
void fit_share_budget(const FloatGraph& graph, const Dataset& pictures, const ShareBudget& budget,
                      PruningOptions& pruning, QuantisationOptions& quantisation,
                      const std::atomic<bool>* stop = nullptr);
inline constexpr int kLeastActivationBits = 4;

}  // namespace popcorn::compress
