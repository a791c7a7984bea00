// Counters of a running server.
#pragma once

#include <atomic>
#include <cstdint>

#include "service/server.h"

namespace popcorn::service {

struct Counters {
  std::atomic<std::uint64_t> requests{0}, sessions_started{0}, sessions_finished{0};
  std::atomic<std::uint64_t> ciphertexts_received{0}, bytes_received{0}, bytes_sent{0};
  std::atomic<std::uint64_t> multiplications{0};

  ServerStatistics snapshot() const {
    ServerStatistics out;
    out.requests = requests;
    out.sessions_started = sessions_started;
    out.sessions_finished = sessions_finished;
    out.ciphertexts_received = ciphertexts_received;
    out.bytes_received = bytes_received;
    out.bytes_sent = bytes_sent;
    out.multiplications = multiplications;
    return out;
  }
};

}  // namespace popcorn::service
