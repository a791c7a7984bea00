// What only the owner of a private key can do: fast encryption and decryption by CRT, straight to and from
// the wire.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

#include "base/bytes.h"
#include "base/random.h"
#include "base/wide_vector.h"
#include "paillier/keys/keys.h"

namespace popcorn::paillier {

namespace kernels {
struct Kernel;
}

/// Tables and moduli p², q² of a private key. Heavy (about 10 MB at 2048 bits), immutable, thread-safe.
/// Everything here is constant-time in the key, the plaintexts and the randomness.
class KeyOwner {
 public:
  /// @param kernel nullptr = the active one
  explicit KeyOwner(PrivateKey key, Rng& rng = system_rng(), const kernels::Kernel* kernel = nullptr);
  ~KeyOwner();

  const PublicKey& public_key() const noexcept;
  const PrivateKey& private_key() const noexcept;

  /// Appends fresh encryptions of values in [−2^(|N|−2), 2^(|N|−2)) to `out`, fixed-width big-endian. DJN
  /// randomness by fixed-base tables modulo p² and q² [DJN10, sec 4.2].
  /// @throws Error "plaintext.too_large" for other values; `out` is then as it was
  void encrypt(const WideVector& values, Bytes& out) const;
  /// Makes the randomness of at least `count` encryptions ahead, on all cores. encrypt() takes what there is
  /// and uses each value once; with it an encryption costs a few multiplications instead of two powers.
  void prepare(std::size_t count) const;
  /// Encryptions whose randomness is ready.
  std::size_t prepared() const;
  /// Decrypts `count` ciphertexts to signed values of `limbs` words [Paillier 1999, sec 7].
  /// @throws InputError "ciphertext.invalid" for c not in Z*_{N²}, "plaintext.too_large" when one needs more
  /// words
  WideVector decrypt(ByteView ciphertexts, std::size_t count, std::size_t limbs) const;
  /// The plaintexts as residues in [0, N), of residue_limbs() words: what a mask uniform modulo N left.
  /// @throws InputError "ciphertext.length", "ciphertext.invalid"
  WideVector decrypt_residues(ByteView ciphertexts, std::size_t count) const;

  std::uint64_t encryptions() const noexcept { return encryptions_; }
  std::uint64_t decryptions() const noexcept { return decryptions_; }

  struct Parts;

 private:
  enum class Representative { centred, residue };
  WideVector decrypt_as(ByteView ciphertexts, std::size_t count, std::size_t limbs,
                        Representative representative) const;

  std::unique_ptr<Parts> parts_;
  mutable std::atomic<std::uint64_t> encryptions_{0};
  mutable std::atomic<std::uint64_t> decryptions_{0};
};

/// Textbook encryption (1 + mN)·r^N mod N² with GMP alone: the reference that tests and benchmarks compare
/// with. Appends fixed-width big-endian ciphertexts.
void encrypt_textbook(const PublicKey& key, const WideVector& values, Bytes& out, Rng& rng = system_rng());

}  // namespace popcorn::paillier
