// What a server publishes of a network for inference on shares: shapes, rings, shifts and slot widths, no
// weights; and the sizes of the flights, which follow from them.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <vector>

#include "protocols/shares/layer/preparation.h"
#include "protocols/shares/plan/share_plan.h"

namespace popcorn::protocols::shares {

/// Of a dense layer or convolution, beside what its node says.
struct PackedFacts {
  std::size_t node = 0;
  std::int64_t groups = 1;
  unsigned sum_bits = 0;  ///< of the largest Σ|w| that meets in a slot: B = w + sum_bits + 1
  friend bool operator==(const PackedFacts&, const PackedFacts&) = default;
};

/// Bytes of a round: the client's flight and the server's.
struct FlightPair {
  std::uint64_t client = 0, server = 0;
  friend bool operator==(const FlightPair&, const FlightPair&) = default;
};

/// Of a whole inference, without what is encrypted.
struct ShareFlights {
  std::vector<FlightPair> transfers;  ///< those that make transfers in the preparation, if it does
  std::vector<FlightPair> online;
  friend bool operator==(const ShareFlights&, const ShareFlights&) = default;
};

struct ShareFacts {
  ShareNetwork network;
  std::vector<PackedFacts> layers;
  ShareFlights nearest, fast;  ///< by rounding

  const ShareFlights& flights(ShareRounding rounding) const noexcept {
    return rounding == ShareRounding::nearest ? nearest : fast;
  }
};

/// All but the flights. @throws as share_facts()
ShareFacts facts_without_flights(const models::IntegerNetwork& network);
/// Runs both roundings with shares of zero to see the flights: as long as two inferences' online phases.
/// @throws InputError "shares.ring", "shares.network" unless it is requantised, "model.too_wide"
ShareFacts share_facts(const models::IntegerNetwork& network);

/// The weighted layers with the plan's rings. @throws InputError "bundle.shares" when they do not fit it
PreparationPlan preparation_plan(const ShareFacts& facts, const SharePlan& plan);

nlohmann::json facts_to_json(const ShareFacts& facts);
/// Every number may be hostile: shapes are checked against each other. @throws InputError "bundle.shares"
ShareFacts facts_from_json(const nlohmann::json& json);

}  // namespace popcorn::protocols::shares
