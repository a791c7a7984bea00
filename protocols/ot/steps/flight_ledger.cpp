#include "protocols/ot/steps/flight_ledger.h"

#include <utility>

namespace popcorn::protocols::ot {

void FlightLedger::message(bool from_first, std::uint64_t bytes) {
  if (bytes == 0) return;
  bytes += std::exchange(waiting_[from_first ? 0 : 1], 0);
  bytes_[from_first ? 0 : 1] += bytes;
  if (flights_.empty() || flights_.back().from_first != from_first) flights_.push_back({from_first, 0});
  flights_.back().bytes += bytes;
}

void FlightLedger::finish() {
  for (const bool from_first : {true, false})
    message(from_first, std::exchange(waiting_[from_first ? 0 : 1], 0));
}

}  // namespace popcorn::protocols::ot
