// `popcorn bench transfers`: random transfers and steps on shares, both parties in one process, each party's
// processor time by itself, every result checked.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "cli/bench/sampling.h"

namespace popcorn::cli {

struct TransferFigure {
  std::string op;
  std::string source;
  unsigned ring = 0;     ///< w, bits of a value; 0 for transfers
  unsigned kept = 0;     ///< κ, bits that a truncation keeps; 0 where nothing is cut
  Timing sender;         ///< seconds a value, of the first party (the sender)
  Timing receiver;       ///< of the second
  double bytes = 0;      ///< a value, both directions, what its transfers take included
  double transfers = 0;  ///< random transfers a value, both directions
  unsigned flights = 0;  ///< of one step; 0 for transfers
  std::uint64_t wrong = 0;
  std::uint64_t checked = 0;
  std::uint64_t memory_bytes = 0;  ///< of the party that holds more
};

struct TransfersOptions {
  std::vector<std::string> sources;  ///< names of protocols::ot::TransferSource
  std::vector<std::string> ops;      ///< of transfer_operations(); empty = all
  unsigned ring = 16;
  unsigned kept = 8;
  std::size_t samples = 5;
  std::size_t values = std::size_t{1} << 20;  ///< random transfers of a sample; an eighth of that in steps
};

struct TransfersBenchmark {
  std::string kernel;
  std::vector<TransferFigure> figures;
};

/// In the order of the report.
const std::vector<std::string_view>& transfer_operations();

/// @throws UsageError "bench.unknown_op", "bench.width"
void check_transfers_options(const TransfersOptions& options);

/// On the calling thread. @throws UsageError "bench.unknown_op", "ot.parameters", "bench.width"
TransfersBenchmark run_transfers_benchmark(
    const TransfersOptions& options,
    const std::function<void(std::size_t done, std::size_t total, const std::string& what)>& progress = {});

}  // namespace popcorn::cli
