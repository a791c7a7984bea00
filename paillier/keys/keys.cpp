#include "paillier/keys/keys.h"

#include <openssl/crypto.h>

#include <algorithm>
#include <array>
#include <utility>

#include "base/error.h"
#include "paillier/keys/key_proof.h"
#include "paillier/keys/key_validation.h"
#include "paillier/secret_mpz.h"

namespace popcorn::paillier {

namespace {

constexpr std::array<std::uint8_t, 4> kMagic = {'P', 'P', 'P', 'K'};
constexpr std::uint16_t kPlainVersion = 1;
constexpr std::uint16_t kProofVersion = 2;
constexpr unsigned kMaxBits = 4096;

/// The number without leading zeros, refused when it is longer than any key's: nothing is computed with it
/// before.
ByteView bounded(ByteView number, const char* what) {
  while (!number.empty() && number.front() == 0) number = number.subspan(1);
  if (number.size() > kMaxBits / 8) {
    throw InputError("key.bits", std::string(what) + " has more than " + std::to_string(kMaxBits) + " bits");
  }
  return number;
}

}  // namespace

bool key_size_allowed(unsigned bits, KeySizePolicy policy) noexcept {
  if (bits == 2048 || bits == 3072 || bits == 4096) return true;
  return policy == KeySizePolicy::insecure_test && bits >= 256 && bits <= kMaxBits && bits % 128 == 0;
}

PublicKey PublicKey::from_valid(KeyKind kind, Bytes modulus, Bytes generator) {
  PublicKey key;
  key.kind_ = kind;
  key.bits_ = static_cast<unsigned>(8 * modulus.size());
  key.modulus_ = std::move(modulus);
  key.generator_ = std::move(generator);
  key.fingerprint_ = sha256(key.serialise({}));
  return key;
}

PublicKey PublicKey::from_modulus(ByteView modulus, KeySizePolicy policy) {
  const SecretMpz n(bounded(modulus, "the modulus of the key"));
  check_modulus(n, policy);
  return from_valid(KeyKind::ordinary, to_bytes(n, n.bit_length() / 8), {});
}

PublicKey PublicKey::from_subgroup(ByteView modulus, ByteView generator, KeySizePolicy policy) {
  const SecretMpz n(bounded(modulus, "the modulus of the key"));
  const SecretMpz h(bounded(generator, "the generator of the subgroup key"));
  check_modulus(n, policy);
  check_generator(h, n);
  return from_valid(KeyKind::subgroup, to_bytes(n, n.bit_length() / 8), to_bytes(h, n.bit_length() / 8));
}

PublicKey PublicKey::parse(ByteView wire, KeySizePolicy policy, ProofPolicy proof_policy) {
  ByteReader reader(wire, "key");
  if (!std::ranges::equal(reader.bytes(kMagic.size()), kMagic)) {
    throw InputError("key.magic", "this is no Popcorn public key: it does not begin with PPPK");
  }
  const unsigned version = reader.u16();
  if (version != kPlainVersion && version != kProofVersion) {
    throw InputError("key.version", "the key has format version " + std::to_string(version) +
                                        "; this program reads versions 1 and 2");
  }
  const unsigned kind = reader.u8();
  const unsigned reserved = reader.u8();
  if (kind > 1 || reserved != 0)
    throw InputError("key.kind", "the key is of no kind that this program knows");
  const std::uint32_t bits = reader.u32();
  if (!key_size_allowed(bits, policy)) {
    throw InputError("key.bits",
                     "the key says that it has " + std::to_string(bits) + " bits, which is not allowed");
  }
  const ByteView modulus = reader.bytes(bits / 8);
  const ByteView generator = kind == 1 ? reader.bytes(bits / 8) : ByteView();
  const ByteView proof = version == kProofVersion ? reader.bytes(key_proof_bytes(bits / 8)) : ByteView();
  reader.expect_end();
  if (proof.empty() && proof_policy == ProofPolicy::required) refuse_key_without_proof();
  PublicKey key = kind == 1 ? from_subgroup(modulus, generator, policy) : from_modulus(modulus, policy);
  if (key.bits() != bits) throw InputError("key.bits", "the modulus is shorter than the key says");
  if (!proof.empty()) key.take_proof(proof);
  return key;
}

void PublicKey::take_proof(ByteView proof) {
  check_key_proof(SecretMpz(modulus()), proof);
  proof_.assign(proof.begin(), proof.end());
}

Bytes PublicKey::serialise() const {
  return serialise(proof_);
}

Bytes PublicKey::serialise(ByteView proof) const {
  Bytes wire(kMagic.begin(), kMagic.end());
  ByteWriter writer(wire);
  writer.u16(proof.empty() ? kPlainVersion : kProofVersion);
  writer.u8(kind_ == KeyKind::subgroup ? 1 : 0);
  writer.u8(0);
  writer.u32(bits_);
  writer.bytes(modulus_);
  writer.bytes(generator_);
  writer.bytes(proof);
  return wire;
}

void PrivateKey::make_proof() {
  public_key_.proof_ = prove_key(SecretMpz(p()), SecretMpz(q()));
}

PrivateKey PrivateKey::from_primes(ByteView p, ByteView q, KeySizePolicy policy) {
  PrivateKey key = unproved(p, q, policy);
  key.make_proof();
  return key;
}

PrivateKey PrivateKey::from_subgroup_primes(ByteView p, ByteView q, ByteView p_order, ByteView q_order,
                                            ByteView generator, KeySizePolicy policy) {
  PrivateKey key = unproved_subgroup(p, q, p_order, q_order, generator, policy);
  key.make_proof();
  return key;
}

PrivateKey PrivateKey::unproved(ByteView p_bytes, ByteView q_bytes, KeySizePolicy policy) {
  const SecretMpz p(bounded(p_bytes, "the prime p"));
  const SecretMpz q(bounded(q_bytes, "the prime q"));
  check_prime_pair(p, q);
  SecretMpz n;
  mpz_mul(n, p, q);
  const SecretBytes modulus = to_minimal_bytes(n);
  PrivateKey key(PublicKey::from_modulus(modulus.view(), policy));
  check_primality(p, q, system_rng());
  key.p_ = to_secret_bytes(p, key.public_key_.bits() / 16);
  key.q_ = to_secret_bytes(q, key.public_key_.bits() / 16);
  return key;
}

PrivateKey PrivateKey::unproved_subgroup(ByteView p_bytes, ByteView q_bytes, ByteView p_order_bytes,
                                         ByteView q_order_bytes, ByteView generator, KeySizePolicy policy) {
  PrivateKey key = unproved(p_bytes, q_bytes, policy);
  const SecretMpz p(key.p());
  const SecretMpz q(key.q());
  const SecretMpz p_order(bounded(p_order_bytes, "the order p_order"));
  const SecretMpz q_order(bounded(q_order_bytes, "the order q_order"));
  check_orders(p, q, p_order, q_order, system_rng());
  key.public_key_ = PublicKey::from_subgroup(key.public_key_.modulus(), generator, policy);
  const SecretMpz h(key.public_key_.generator());
  if (!generates_subgroup(h, p, p_order) || !generates_subgroup(h, q, q_order)) {
    throw InputError("key.generator",
                     "the generator of the subgroup key does not have the order of the private key");
  }
  const unsigned order_bytes = subgroup_order_bits(key.public_key_.bits()) / 8;
  key.p_order_ = to_secret_bytes(p_order, order_bytes);
  key.q_order_ = to_secret_bytes(q_order, order_bytes);
  return key;
}

}  // namespace popcorn::paillier
