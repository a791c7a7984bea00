// The server's half of an inference on ciphertexts.
#pragma once

#include "protocols/ciphertext/network_run.h"
#include "protocols/ciphertext/round_plan.h"
#include "protocols/engine.h"

namespace popcorn::protocols {

class CiphertextServer final : public ServerEngine {
 public:
  CiphertextServer(const ServerParts& parts, const CiphertextNetwork& network, const SignTest& sign_test);

  const Schedule& schedule() const noexcept override { return plan_; }
  void take(std::uint64_t round, ByteView section) override;
  void answer(std::uint64_t round, paillier::CiphertextBatch ciphertexts, Bytes& out) override;
  ServerPhases phases() const noexcept override { return phases_; }
  std::shared_ptr<const ot::KeptSetUp> transfer_set_up() const override { return run_.transfer_set_up(); }
  std::size_t memory_bytes() const noexcept override { return run_.memory_bytes(); }
  void observe(ClientEngine& client, Observer observer) override;
  bool can_be_kept(std::uint64_t /*round*/) const override { return true; }
  /// From round 1 on what NetworkRun::save() appends.
  void save(std::uint64_t round, StateWriter& out) const override;
  void restore(std::uint64_t round, StateReader& in) override;

 private:
  bool compute(std::uint64_t round, paillier::CiphertextBatch ciphertexts, Bytes& out);

  std::shared_ptr<const paillier::PublicContext> key_;
  RoundPlan plan_;
  NetworkRun run_;
  ServerPhases phases_;
};

}  // namespace popcorn::protocols
