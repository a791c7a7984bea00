// Steps with both parties in one process: for samples of a layer and for measurements.
#pragma once

#include <cstdint>

#include "protocols/ciphertext/steps/step_halves.h"

namespace popcorn::protocols {

/// Not thread-safe.
class LocalStep {
 public:
  /// The references must outlive the object.
  LocalStep(const SignTest& sign_test, const paillier::KeyOwner& owner, const paillier::Evaluator& evaluator,
            Rng& rng);

  /// The step's result for every x, |x| < 2^bits. The first one sets the sign test up.
  paillier::CiphertextBatch run(StepKind kind, unsigned bits, const paillier::CiphertextBatch& x);

  /// Of the last run.
  struct Work {
    StepSeconds server, client;    ///< wall; selections with their parsing, shares with their decryption
    std::uint64_t shares = 0;      ///< ciphertexts
    std::uint64_t selections = 0;  ///< ciphertexts
    std::uint64_t test_bytes = 0;  ///< of the sign test's sections, both ways
  };
  const Work& work() const noexcept { return work_; }

 private:
  void set_up(SignTestShape& shape);
  void share_and_test(StepKind kind, const SignTestShape& shape);

  const SignTest& sign_test_;
  const paillier::KeyOwner& owner_;
  const paillier::Evaluator& evaluator_;
  ServerStep server_;
  ClientStep client_;
  bool is_set_up_ = false;
  Work work_;
};

}  // namespace popcorn::protocols
