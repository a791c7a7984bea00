// The 128 base transfers of an extension: endemic oblivious transfer [MR19, sec 5] on ristretto255, secure
// against malicious parties. Two messages.
//
//   owner (client), secret a                         chooser (server), secret s ∈ {0,1}^128
//   A = a·G                       ──── request ────►  checks A
//                                                     R(1−s)_i random, R(s)_i = b_i·G − H(s, R(1−s)_i)
//   K(v)_i = a·(R(v)_i + H(v, R(1−v)_i)) ◄── reply ─  K(s)_i = b_i·A
//
// Seeds are hashes of K with the side, the index and the whole transcript. (R(0)_i, R(1)_i) is a uniform pair
// whatever s is: the reply hides s perfectly, from any owner. The other key is a Diffie–Hellman value of A
// and a point that the random oracle H chose: nobody who knows it has not solved CDH. Nothing is opened and
// nothing is refused because of a secret, so there is no answer to learn from.
//
// Constant time in a, b and s; secrets are wiped.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/bytes.h"
#include "base/random.h"
#include "protocols/ot/sources/base_seeds.h"

namespace popcorn::protocols::ot {

inline constexpr std::size_t kPointBytes = 32;
inline constexpr std::size_t kBaseRequestBytes = kPointBytes;
inline constexpr std::size_t kBaseReplyBytes = kBaseTransfers * 2 * kPointBytes;

using PointBytes = std::array<std::uint8_t, kPointBytes>;

class BaseOwner {
 public:
  explicit BaseOwner(Rng& rng);
  ~BaseOwner();
  /// What save() gave. @param kept kKeptBytes, secret
  explicit BaseOwner(ByteView kept);
  void save(Bytes& out) const;
  static constexpr std::size_t kKeptBytes = 32;
  BaseOwner(const BaseOwner&) = delete;
  BaseOwner& operator=(const BaseOwner&) = delete;
  /// Appends the request.
  void request(Bytes& out) const;
  /// Both seeds of every transfer. @param nonce of the session, the same at both parties
  /// @param reply kBaseReplyBytes @throws FailedCheck "ot.point"
  OfferedSeeds finish(ByteView nonce, ByteView reply) const;

 private:
  std::array<std::uint8_t, 32> scalar_{};
  PointBytes point_{};
};

class BaseChooser {
 public:
  /// @param request kBaseRequestBytes @throws InputError "ot.point" unless it is a canonical point other than
  /// the identity; known from public bytes alone
  explicit BaseChooser(ByteView request);
  /// Draws s but for its first bit, which is 0 (so that Δ = ¬s is odd), and appends the reply. Once: another
  /// reply to the same request draws everything anew.
  ChosenSeeds reply(ByteView nonce, Rng& rng, Bytes& out) const;

 private:
  PointBytes point_{};
};

}  // namespace popcorn::protocols::ot
