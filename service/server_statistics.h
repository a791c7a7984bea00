// What a server saw since it started: counts only, there is nothing else to see.
#pragma once

#include <cstdint>

#include "protocols/plan/phases.h"

namespace popcorn::service {

struct ServerStatistics {
  std::uint64_t requests = 0, sessions_started = 0, sessions_finished = 0;
  std::uint64_t ciphertexts_received = 0, bytes_received = 0, bytes_sent = 0;
  std::uint64_t ciphertexts_ahead = 0;  ///< validated while the upload of their round went on
  std::uint64_t multiplications = 0;
  protocols::ServerPhases seconds;  ///< of all sessions together
  std::uint64_t prepared = 0;       ///< factors of re-randomisations made ahead while idle
  double offline_seconds = 0;       ///< wall seconds that took
};

}  // namespace popcorn::service
