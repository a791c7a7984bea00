// `popcorn bench linear`: the linear layers of a network on ciphertexts against one power per weight.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cli/bench/paillier_benchmark.h"
#include "cli/bench/sampling.h"
#include "models/network/integer_network.h"

namespace popcorn::cli {

struct LinearFigure {
  std::string name;
  std::string kind;
  std::size_t inputs = 0;
  std::size_t outputs = 0;
  std::uint64_t weights = 0;  ///< non-zero ones, each counted wherever it is used
  Timing seconds;             ///< of the layer
  Timing unshared_seconds;    ///< of the layer by the cheapest plan without shared tables
  /// Measured on a sample of the operations and scaled by their exact counts.
  Timing textbook_seconds;
  std::uint64_t textbook_sample = 0;           ///< different powers that were timed
  std::uint64_t planned_multiplications = 0;   ///< what the plan says
  std::uint64_t multiplications = 0;           ///< what was counted in a run
  std::uint64_t unshared_multiplications = 0;  ///< of the cheapest plan without shared tables
  std::uint64_t table_entries = 0;             ///< ciphertexts of the shared tables
  std::uint64_t naive_multiplications = 0;     ///< of the textbook
  std::size_t checked_outputs = 0;             ///< decrypted and compared with the plain sum

  double ratio_to_unshared() const { return unshared_seconds.median / seconds.median; }
  double ratio_to_textbook() const { return textbook_seconds.median / seconds.median; }
};

struct LinearBenchmark {
  std::string model;
  std::string kernel;
  unsigned bits = 0;
  std::vector<LinearFigure> layers;
};

/// Dense layers and convolutions of `network` on random encrypted inputs within their bounds, on one core.
/// @param only name of a layer; empty = all
/// @throws UsageError "bench.unknown_layer" that lists the names, CheckError "bench.wrong_result"
LinearBenchmark run_linear_benchmark(const models::IntegerNetwork& network, paillier::PrivateKey key,
                                     std::size_t samples, const std::string& only,
                                     const BenchmarkProgress& progress = {});

}  // namespace popcorn::cli
