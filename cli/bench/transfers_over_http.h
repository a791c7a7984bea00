// `popcorn bench transfers --http`: ReLU between two processes over loopback HTTP, by the server and the
// client connection that inferences use; the flights of both halves are the bodies.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

#include "protocols/ot/sources/random_transfer.h"

namespace popcorn::cli {

struct OverHttpOptions {
  std::string source = "b12";  ///< name of a protocols::ot::TransferSource
  std::string op = "relu";     ///< of transfer_operations(), one that works on shares
  unsigned ring = 16;
  unsigned kept = 8;
  std::size_t values = std::size_t{1} << 22;  ///< at least so many are measured
  /// Pairs of parties that run beside each other, a connection and a thread of each process for each: while
  /// one party of a pair computes, the other one waits.
  std::size_t sessions = 3;
};

/// Where a process spent its processor time, in seconds.
struct ProcessTime {
  double transfers = 0;  ///< making random transfers
  double steps = 0;      ///< what uses them
  double user = 0;       ///< all of the process, these two included
  double system = 0;
  ProcessTime operator-(const ProcessTime& earlier) const noexcept;
};

struct OverHttp {
  std::string kernel;
  std::uint64_t values = 0;
  double seconds = 0;  ///< wall
  ProcessTime server;  ///< the first party's process
  ProcessTime client;
  std::uint64_t bytes_down = 0;  ///< bodies from the server
  std::uint64_t bytes_up = 0;
  std::uint64_t requests = 0;
  std::uint64_t checked = 0;  ///< results that were opened: those of every session's first and last batch
  std::uint64_t wrong = 0;
};

/// Starts the server as a child process, which it must be possible to fork: before other threads. One core
/// for each thread. @throws UsageError as run_transfers_benchmark(), "bench.http_op"; Error "bench.child"
OverHttp run_transfers_over_http(const OverHttpOptions& options);

}  // namespace popcorn::cli
