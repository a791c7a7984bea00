// Which message of which size comes when: the same on both sides, and what the cost model counts.
//
//   round 0:    input            → question of the first step (or the logits)
//   round k:    k-th answer      → next question, the last → logits
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "protocols/client_bundle.h"
#include "protocols/sign_test.h"
#include "protocols/wire.h"

namespace popcorn::protocols {

class RoundPlan {
 public:
  /// @throws InputError "model.too_wide" when a step does not fit the key
  /// @param has_state whether both parties resume the set-up of an earlier session
  RoundPlan(const ClientBundle& bundle, const SignTest& sign_test, unsigned key_bits, bool has_state = false);

  std::uint64_t rounds() const noexcept { return places_.size() + 1; }
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
    return {steps_[step].count, steps_[step].bits, key_bits_, step == 0 ? set_up_ : SetUp::done};
  }
  /// What the input message and the first step carry to set the sign test up.
  SetUp set_up() const noexcept { return steps_.empty() ? SetUp::done : set_up_; }
  /// True when the first question of a step carries masked shares.
  bool has_shares(const Step& step) const noexcept;
  /// Ciphertexts of the selection in a step's last answer.
  std::uint64_t selection_ciphertexts(const Step& step) const noexcept;

  /// Name of the step that a round's reply or the next round's answer belongs to, for people.
  std::string step_name(std::uint64_t step) const;
  /// The client's message of a round, and the server's reply to it.
  MessageShape client_message(std::uint64_t round) const;
  MessageShape server_message(std::uint64_t round) const;
  /// Where those messages belong: step and exchange; the key is left empty.
  MessageAddress client_address(std::uint64_t round) const;
  MessageAddress server_address(std::uint64_t round) const;

  /// Parses a message and checks that it is the one due in a round, of exactly the size due, for that key.
  /// @throws InputError "message.*"; "message.foreign_key"; "message.size"; "round.repeated" and
  /// "round.out_of_order", which name the message that is due
  Message expect_client(std::uint64_t round, const Sha256& key, ByteView message) const;
  Message expect_server(std::uint64_t round, const Sha256& key, ByteView message) const;
  /// The same checks of the prefix alone.
  void check_client(std::uint64_t round, const Sha256& key, const MessagePrefix& got) const;
  void check_server(std::uint64_t round, const Sha256& key, const MessagePrefix& got) const;

 private:
  std::string describe(MessageKind kind, const MessageAddress& address) const;
  void check(const MessageShape& shape, const MessageAddress& address, const Sha256& key,
             const MessagePrefix& got) const;
  std::uint64_t ciphertext_bytes() const noexcept { return key_bits_ / 4; }

  std::vector<Step> steps_;
  std::vector<Place> places_;
  const SignTest* sign_test_;
  SetUp set_up_;
  unsigned key_bits_;
  std::uint64_t inputs_;
  std::uint64_t outputs_;
  unsigned output_bits_;
};

}  // namespace popcorn::protocols
