// `popcorn bench paillier`: every primitive on the chosen kernel, on the portable one and with plain GMP.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "cli/bench/sampling.h"
#include "paillier/keys/keys.h"

namespace popcorn::cli {

struct PrimitiveFigure {
  std::string op;
  Timing chosen;
  Timing portable;
  Timing gmp;
  double multiplications = 0;  ///< modulo N² an operation; 0 where the work is not modulo N²
  double ratio_to_gmp() const { return gmp.median / chosen.median; }
};

struct PaillierBenchmark {
  std::string kernel;  ///< the chosen one
  unsigned bits = 0;
  std::vector<PrimitiveFigure> figures;
};

/// Operations finished, operations in all, name of the one that is measured now.
using BenchmarkProgress = std::function<void(std::size_t done, std::size_t total, const std::string& what)>;

/// Names of all primitives, in the order of the report.
std::vector<std::string_view> primitive_names();

/// One core, `samples` samples of each in turn. @param only name of a primitive; empty = all
/// @throws UsageError "bench.unknown_op" that lists the names
PaillierBenchmark run_paillier_benchmark(const paillier::PrivateKey& key, std::size_t samples,
                                         const std::string& only, const BenchmarkProgress& progress = {});

}  // namespace popcorn::cli
