// What one inference costs.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace popcorn::protocols {

/// Exact in multiplications, ciphertexts and bytes on the wire.
struct InferenceCost {
  struct Layer {
    std::string name;
    std::string kind;
    std::uint64_t multiplications = 0;        ///< modulo N², squarings included
    std::uint64_t naive_multiplications = 0;  ///< one exponentiation per weight
    std::uint64_t ciphertexts_up = 0, ciphertexts_down = 0;
    std::uint64_t bytes_up = 0, bytes_down = 0;
  };
  std::string engine;
  std::vector<Layer> layers;
  std::uint64_t multiplications = 0, naive_multiplications = 0;
  std::uint64_t ciphertexts_up = 0, ciphertexts_down = 0;
  std::uint64_t bytes_up = 0, bytes_down = 0;  ///< message bodies of all rounds
  std::uint64_t rounds = 0;
  /// Upper bounds of what one session holds at its peak, with the message being answered and its answer;
  /// without what all sessions of a model or of a key share. For the kernel in use on this machine.
  std::uint64_t peak_memory_client = 0, peak_memory_server = 0;

  /// Sets the sums over the layers.
  void add_up();
};

}  // namespace popcorn::protocols
