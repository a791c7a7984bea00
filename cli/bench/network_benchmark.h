// `popcorn bench network`: whole inferences, client and server in two processes over loopback HTTP.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "cli/bench/paillier_benchmark.h"
#include "cli/bench/sampling.h"
#include "cli/keys.h"
#include "protocols/session_options.h"

namespace popcorn::cli {

struct NetworkBenchmarkOptions {
  std::filesystem::path model;
  KeyOptions key;
  std::size_t runs = 5;
  std::string engine = protocols::kDefaultEngine;
  std::string sign_test;          ///< empty = the server's preference
  std::filesystem::path picture;  ///< input of every run; empty = random inputs
  bool textbook = true;
};

struct NetworkBenchmark {
  std::string model;
  std::string kernel;
  std::string engine;
  std::string sign_test;
  unsigned bits = 0;
  paillier::KeyKind key_kind = paillier::KeyKind::ordinary;
  std::size_t runs = 0;
  Timing seconds;                                          ///< wall, an inference
  double cpu_seconds_client = 0, cpu_seconds_server = 0;   ///< an inference, all cores
  std::uint64_t bytes_up = 0, bytes_down = 0, rounds = 0;  ///< of the first run
  /// Of them, what did not depend on the input.
  std::uint64_t preparation_bytes = 0, preparation_rounds = 0;
  std::uint64_t transfers = 0;  ///< random ones of an inference on shares, both directions; 0 on ciphertexts
  /// Runs whose largest output is the plaintext network's; all, with every output equal, unless the engine
  /// rounds fast.
  std::size_t same_label = 0;
  std::uint64_t multiplications = 0;  ///< modulo N² at the server, counted; mean of the runs, of which only
                                      ///< the first sets the transfers up
  std::uint64_t predicted_multiplications = 0;                   ///< what the cost model says
  std::uint64_t peak_memory_client = 0, peak_memory_server = 0;  ///< bytes, of the whole process
  std::vector<std::pair<std::string, double>> phases;            ///< seconds, mean of the runs
  /// Wall seconds by the step that a round belongs to, mean of the runs: the server's linear layers since the
  /// step before are in it.
  std::vector<std::pair<std::string, double>> steps;
  /// Wall seconds of what does not depend on the input and of what does, mean of the runs; the same steps.
  /// Both 0 for an engine that prepares nothing.
  double preparation_seconds = 0, online_seconds = 0;
  /// What `popcorn inspect --cost` would have said a moment before; of inferences that set the transfers up.
  double predicted_seconds = 0;
  std::uint64_t predicted_bytes_up = 0, predicted_bytes_down = 0;
  std::uint64_t predicted_memory_client = 0, predicted_memory_server = 0;
  unsigned cores = 1;
  Timing textbook_core_seconds;  ///< of one core; 0 when it was not asked for

  std::uint64_t online_bytes() const { return bytes_up + bytes_down - preparation_bytes; }
  std::uint64_t online_rounds() const { return rounds - preparation_rounds; }

  /// The textbook as if it kept all cores busy, against the wall seconds here. 0 without a textbook.
  double ratio_to_textbook() const {
    return textbook_core_seconds.median / static_cast<double>(cores) / seconds.median;
  }
};

/// Every result is compared with the plaintext network. The client's peak memory is taken
/// before this process does anything but being the client.
/// @throws CheckError "bench.wrong_result", and whatever an inference throws
NetworkBenchmark run_network_benchmark(const NetworkBenchmarkOptions& options,
                                       const BenchmarkProgress& progress = {});

}  // namespace popcorn::cli
