// The networks that the literature measures two-party inference on, emulated where the kernel can.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace popcorn::cli {

struct NetworkProfile {
  std::string name;            ///< "lan"
  double bits_per_second = 0;  ///< of each direction
  double round_trip_seconds = 0;

  /// What messages take beyond the time on loopback: R·rounds + 8·bytes/B. An estimate: one message at a
  /// time, nothing for HTTP's headers, nothing for TCP's slow start.
  double seconds(std::uint64_t rounds, std::uint64_t bytes) const {
    constexpr double kBitsAByte = 8;
    return round_trip_seconds * static_cast<double>(rounds) +
           kBitsAByte * static_cast<double>(bytes) / bits_per_second;
  }
  /// "3 Gbit/s, 0.3 ms"
  std::string description() const;
};

/// lan: 3 Gbit/s, 0.3 ms there and back; wan: 400 Mbit/s, 40 ms.
const std::vector<NetworkProfile>& network_profiles();
/// @throws UsageError "network.unknown"
const NetworkProfile& network_profile(const std::string& name);

/// Whether enter_emulated() would succeed: it needs `ip` and `tc`, a kernel with netem, and the right to make
/// a network namespace (root, or user namespaces for everybody). Tried in a child process.
bool can_emulate(const NetworkProfile& profile);
/// Moves this thread, and all threads and processes that it starts from now on, into a network namespace of
/// their own with nothing but a loopback device of that delay and rate. For a process without other threads;
/// there is no way back. @throws Error "network.emulation"
void enter_emulated(const NetworkProfile& profile);

}  // namespace popcorn::cli
