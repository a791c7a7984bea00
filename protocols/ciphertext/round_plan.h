// The schedule of the engine "ciphertext", which also its cost model counts.
//
//   round 0:    input            → question of the first step (or the logits)
//   round k:    k-th answer      → next question, the last → logits
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "protocols/ciphertext/sign/sign_protocol.h"
#include "protocols/client_bundle.h"
#include "protocols/plan/schedule.h"

namespace popcorn::protocols {

class RoundPlan final : public Schedule {
 public:
  /// @throws InputError "model.too_wide" when a step does not fit the key
  /// @param has_state whether both parties resume the set-up of an earlier session
  RoundPlan(const ClientBundle& bundle, const SignTest& sign_test, unsigned key_bits, bool has_state = false);

  std::uint64_t rounds() const noexcept override { return places_.size() + 1; }
  Phase phase(std::uint64_t /*round*/) const override { return Phase::online; }
  const std::vector<Step>& steps() const noexcept { return steps_; }
  const SignTest& sign_test() const noexcept { return *sign_test_; }
  unsigned key_bits() const noexcept { return key_bits_; }
  std::uint64_t inputs() const noexcept { return inputs_; }
  std::uint64_t outputs() const noexcept { return outputs_; }
  unsigned output_bits() const noexcept { return output_bits_; }

  /// Step and exchange that the client's message of a round >= 1 answers.
  struct Place {
    std::uint32_t step = 0;
    std::uint32_t exchange = 0;
    bool last = false;  ///< of the step: its answer carries the selection
  };
  const Place& place(std::uint64_t round) const { return places_.at(static_cast<std::size_t>(round - 1)); }

  SignTestShape sign_test_shape(std::size_t step) const {
    return {steps_[step].count, steps_[step].bits, key_bits_, step == 0 ? set_up_ : ot::SetUp::done};
  }
  /// What the input message and the first step carry to set the sign test up.
  ot::SetUp set_up() const noexcept { return steps_.empty() ? ot::SetUp::done : set_up_; }
  /// True when the first question of a step carries masked shares.
  bool has_shares(const Step& step) const noexcept;
  /// Ciphertexts of the selection in a step's last answer.
  std::uint64_t selection_ciphertexts(const Step& step) const noexcept;

  std::string step_name(std::uint64_t step) const override;
  MessageShape client_message(std::uint64_t round) const override;
  MessageShape server_message(std::uint64_t round) const override;
  MessageAddress client_address(std::uint64_t round) const override;
  MessageAddress server_address(std::uint64_t round) const override;
  /// With those in the sign tests' sections.
  std::uint64_t rerandomisations() const override;

 private:
  std::uint64_t ciphertext_bytes() const noexcept { return key_bits_ / 4; }

  std::vector<Step> steps_;
  std::vector<Place> places_;
  const SignTest* sign_test_;
  ot::SetUp set_up_;
  unsigned key_bits_;
  std::uint64_t inputs_;
  std::uint64_t outputs_;
  unsigned output_bits_;
};

/// @throws InputError "model.too_wide" that names the node when one of its values, with its mask or its
/// blinding, could exceed what a plaintext of a |N| = key_bits key holds
void check_plaintext_space(const models::IntegerNetwork& network, const std::vector<Step>& steps,
                           unsigned key_bits, const SignTest& sign_test);

/// plan_steps() with the check for a key size and the blinded sign test, the widest.
std::vector<Step> step_list(const models::IntegerNetwork& network, unsigned key_bits);

}  // namespace popcorn::protocols
