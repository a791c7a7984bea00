// W·s + bias of a dense layer or convolution on the server's share, in the clear: modulo 2^32, of which every
// ring is a part.
#pragma once

#include "models/network/integer_network.h"
#include "protocols/ot/sources/random_transfer.h"

namespace popcorn::protocols::shares {

/// Zero weights cost nothing in a convolution. Spread over the cores. Thread-safe; the node must outlive it.
class ClearSums {
 public:
  /// @param input shape of what the node reads
  ClearSums(const models::Node& node, const models::Shape& input);
  ot::Words operator()(const ot::Words& share) const;
  /// Of the instruction set whose loops run: "avx512", "avx2", "portable".
  static const char* kernel() noexcept;

 private:
  ot::Words dense(const ot::Words& share) const;
  ot::Words convolution(const ot::Words& share) const;
  /// The input in planes, one a residue modulo the strides, with their padding: every tap then reads a run.
  ot::Words planes(const ot::Words& share) const;
  void channel(std::size_t output, const ot::Words& planes, std::uint32_t* out) const;

  const models::Node& node_;
  models::Shape input_;
  std::size_t height_ = 0, width_ = 0;  ///< of a plane
  std::vector<std::size_t> taps_;       ///< where a tap's run begins in a channel's planes
  std::vector<std::uint32_t> bias_;
};

}  // namespace popcorn::protocols::shares
