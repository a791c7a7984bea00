#include "paillier/keys/key_proof.h"

#include <algorithm>
#include <array>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/secret_bytes.h"

namespace popcorn::paillier {

namespace {

constexpr std::string_view kChallengeDomain = "popcorn paillier key proof 1";
constexpr std::string_view kProverDomain = "popcorn paillier key prover 1";
constexpr unsigned kSlackBits = 128;  // of a hash that is reduced modulo N

std::size_t byte_length(mpz_srcptr x) {
  return (mpz_sizeinbase(x, 2) + 7) / 8;
}

/// SHA-256(seed ‖ kind ‖ index ‖ 0), SHA-256(seed ‖ kind ‖ index ‖ 1), …, reduced modulo N.
void expand(mpz_ptr out, mpz_srcptr modulus, const Sha256& seed, std::uint8_t kind, std::uint8_t index) {
  const std::size_t wanted = (mpz_sizeinbase(modulus, 2) + kSlackBits + 7) / 8;
  const std::size_t blocks = (wanted + sizeof(Sha256) - 1) / sizeof(Sha256);
  SecretBytes stream(blocks * sizeof(Sha256));
  std::array<std::uint8_t, sizeof(Sha256) + 3> input{};
  std::ranges::copy(seed, input.begin());
  for (std::size_t block = 0; block < blocks; ++block) {
    input[sizeof(Sha256)] = kind;
    input[sizeof(Sha256) + 1] = index;
    input[sizeof(Sha256) + 2] = static_cast<std::uint8_t>(block);
    const Sha256 hash = sha256(input);
    std::ranges::copy(hash, stream.writable().subspan(block * sizeof(Sha256)).begin());
  }
  wipe(input);
  mpz_import(out, wanted, 1, 1, 1, 0, stream.view().data());
  mpz_fdiv_r(out, out, modulus);
}

[[noreturn]] void refuse_proof(const std::string& reason) {
  throw InputError("key.proof", "the proof of the key " + reason +
                                    "; a client that reads the private key makes the right one");
}

/// One prime factor, and what roots modulo it need.
struct Prime {
  explicit Prime(mpz_srcptr prime) { mpz_set(p, prime); }
  bool is_square(mpz_srcptr x) const { return mpz_kronecker(x, p) == 1; }

  SecretMpz p;
};

/// x^exponent modulo the odd p in constant time in the exponent, which is positive.
void power(mpz_ptr out, mpz_srcptr x, mpz_srcptr exponent, mpz_srcptr p) {
  SecretMpz base;
  mpz_fdiv_r(base, x, p);
  mpz_powm_sec(out, base, exponent, p);
}

/// The root of a square x modulo p, for p ≡ 3 (mod 4) in constant time, else by Tonelli and Shanks.
void square_root(mpz_ptr out, mpz_srcptr x, const Prime& prime) {
  mpz_srcptr p = prime.p;
  SecretMpz odd;  // p − 1 = 2^twos·odd
  mpz_sub_ui(odd, p, 1);
  mp_bitcnt_t twos = mpz_scan1(odd, 0);
  mpz_fdiv_q_2exp(odd, odd, twos);
  SecretMpz exponent;
  mpz_add_ui(exponent, odd, 1);
  mpz_fdiv_q_2exp(exponent, exponent, 1);
  power(out, x, exponent, p);
  if (twos == 1) return;

  SecretMpz rest;  // out² = x·rest, and rest has an order of a power of two
  power(rest, x, odd, p);
  SecretMpz generator(2);  // of the elements with such orders
  while (mpz_kronecker(generator, p) != -1) mpz_add_ui(generator, generator, 1);
  power(generator, generator, odd, p);
  SecretMpz work;
  while (mpz_cmp_ui(rest, 1) != 0) {
    mp_bitcnt_t order = 0;  // its logarithm to the base 2
    for (mpz_set(work, rest); mpz_cmp_ui(work, 1) != 0; ++order) {
      mpz_mul(work, work, work);
      mpz_fdiv_r(work, work, p);
    }
    for (; twos > order + 1; --twos) {
      mpz_mul(generator, generator, generator);
      mpz_fdiv_r(generator, generator, p);
    }
    mpz_mul(work, out, generator);
    mpz_fdiv_r(out, work, p);
    mpz_mul(generator, generator, generator);
    mpz_fdiv_r(generator, generator, p);
    --twos;
    mpz_mul(work, rest, generator);
    mpz_fdiv_r(rest, work, p);
  }
}

class Prover {
 public:
  Prover(mpz_srcptr p, mpz_srcptr q) : p_(mpz_cmp(p, q) < 0 ? p : q), q_(mpz_cmp(p, q) < 0 ? q : p) {
    mpz_mul(modulus_, p, q);
    mpz_invert(q_inverse_, q_.p, p_.p);
    SecretBytes input(kProverDomain.size() + byte_length(modulus_));
    std::ranges::copy(kProverDomain, input.writable().begin());
    const std::size_t p_bytes = byte_length(p_.p);
    mpz_export(input.writable().data() + kProverDomain.size(), nullptr, 1, 1, 1, 0, p_.p);
    seed_ = sha256(input.view().first(kProverDomain.size() + p_bytes));
  }

  Prover(const Prover&) = delete;
  Prover& operator=(const Prover&) = delete;
  ~Prover() { wipe(seed_); }

  Bytes prove() {
    choose_generators();
    const KeyChallenge challenge(modulus_, u1_, u2_);
    const std::size_t size = byte_length(modulus_);
    Bytes proof;
    ByteWriter writer(proof);
    writer.bytes(to_bytes(u1_, size));
    writer.bytes(to_bytes(u2_, size));
    for (unsigned i = 0; i < kNthRoots; ++i) writer.bytes(to_bytes(nth_root(challenge.nth_power(i)), size));
    std::uint8_t b1 = 0;
    std::uint8_t b2 = 0;
    for (unsigned i = 0; i < kSquareRoots; ++i) {
      SecretMpz y = challenge.square(i);
      bool with_u1 = false;
      bool with_u2 = false;
      for (unsigned bits = 0; bits < 4; ++bits) {
        SecretMpz product;
        mpz_set(product, y);
        if ((bits & 1) != 0) multiply(product, u1_);
        if ((bits & 2) != 0) multiply(product, u2_);
        if (!p_.is_square(product) || !q_.is_square(product)) continue;
        mpz_set(y, product);
        with_u1 = (bits & 1) != 0;
        with_u2 = (bits & 2) != 0;
        break;
      }
      b1 |= static_cast<std::uint8_t>(with_u1 ? 1U << i : 0U);
      b2 |= static_cast<std::uint8_t>(with_u2 ? 1U << i : 0U);
      writer.bytes(to_bytes(square_root_modulo_n(y, i), size));
    }
    writer.u8(b1);
    writer.u8(b2);
    return proof;
  }

 private:
  void multiply(mpz_ptr x, mpz_srcptr y) {
    mpz_mul(x, x, y);
    mpz_fdiv_r(x, x, modulus_);
  }

  /// u1 and u2 that generate Z*_N modulo squares: Legendre symbols that are independent.
  void choose_generators() {
    unsigned found = 0;
    unsigned first = 0;
    for (std::uint8_t index = 0; found < 2; ++index) {
      SecretMpz candidate;
      expand(candidate, modulus_, seed_, 0, index);
      const unsigned symbols = (p_.is_square(candidate) ? 0U : 1U) | (q_.is_square(candidate) ? 0U : 2U);
      if (symbols == 0 || (found == 1 && symbols == first)) continue;
      first = symbols;
      mpz_set(found == 0 ? u1_ : u2_, candidate);
      ++found;
    }
  }

  /// The x below N with x ≡ a (mod p) and x ≡ b (mod q).
  SecretMpz combine(mpz_srcptr a, mpz_srcptr b) const {
    SecretMpz x;
    mpz_sub(x, a, b);
    mpz_mul(x, x, q_inverse_);
    mpz_fdiv_r(x, x, p_.p);
    mpz_mul(x, x, q_.p);
    mpz_add(x, x, b);
    return x;
  }

  SecretMpz nth_root(mpz_srcptr y) const {
    SecretMpz roots[2];
    for (const bool second : {false, true}) {
      mpz_srcptr prime = second ? q_.p : p_.p;
      SecretMpz order;
      SecretMpz exponent;
      mpz_sub_ui(order, prime, 1);
      mpz_invert(exponent, modulus_, order);
      power(roots[second ? 1 : 0], y, exponent, prime);
    }
    return combine(roots[0], roots[1]);
  }

  /// Which of the four roots depends on the key and the index alone: two different ones of the same square
  /// would give the factors away.
  SecretMpz square_root_modulo_n(mpz_srcptr y, unsigned index) const {
    SecretMpz choice;
    expand(choice, modulus_, seed_, 1, static_cast<std::uint8_t>(index));
    SecretMpz roots[2];
    for (const bool second : {false, true}) {
      const Prime& prime = second ? q_ : p_;
      mpz_ptr root = roots[second ? 1 : 0];
      square_root(root, y, prime);
      if (mpz_tstbit(choice, second ? 1 : 0) != 0) mpz_sub(root, prime.p, root);
    }
    return combine(roots[0], roots[1]);
  }

  Prime p_;  ///< the smaller one
  Prime q_;
  SecretMpz modulus_;
  SecretMpz q_inverse_;  ///< of q modulo p
  Sha256 seed_{};        ///< secret
  SecretMpz u1_;
  SecretMpz u2_;
};

}  // namespace

KeyChallenge::KeyChallenge(mpz_srcptr modulus, mpz_srcptr u1, mpz_srcptr u2) {
  mpz_set(modulus_, modulus);
  const std::size_t size = byte_length(modulus);
  Bytes input(kChallengeDomain.begin(), kChallengeDomain.end());
  ByteWriter writer(input);
  writer.u8(0);
  writer.u32(static_cast<std::uint32_t>(size));
  writer.bytes(to_bytes(modulus, size));
  writer.bytes(to_bytes(u1, size));
  writer.bytes(to_bytes(u2, size));
  seed_ = sha256(input);
}

SecretMpz KeyChallenge::element(std::uint8_t kind, unsigned index) const {
  SecretMpz out;
  expand(out, modulus_, seed_, kind, static_cast<std::uint8_t>(index));
  return out;
}

Bytes prove_key(mpz_srcptr p, mpz_srcptr q) {
  return Prover(p, q).prove();
}

void refuse_key_without_proof() {
  throw InputError("key.proof_missing",
                   "the key comes without the proof that N and φ(N) have no factor in common; a client that "
                   "reads the private key makes it");
}

void check_key_proof(mpz_srcptr modulus, ByteView proof) {
  const std::size_t size = byte_length(modulus);
  if (proof.size() != key_proof_bytes(size)) {
    refuse_proof("has " + std::to_string(proof.size()) + " bytes; expected " +
                 std::to_string(key_proof_bytes(size)));
  }
  ByteReader reader(proof, "key");
  const auto number = [&] {
    SecretMpz value(reader.bytes(size));
    if (mpz_sgn(value) == 0 || mpz_cmp(value, modulus) >= 0) {
      refuse_proof("has a number that is not between 1 and N − 1");
    }
    return value;
  };
  const SecretMpz u1 = number();
  const SecretMpz u2 = number();
  const KeyChallenge challenge(modulus, u1, u2);
  SecretMpz units;  // product of what must have no factor in common with N
  const auto multiply = [&](mpz_ptr x, mpz_srcptr y) {
    mpz_mul(x, x, y);
    mpz_fdiv_r(x, x, modulus);
  };
  mpz_set(units, u1);
  multiply(units, u2);
  SecretMpz power_of_root;
  for (unsigned i = 0; i < kNthRoots; ++i) {
    const SecretMpz root = number();
    const SecretMpz y = challenge.nth_power(i);
    multiply(units, y);
    mpz_powm(power_of_root, root, modulus, modulus);
    if (mpz_cmp(power_of_root, y) != 0) {
      refuse_proof("does not show that N and φ(N) have no factor in common (is it of another key?)");
    }
  }
  std::array<SecretMpz, kSquareRoots> roots;
  std::ranges::generate(roots, number);
  const unsigned b1 = reader.u8();
  const unsigned b2 = reader.u8();
  for (unsigned i = 0; i < kSquareRoots; ++i) {
    SecretMpz y = challenge.square(i);
    multiply(units, y);
    if ((b1 >> i & 1) != 0) multiply(y, u1);
    if ((b2 >> i & 1) != 0) multiply(y, u2);
    multiply(roots[i], roots[i]);
    if (mpz_cmp(roots[i], y) != 0) refuse_proof("does not show that N has few prime factors");
  }
  mpz_gcd(units, units, modulus);
  if (mpz_cmp_ui(units, 1) != 0) refuse_proof("has a factor in common with N");
}

}  // namespace popcorn::paillier
