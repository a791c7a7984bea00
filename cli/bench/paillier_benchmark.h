// `popcorn bench paillier`: every primitive on the chosen kernel, on the portable one and with plain GMP.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cli/bench/sampling.h"

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
  std::string kernel;
  unsigned bits = 0;
  std::vector<PrimitiveFigure> figures;
};

/// One core, `samples` samples of each in turn. Minutes at 3072 bits.
PaillierBenchmark run_paillier_benchmark(unsigned bits, std::size_t samples, const std::string& only);

}  // namespace popcorn::cli
