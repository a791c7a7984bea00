// Paillier key pairs: generation, validation, binary and JSON forms.
//
// N = p·q with |p| = |q|, gcd(pq, (p−1)(q−1)) = 1 [Paillier99]. Keys made here also have p ≡ q ≡ 3 (mod 4),
// gcd(p−1, q−1) = 2 and no odd factor below 2^16 in p−1 and q−1 [DJN10, sec 4.2], which keys made elsewhere
// need not. References in square brackets are resolved in paillier/README.md.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/random.h"
#include "base/secret_bytes.h"
#include "base/sha256.h"

namespace popcorn::paillier {

inline constexpr unsigned kDefaultKeyBits = 3072;
/// Longest key file or JSON text that is read.
inline constexpr std::size_t kMaxKeyFileBytes = std::size_t{1} << 16;

/// Which moduli are acceptable. Everything but tests uses `standard`.
enum class KeySizePolicy {
  standard,       ///< exactly 2048, 3072 or 4096 bits
  insecure_test,  ///< also any multiple of 128 from 256 to 4096 bits: breakable, for tests only
};

bool key_size_allowed(unsigned bits, KeySizePolicy policy) noexcept;

/// Whether a public key must come with the proof that its modulus is fit; see PublicKey::proof().
enum class ProofPolicy {
  optional,  ///< a proof that is there must be right
  required,  ///< for a key that somebody else's secrets will be hidden under
};

enum class KeyKind {
  ordinary,  ///< Paillier with Damgård–Jurik–Nielsen randomness
  subgroup,  ///< [MHL21]: h of short secret order; one more assumption, chosen by name
};

/// Bits of each of the two secret primes that make up the order of a subgroup key's generator: 224 at 2048,
/// 256 at 3072, 320 at 4096 bits, key_bits / 8 for test sizes. Encryption draws its exponent from twice as
/// many bits.
unsigned subgroup_order_bits(unsigned key_bits) noexcept;

/// A validated public key. Copyable, immutable, thread-safe.
class PublicKey {
 public:
  /// Takes and validates an ordinary modulus: big-endian, odd, exact bit length allowed by `policy`, no
  /// prime, no perfect power, no factor below 2^16. @throws InputError "key.bits", "key.modulus" saying which
  /// condition failed
  static PublicKey from_modulus(ByteView modulus, KeySizePolicy policy = KeySizePolicy::standard);
  /// Likewise for a subgroup key with its generator h (big-endian, in Z*_N): h ∉ {0, ±1}, gcd(h, N) = 1,
  /// Jacobi symbol +1, and modulo no factor of N an order that divides lcm(1 … 2^16). About 2^17 squarings
  /// modulo N.
  /// @throws InputError "key.bits", "key.modulus", "key.generator"
  static PublicKey from_subgroup(ByteView modulus, ByteView generator,
                                 KeySizePolicy policy = KeySizePolicy::standard);
  /// The form of serialise(), validated like from_modulus() and from_subgroup(), and its proof: 8
  /// exponentiations modulo N more.
  /// @throws InputError "key.magic", "key.version", "key.kind", "key.truncated", "key.trailing_bytes",
  /// "key.proof" (wrong), "key.proof_missing" and the above
  static PublicKey parse(ByteView wire, KeySizePolicy policy = KeySizePolicy::standard,
                         ProofPolicy proof = ProofPolicy::optional);
  /// JSON object, either Popcorn's own or python-paillier's JWK ("kty": "DAJ", "alg": "PAI-GN1", "n":
  /// base64url), which has a proof only where Popcorn's object was added.
  /// @throws InputError "key.json" (no JSON), "key.field" (names the field), "key.fingerprint" and the above
  static PublicKey from_json(std::string_view json, KeySizePolicy policy = KeySizePolicy::standard,
                             ProofPolicy proof = ProofPolicy::optional);

  KeyKind kind() const noexcept { return kind_; }
  /// |N|
  unsigned bits() const noexcept { return bits_; }
  /// N, big-endian, bits()/8 bytes.
  ByteView modulus() const noexcept { return modulus_; }
  /// h of a subgroup key, big-endian, bits()/8 bytes; empty for an ordinary key.
  ByteView generator() const noexcept { return generator_; }
  /// The proof that gcd(N, φ(N)) = 1 and that N has few prime factors, checked; empty when the key came
  /// without. Every key of a PrivateKey has one.
  ByteView proof() const noexcept { return proof_; }
  /// SHA-256 of the binary form without proof; the key's name everywhere.
  const Sha256& fingerprint() const noexcept { return fingerprint_; }
  /// Bytes of a ciphertext on the wire: 2·|N| bits.
  std::size_t ciphertext_bytes() const noexcept { return bits_ / 4; }

  /// "PPPK", version (u16: 1 without proof, 2 with one), kind (u8: 0 ordinary, 1 subgroup), 0 (u8), |N|
  /// (u32), N, h of a subgroup key, and the proof. Integers of the header are little-endian, N and h
  /// big-endian of |N|/8 bytes.
  Bytes serialise() const;
  std::string to_json() const;

  friend bool operator==(const PublicKey& x, const PublicKey& y) { return x.fingerprint_ == y.fingerprint_; }

 private:
  friend class PrivateKey;
  PublicKey() = default;
  static PublicKey from_valid(KeyKind kind, Bytes modulus, Bytes generator);
  Bytes serialise(ByteView proof) const;
  /// Checks a proof and keeps it. @throws InputError "key.proof"
  void take_proof(ByteView proof);

  KeyKind kind_ = KeyKind::ordinary;
  unsigned bits_ = 0;
  Bytes modulus_;
  Bytes generator_;
  Bytes proof_;
  Sha256 fingerprint_{};
};

/// A key pair. Movable only; its secrets are wiped on destruction.
class PrivateKey {
 public:
  /// New key pair from `rng`. Under a second at 3072 bits, variable time. @throws UsageError "key.bits" for a
  /// size outside `policy`
  static PrivateKey generate(unsigned bits = kDefaultKeyBits, KeyKind kind = KeyKind::ordinary,
                             KeySizePolicy policy = KeySizePolicy::standard, Rng& rng = system_rng());
  /// From the two primes (big-endian) of an ordinary key; checks that they are primes of |N|/2 bits, which
  /// implies gcd(pq, (p−1)(q−1)) = 1, and at least 2^(|N|/2 − 100) apart, and N as from_modulus() does.
  /// @throws InputError "key.primes", "key.bits", "key.modulus"
  static PrivateKey from_primes(ByteView p, ByteView q, KeySizePolicy policy = KeySizePolicy::standard);
  /// Likewise for a subgroup key with the secret primes of subgroup_order_bits() bits that divide p−1 and
  /// q−1, and h, whose order modulo p is 2·p_order and modulo q is 2·q_order; p ≡ q ≡ 3 (mod 4), gcd(p−1,
  /// q−1) = 2.
  /// @throws InputError "key.primes", "key.order", "key.generator", "key.bits", "key.modulus"
  static PrivateKey from_subgroup_primes(ByteView p, ByteView q, ByteView p_order, ByteView q_order,
                                         ByteView generator, KeySizePolicy policy = KeySizePolicy::standard);
  /// Reads the JSON of to_json() or python-paillier's private JWK, which has "p" and "q" or "lambda" and "mu"
  /// (N is factored with lambda then). A proof in its public part is checked; where there is none it is made.
  /// @throws InputError "key.json", "key.field" (names the field), "key.mismatch" and those of from_primes()
  static PrivateKey from_json(std::string_view json, KeySizePolicy policy = KeySizePolicy::standard);

  const PublicKey& public_key() const noexcept { return public_key_; }
  /// The primes, big-endian, bits()/16 bytes each. Secret.
  ByteView p() const noexcept { return p_.view(); }
  ByteView q() const noexcept { return q_.view(); }
  /// Secret prime factors of p−1 and q−1 of a subgroup key, big-endian, subgroup_order_bits()/8 bytes each;
  /// empty for an ordinary key. Secret.
  ByteView p_order() const noexcept { return p_order_.view(); }
  ByteView q_order() const noexcept { return q_order_.view(); }
  /// JSON with the private fields of python-paillier's JWK ("p", "q", "lambda", "mu", "pub"). Secret: prefer
  /// write_private_key(), which wipes the text.
  std::string to_json() const;

 private:
  explicit PrivateKey(PublicKey public_key) : public_key_(std::move(public_key)) {}
  static PrivateKey unproved(ByteView p, ByteView q, KeySizePolicy policy);
  static PrivateKey unproved_subgroup(ByteView p, ByteView q, ByteView p_order, ByteView q_order,
                                      ByteView generator, KeySizePolicy policy);
  void make_proof();

  PublicKey public_key_;
  SecretBytes p_;
  SecretBytes q_;
  SecretBytes p_order_;
  SecretBytes q_order_;
};

/// Reads a private key file (JSON). One that others may read (mode & 077) is refused.
/// @throws IoError, InputError "key.permissions", "file.too_large" and those of PrivateKey::from_json()
PrivateKey read_private_key(const std::string& path, KeySizePolicy policy = KeySizePolicy::standard);
/// Reads a public key file, JSON or the binary form. @throws IoError, InputError
PublicKey read_public_key(const std::string& path, KeySizePolicy policy = KeySizePolicy::standard);
/// Write the JSON form; the private key's file has mode 0600. @throws IoError
void write_private_key(const std::string& path, const PrivateKey& key);
void write_public_key(const std::string& path, const PublicKey& key);

}  // namespace popcorn::paillier
