// The 256 base transfers of an extension, on Paillier: the key owner sends one of two seeds per transfer and
// does not learn which; the other side has no key of its own.
//
//   key owner (client)                               chooser (server), secret s ∈ {0,1}^256
//   [k0_i], [k1_i]            ──── request ────►     picks [k_i] = [k(s_i)_i], masks it: k_i + ρ_i
//   opens k_i + ρ_i           ◄──── reply ─────      packed, re-randomised
//   k_i + ρ_i                 ───── open ──────►     k_i
//
// ρ_i has 128 + σ bits, so the owner learns s_i with advantage 2^−σ at most; the chooser gets one seed of
// each pair, the other stays encrypted.
#pragma once

#include <cstddef>

#include "base/bytes.h"
#include "base/random.h"
#include "paillier/evaluator.h"
#include "paillier/key_owner.h"
#include "protocols/ot/extension.h"
#include "protocols/session_state.h"

namespace popcorn::protocols::ot {

struct BaseTransferSizes {
  std::size_t request_bytes = 0, reply_bytes = 0, open_bytes = 0;
  std::uint64_t request_ciphertexts = 0, reply_ciphertexts = 0;
};
BaseTransferSizes base_transfer_sizes(unsigned key_bits);
/// Modular multiplications of the chooser: for the request, and for the reply.
std::uint64_t base_request_cost();
std::uint64_t base_reply_cost(unsigned key_bits);

class BaseOwner {
 public:
  explicit BaseOwner(Rng& rng) : seeds_(ReceiverSeeds::draw(rng)) {}
  const ReceiverSeeds& seeds() const noexcept { return seeds_; }
  void request(const paillier::KeyOwner& owner, Bytes& out) const;
  /// Answers a reply. @throws InputError "ciphertext.invalid", "message.plaintext"
  Bytes open(const paillier::KeyOwner& owner, ByteView reply) const;

 private:
  ReceiverSeeds seeds_;
};

class BaseChooser {
 public:
  /// @throws InputError "ciphertext.invalid"
  BaseChooser(const paillier::Evaluator& evaluator, ByteView request);
  /// Draws s and the masks; appends the reply.
  void reply(const paillier::Evaluator& evaluator, Rng& rng, Bytes& out);
  /// @throws InputError "ot.opening" when a value is out of range
  SenderSeeds finish(ByteView open) const;

  /// Between reply() and finish().
  void save(StateWriter& out) const;
  /// @throws InputError "session_state.*"
  static BaseChooser restore(StateReader& in);

 private:
  BaseChooser() = default;

  paillier::CiphertextBatch seeds_;
  std::vector<std::uint8_t> choices_;
  WideVector masks_;
};

}  // namespace popcorn::protocols::ot
