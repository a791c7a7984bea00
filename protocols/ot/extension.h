// 1-of-N oblivious transfer extension for N ≤ 16 and messages of two bits [KK13], with a check against a
// receiver that does not send codewords [OOS17, KOS15].
//
//   receiver: seeds k0_i, k1_i (i < 256), choices r_j        sender: s ∈ {0,1}^256, seeds k_i = k(s_i)_i
//   u_i = G(k0_i) ⊕ G(k1_i) ⊕ C(r)_i  ─────── u ──────►     q_i = G(k_i) ⊕ s_i·u_i,  so row q_j = t_j ⊕ (s ∧
//   C(r_j)) m_r = z_r ⊕ H(t_j, j)             ◄─────── z ──────      z_v = m_v ⊕ H(q_j ⊕ (s ∧ C(v)), j)
//
// 32 bytes up and N/4 bytes down per transfer. Rows are folded to 128 bits before they are hashed, see
// code.h. Every transfer has its own index j, and the streams only run forward: no index is ever used twice.
// The tweak of H is j and a digest of all of u: pads that answer one u say nothing about those of another.
//
// The check. Columns are elements of GF(2^128)^B and are hashed by evaluation at two points ρ_1, ρ_2, which
// are the digest of the session's nonce, the position and all of u. Column i of C(r) is the sum of those of
// the four bit planes of the choices that its point names, so
//   receiver: X_k,p = Σ_b ρ_p^(B−b)·(bit plane k)_b,  digest of all T_i,p = Σ_b ρ_p^(B−b)·(t_i)_b
//   sender:   T_i,p must be Σ_b ρ_p^(B−b)·(q_i)_b ⊕ s_i·Σ_{k ∈ point(i)} X_k,p for all 256 columns i
// Every request carries two blocks (256 transfers) of random choices at the end: they mask all eight X_k,p
// perfectly (a Vandermonde system in ρ_1 ≠ ρ_2), and their pads are never used.
// Soundness: a set of columns is part of a codeword in every row exactly when its circuits hold, relations of
// at most 5 columns; there are fewer than 2^34, and one that does not hold survives both points with
// probability (B/2^128)^2: below 2^-188 for B ≤ 2^17 blocks, so that trying many u before one is sent (the
// challenge is a hash) stays hopeless. Then all columns but a set E are those of codewords, and the check
// passes only if the receiver guessed s_i for all i ∈ E: 2^-|E|. What a guess that came true has told is lost
// for as long as the seeds live: a false one must end them (FailedCheck), or bits could be asked one by one.
// k known bits cost 2^k set-ups, and 127 − k remain.
//
// A sender that deviates in z only changes the messages that it is free to choose; the receiver checks
// nothing that depends on its choices, so there is no selective failure.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "base/bytes.h"
#include "base/random.h"
#include "protocols/ot/aes.h"
#include "protocols/ot/code.h"

namespace popcorn::protocols::ot {

/// Seeds of the receiver of the extension (the sender of the base transfers).
struct ReceiverSeeds {
  std::array<std::array<Block, 2>, kCodeBits> pairs;
  static ReceiverSeeds draw(Rng& rng);
};

/// Choice bits (0 or 1) and chosen seeds of the sender of the extension.
struct SenderSeeds {
  std::array<std::uint8_t, kCodeBits> choices;
  std::array<Block, kCodeBits> chosen;
};

/// Bytes of u and of its check for `count` transfers.
std::size_t correction_bytes(std::size_t count);
/// Bytes of z for `count` transfers of `choices` messages (4, 8 or 16).
std::size_t transfer_bytes(std::size_t count, unsigned choices);

/// How far an extension has come: blocks read of every stream, transfers made.
struct ExtensionPosition {
  std::uint64_t blocks = 0;
  std::uint64_t transfers = 0;
};

class ExtensionReceiver {
 public:
  /// @param nonce of this use of the seeds; the sender's must be the same and never come again
  /// @param position of another receiver with the same seeds and nonce
  ExtensionReceiver(const ReceiverSeeds& seeds, ByteView nonce, ExtensionPosition position = {});
  ~ExtensionReceiver();
  /// Where the next request begins, or the last one while it is not answered: made again from there, with the
  /// same choices, it is the same.
  ExtensionPosition position() const noexcept { return position_; }
  /// Appends u and its check for choices in [0, 16). Answer it with receive() before the next batch.
  void request(std::span<const std::uint8_t> choices, Bytes& out);
  /// Messages of two bits, one a choice of the last request. @throws InputError "ot.length"
  void receive(ByteView transfers, unsigned choices, std::span<std::uint8_t> messages);

 private:
  Bytes nonce_;
  std::vector<std::array<StreamGenerator, 2>> streams_;
  Block mask_seed_;  ///< of the random choices
  Block binding_;    ///< of the last request's pads to its u
  std::vector<Block> rows_;
  std::vector<std::uint8_t> choices_;
  std::uint64_t blocks_ = 0;  ///< that the last request read
  ExtensionPosition position_;
  FixedKeyHash hash_;
};

class ExtensionSender {
 public:
  /// @param position of another sender with the same seeds and nonce, whose last request was answered
  ExtensionSender(const SenderSeeds& seeds, ByteView nonce, ExtensionPosition position = {});
  /// Of the next request; only once the last one was answered.
  ExtensionPosition position() const noexcept { return position_; }
  ~ExtensionSender();
  /// Takes u of `count` transfers. @throws FailedCheck "ot.check" when it is not made of codewords,
  /// InputError "ot.length"
  void take_request(ByteView correction, std::size_t count);
  /// Appends z for messages[j·choices + v] (two bits each) of the last request.
  void send(std::span<const std::uint8_t> messages, unsigned choices, Bytes& out);

 private:
  Bytes nonce_;
  std::array<std::uint8_t, kCodeBits> choice_bits_;
  Block binding_;  ///< of the last request's pads to its u
  std::vector<StreamGenerator> streams_;
  std::array<Block, kMaxChoices> differences_;
  std::vector<Block> rows_;
  ExtensionPosition position_;
  FixedKeyHash hash_;
};

}  // namespace popcorn::protocols::ot
