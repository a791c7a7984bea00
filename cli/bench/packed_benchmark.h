// `popcorn bench packed`: the preparation of an inference on shares, both parties one after the other in one
// process on all cores.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cli/bench/paillier_benchmark.h"
#include "cli/bench/sampling.h"
#include "models/network/integer_network.h"
#include "protocols/shares/layer/preparation.h"

namespace popcorn::cli {

struct PackedFigure {
  std::string name;
  std::string input, output;         ///< shapes
  unsigned ring = 0, slot_bits = 0;  ///< w and B
  std::size_t slots = 0;             ///< of a plaintext
  std::size_t segments = 0;          ///< of a plane of outputs
  protocols::shares::PackedCost cost;
  std::uint64_t sum_multiplications = 0;  ///< those of the weighted sums, in the cost
  std::uint64_t multiplications = 0;      ///< of the server, counted in a run
  Timing encrypt, evaluate, decrypt;      ///< wall seconds of a layer: client, server, client
  std::size_t checked = 0, wrong = 0;     ///< outputs
};

struct PackedBenchmark {
  std::string model;
  std::string kernel;
  std::string key;  ///< "2048-bit ordinary key"
  double planning_seconds = 0;
  std::vector<PackedFigure> layers;
};

/// @param runs of which each layer's median counts; every output of every run is checked
/// @throws InputError "model.too_wide" for a network whose sums do not fit slots
PackedBenchmark run_packed_benchmark(const models::IntegerNetwork& network, paillier::PrivateKey key,
                                     std::size_t runs, const BenchmarkProgress& progress = {});

}  // namespace popcorn::cli
