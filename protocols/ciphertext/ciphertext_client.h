// The client's half of an inference on ciphertexts.
#pragma once

#include <memory>

#include "protocols/ciphertext/round_plan.h"
#include "protocols/ciphertext/steps/step_halves.h"
#include "protocols/engine.h"

namespace popcorn::protocols {

class CiphertextClient final : public ClientEngine {
 public:
  CiphertextClient(const ClientParts& parts, const SignTest& sign_test, WideVector input);

  const Schedule& schedule() const noexcept override { return plan_; }
  void message(std::uint64_t round, Bytes& out) override;
  WideVector decrypt(std::uint64_t round, ByteView ciphertexts) const override;
  void take(std::uint64_t round, WideVector plaintexts, ByteView section) override;
  const WideVector& result() const override { return logits_; }
  std::shared_ptr<const ot::KeptSetUp> transfer_set_up() const override { return step_.transfer_set_up(); }
  bool can_be_kept(std::uint64_t /*round*/) const override { return true; }
  void save(std::uint64_t round, StateWriter& out) const override;
  void restore(std::uint64_t round, StateReader& in) override;

 private:
  StepKind kind_of(const RoundPlan::Place& place) const { return plan_.steps()[place.step].kind; }

  std::shared_ptr<const paillier::KeyOwner> owner_;
  RoundPlan plan_;
  ot::SetUp set_up_;  ///< of the session's first step, wherever the session is
  ClientStep step_;
  WideVector input_;
  WideVector logits_;
};

}  // namespace popcorn::protocols
