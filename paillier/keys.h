// Paillier key pairs: generation, validation, binary and JSON forms.
//
// N = p·q with |p| = |q|, p ≡ q ≡ 3 (mod 4), gcd(pq, (p−1)(q−1)) = 1 [Paillier 1999; DJN10, sec 4.2].
// References in square brackets are resolved in paillier/README.md.
#pragma once

#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/random.h"
#include "base/sha256.h"

namespace popcorn::paillier {

inline constexpr unsigned kDefaultKeyBits = 3072;

/// Which moduli are acceptable. Everything but tests uses `standard`.
enum class KeySizePolicy {
  standard,       ///< exactly 2048, 3072 or 4096 bits
  insecure_test,  ///< also any even size from 256 bits: breakable, for tests only
};

enum class KeyKind {
  ordinary,  ///< Paillier with Damgård–Jurik–Nielsen randomness
  subgroup,  ///< Ma, Han, Lei 2021: short secret subgroup order; one more assumption, chosen by name
};

/// A byte string that is wiped when it goes away and is never copied by accident.
class SecretBytes {
 public:
  SecretBytes() = default;
  explicit SecretBytes(Bytes bytes) : bytes_(std::move(bytes)) {}
  SecretBytes(SecretBytes&& other) noexcept;
  SecretBytes& operator=(SecretBytes&& other) noexcept;
  SecretBytes(const SecretBytes&) = delete;
  SecretBytes& operator=(const SecretBytes&) = delete;
  ~SecretBytes();
  ByteView view() const noexcept { return bytes_; }

 private:
  Bytes bytes_;
};

/// A validated public key. Copyable, immutable, thread-safe.
class PublicKey {
 public:
  /// Takes and validates an ordinary modulus: big-endian, odd, exact bit length allowed by `policy`, no prime, no
  /// perfect power, no factor below 2^16. @throws InputError "key.*" that says which condition failed
  static PublicKey from_modulus(ByteView modulus, KeySizePolicy policy = KeySizePolicy::standard);
  /// Likewise for a subgroup key with its generator h (big-endian, in Z*_N): h ∉ {0, ±1}, gcd(h, N) = 1, no small
  /// order. @throws InputError "key.*"
  static PublicKey from_subgroup(ByteView modulus, ByteView generator,
                                 KeySizePolicy policy = KeySizePolicy::standard);
  /// Versioned binary form, see serialise(). @throws InputError "key.*"
  static PublicKey parse(ByteView wire, KeySizePolicy policy = KeySizePolicy::standard);
  /// JSON object, either Popcorn's own or python-paillier's JWK ("kty": "DAJ", "alg": "PAI-GN1", "n": base64url).
  /// @throws InputError "key.*" that names the field
  static PublicKey from_json(std::string_view json, KeySizePolicy policy = KeySizePolicy::standard);

  KeyKind kind() const noexcept { return kind_; }
  /// |N|
  unsigned bits() const noexcept { return bits_; }
  /// N, big-endian, bits()/8 bytes.
  ByteView modulus() const noexcept { return modulus_; }
  /// h of a subgroup key, big-endian, bits()/8 bytes; empty for an ordinary key.
  ByteView generator() const noexcept { return generator_; }
  /// SHA-256 of serialise(); the key's name everywhere.
  const Sha256& fingerprint() const noexcept { return fingerprint_; }
  /// Bytes of a ciphertext on the wire: 2·|N| bits.
  std::size_t ciphertext_bytes() const noexcept { return bits_ / 4; }

  Bytes serialise() const;
  std::string to_json() const;

 private:
  PublicKey() = default;
  KeyKind kind_ = KeyKind::ordinary;
  unsigned bits_ = 0;
  Bytes modulus_;
  Bytes generator_;
  Sha256 fingerprint_{};
};

/// A key pair. Movable only; its secrets are wiped on destruction.
class PrivateKey {
 public:
  /// New key pair from `rng`. Seconds at 3072 bits. @throws UsageError "key.bits" for a size outside `policy`
  static PrivateKey generate(unsigned bits = kDefaultKeyBits, KeyKind kind = KeyKind::ordinary,
                             KeySizePolicy policy = KeySizePolicy::standard, Rng& rng = system_rng());
  /// From the two primes (big-endian); checks every condition of a key. For a subgroup key also the secret primes
  /// that divide p−1 and q−1, and h. @throws InputError "key.*"
  static PrivateKey from_primes(ByteView p, ByteView q, KeySizePolicy policy = KeySizePolicy::standard);
  /// Reads the JSON of to_json() or python-paillier's private JWK. @throws InputError "key.*" that names the field
  static PrivateKey from_json(std::string_view json, KeySizePolicy policy = KeySizePolicy::standard);

  const PublicKey& public_key() const noexcept { return public_key_; }
  /// The primes, big-endian, bits()/16 bytes each. Secret.
  ByteView p() const noexcept { return p_.view(); }
  ByteView q() const noexcept { return q_.view(); }
  /// Secret prime factors of p−1 and q−1 of a subgroup key, big-endian; empty for an ordinary key. Secret.
  ByteView p_order() const noexcept { return p_order_.view(); }
  ByteView q_order() const noexcept { return q_order_.view(); }
  /// JSON with the private fields of python-paillier's JWK ("p", "q", "lambda", "mu", "pub"). Secret: write it with
  /// write_file(path, …, 0600) only.
  std::string to_json() const;

 private:
  explicit PrivateKey(PublicKey public_key) : public_key_(std::move(public_key)) {}
  PublicKey public_key_;
  SecretBytes p_;
  SecretBytes q_;
  SecretBytes p_order_;
  SecretBytes q_order_;
};

/// Reads a key file. A private key that others may read (mode & 077) is refused. @throws IoError, InputError
PrivateKey read_private_key(const std::string& path, KeySizePolicy policy = KeySizePolicy::standard);
PublicKey read_public_key(const std::string& path, KeySizePolicy policy = KeySizePolicy::standard);

}  // namespace popcorn::paillier
