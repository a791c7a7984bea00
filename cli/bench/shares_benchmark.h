// `popcorn bench shares`: the online phase of requantised networks on shares, both parties in one process,
// each party's processor time by itself; the preparation is dealt.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "cli/bench/sampling.h"
#include "protocols/shares/plan/share_plan.h"

namespace popcorn::cli {

struct SharesFigure {
  std::string network;
  protocols::shares::ShareOptions options;
  std::uint64_t flights = 0;                 ///< of the online phase
  std::array<std::uint64_t, 2> bytes{};      ///< of it, from the server and from the client
  std::array<std::uint64_t, 2> transfers{};  ///< random ones: whose pads the server has both of, the client
  std::uint64_t transfer_bytes = 0;          ///< what those took, both directions
  std::array<Timing, 2> online;              ///< processor seconds of the server, of the client
  std::array<Timing, 2> ahead;               ///< to make the transfers before
  Timing sums;                               ///< processor seconds of the server for W·s alone
  std::uint64_t checked = 0, wrong = 0;      ///< values of tensors; nearest rounding only
};

struct SharesOptions {
  std::vector<std::string> models;  ///< paths or names of shipped requantised networks
  std::vector<protocols::shares::ShareOptions> variants;
  std::size_t samples = 3;
};

/// @throws as reading and planning the networks
std::vector<SharesFigure> run_shares_benchmark(
    const SharesOptions& options,
    const std::function<void(std::size_t done, std::size_t total, const std::string& what)>& progress = {});

}  // namespace popcorn::cli
