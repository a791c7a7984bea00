// The choice of an optimiser, without LibTorch.
#pragma once

namespace popcorn::compress {

/// How the steps of weight matrices are formed; all other parameters always take Adam's.
enum class OptimizerKind {
  adam,  ///< Adam with decoupled weight decay (Loshchilov and Hutter 2019)
  /// Momentum made orthogonal by Newton's iteration (Jordan et al. 2024, "Muon"), scaled to the root mean
  /// square of Adam's steps (Liu et al. 2025, section 2.2) so that rate and decay mean the same for both.
  /// Needs fewer epochs for convolutions with batch-norm.
  muon
};

}  // namespace popcorn::compress
