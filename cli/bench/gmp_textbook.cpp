#include "cli/bench/gmp_textbook.h"

#include <gmp.h>

#include <array>

namespace popcorn::cli {

namespace {

constexpr std::size_t kOperands = 16;
constexpr unsigned kWordBits = 128;  // of the longest scalar

/// An mpz_t with automatic storage.
struct Integer {
  Integer() { mpz_init(value); }
  ~Integer() { mpz_clear(value); }
  Integer(const Integer&) = delete;
  Integer& operator=(const Integer&) = delete;
  mpz_t value;
};

void set_bytes(mpz_ptr target, ByteView big_endian) {
  mpz_import(target, big_endian.size(), 1, 1, 1, 0, big_endian.data());
}

void set_random(mpz_ptr target, std::size_t bits, Rng& rng) {
  Bytes bytes((bits + 7) / 8);
  rng.fill(bytes);
  set_bytes(target, bytes);
  mpz_fdiv_r_2exp(target, target, bits);
}

}  // namespace

struct GmpTextbook::Numbers {
  Integer n, n_squared, p, q, p_squared, q_squared, p_minus_1, q_minus_1, p_scale, q_scale, q_inverse;
  std::array<Integer, kOperands> ciphertexts, plaintexts, randomness, words;
  Integer a, b, c;
  std::size_t next = 0;
  std::size_t weight = 0;

  std::size_t step() { return next++ % kOperands; }

  /// L_p((1 + N)^(p−1) mod p²)⁻¹ mod p
  void set_scale(mpz_ptr scale, mpz_srcptr prime, mpz_srcptr square, mpz_srcptr exponent) {
    mpz_add_ui(scale, n.value, 1);
    mpz_powm(scale, scale, exponent, square);
    mpz_sub_ui(scale, scale, 1);
    mpz_divexact(scale, scale, prime);
    mpz_invert(scale, scale, prime);
  }

  /// m mod prime of a ciphertext
  void logarithm(mpz_ptr m, mpz_srcptr ciphertext, mpz_srcptr prime, mpz_srcptr square, mpz_srcptr exponent,
                 mpz_srcptr scale) {
    mpz_mod(m, ciphertext, square);
    mpz_powm(m, m, exponent, square);
    mpz_sub_ui(m, m, 1);
    mpz_divexact(m, m, prime);
    mpz_mul(m, m, scale);
    mpz_mod(m, m, prime);
  }
};

GmpTextbook::GmpTextbook(const paillier::PrivateKey& key, Rng& rng) : numbers_(std::make_unique<Numbers>()) {
  Numbers& x = *numbers_;
  set_bytes(x.n.value, key.public_key().modulus());
  set_bytes(x.p.value, key.p());
  set_bytes(x.q.value, key.q());
  mpz_mul(x.n_squared.value, x.n.value, x.n.value);
  mpz_mul(x.p_squared.value, x.p.value, x.p.value);
  mpz_mul(x.q_squared.value, x.q.value, x.q.value);
  mpz_sub_ui(x.p_minus_1.value, x.p.value, 1);
  mpz_sub_ui(x.q_minus_1.value, x.q.value, 1);
  x.set_scale(x.p_scale.value, x.p.value, x.p_squared.value, x.p_minus_1.value);
  x.set_scale(x.q_scale.value, x.q.value, x.q_squared.value, x.q_minus_1.value);
  mpz_invert(x.q_inverse.value, x.q.value, x.p.value);
  const std::size_t bits = key.public_key().bits();
  for (std::size_t i = 0; i < kOperands; ++i) {
    set_random(x.plaintexts[i].value, bits - 2, rng);
    set_random(x.randomness[i].value, bits, rng);
    mpz_mod(x.randomness[i].value, x.randomness[i].value, x.n.value);
    set_random(x.words[i].value, kWordBits, rng);
    mpz_setbit(x.words[i].value, kWordBits - 1);
    // A proper encryption, so that decryption meets what it will meet.
    mpz_powm(x.ciphertexts[i].value, x.randomness[i].value, x.n.value, x.n_squared.value);
    mpz_mul(x.a.value, x.plaintexts[i].value, x.n.value);
    mpz_add_ui(x.a.value, x.a.value, 1);
    mpz_mul(x.ciphertexts[i].value, x.ciphertexts[i].value, x.a.value);
    mpz_mod(x.ciphertexts[i].value, x.ciphertexts[i].value, x.n_squared.value);
  }
}

GmpTextbook::~GmpTextbook() = default;

void GmpTextbook::multiply(std::size_t count) {
  Numbers& x = *numbers_;
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t k = x.step();
    mpz_mul(x.a.value, x.ciphertexts[k].value, x.ciphertexts[(k + 1) % kOperands].value);
    mpz_mod(x.b.value, x.a.value, x.n_squared.value);
  }
}

void GmpTextbook::square(std::size_t count) {
  Numbers& x = *numbers_;
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t k = x.step();
    mpz_mul(x.a.value, x.ciphertexts[k].value, x.ciphertexts[k].value);
    mpz_mod(x.b.value, x.a.value, x.n_squared.value);
  }
}

void GmpTextbook::encrypt(std::size_t count) {
  Numbers& x = *numbers_;
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t k = x.step();
    mpz_powm(x.a.value, x.randomness[k].value, x.n.value, x.n_squared.value);
    mpz_mul(x.b.value, x.plaintexts[k].value, x.n.value);
    mpz_add_ui(x.b.value, x.b.value, 1);
    mpz_mul(x.a.value, x.a.value, x.b.value);
    mpz_mod(x.c.value, x.a.value, x.n_squared.value);
  }
}

void GmpTextbook::decrypt(std::size_t count) {
  Numbers& x = *numbers_;
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t k = x.step();
    x.logarithm(x.a.value, x.ciphertexts[k].value, x.p.value, x.p_squared.value, x.p_minus_1.value,
                x.p_scale.value);
    x.logarithm(x.b.value, x.ciphertexts[k].value, x.q.value, x.q_squared.value, x.q_minus_1.value,
                x.q_scale.value);
    mpz_sub(x.a.value, x.a.value, x.b.value);
    mpz_mul(x.a.value, x.a.value, x.q_inverse.value);
    mpz_mod(x.a.value, x.a.value, x.p.value);
    mpz_mul(x.a.value, x.a.value, x.q.value);
    mpz_add(x.c.value, x.a.value, x.b.value);
  }
}

void GmpTextbook::scalar_multiply(std::size_t count, unsigned bits) {
  Numbers& x = *numbers_;
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t k = x.step();
    mpz_fdiv_q_2exp(x.b.value, x.words[k].value, kWordBits - bits);
    mpz_powm(x.c.value, x.ciphertexts[k].value, x.b.value, x.n_squared.value);
  }
}

void GmpTextbook::weighted_sum(std::size_t count) {
  // Magnitudes 1 … 7 as a 4-bit signed weight has them.
  static constexpr std::array<std::int32_t, 7> kWeights = {1, 5, 2, 7, 3, 6, 4};
  layer_terms(count, kWeights);
}

void GmpTextbook::layer_terms(std::size_t count, std::span<const std::int32_t> weights) {
  Numbers& x = *numbers_;
  mpz_set_ui(x.c.value, 1);
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t k = x.step();
    x.weight = (x.weight + 1) % weights.size();
    mpz_set_si(x.b.value, weights[x.weight]);
    mpz_abs(x.b.value, x.b.value);
    mpz_powm(x.a.value, x.ciphertexts[k].value, x.b.value, x.n_squared.value);
    mpz_mul(x.c.value, x.c.value, x.a.value);
    mpz_mod(x.c.value, x.c.value, x.n_squared.value);
  }
}

void GmpTextbook::divide(std::size_t count) {
  Numbers& x = *numbers_;
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t k = x.step();
    mpz_invert(x.a.value, x.ciphertexts[k].value, x.n_squared.value);
    mpz_mul(x.a.value, x.a.value, x.ciphertexts[(k + 1) % kOperands].value);
    mpz_mod(x.c.value, x.a.value, x.n_squared.value);
  }
}

void GmpTextbook::add_plain(std::size_t count) {
  Numbers& x = *numbers_;
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t k = x.step();
    mpz_mul(x.b.value, x.plaintexts[k].value, x.n.value);
    mpz_add_ui(x.b.value, x.b.value, 1);
    mpz_mul(x.a.value, x.ciphertexts[k].value, x.b.value);
    mpz_mod(x.c.value, x.a.value, x.n_squared.value);
  }
}

void GmpTextbook::pack(std::size_t count, unsigned slot_bits) {
  Numbers& x = *numbers_;
  mpz_set(x.c.value, x.ciphertexts[0].value);
  mpz_set_ui(x.b.value, 0);
  mpz_setbit(x.b.value, slot_bits);
  for (std::size_t i = 0; i < count; ++i) {
    mpz_powm(x.c.value, x.c.value, x.b.value, x.n_squared.value);
    mpz_mul(x.c.value, x.c.value, x.ciphertexts[x.step()].value);
    mpz_mod(x.c.value, x.c.value, x.n_squared.value);
  }
}

void GmpTextbook::rerandomise(std::size_t count) {
  Numbers& x = *numbers_;
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t k = x.step();
    mpz_powm(x.a.value, x.randomness[k].value, x.n.value, x.n_squared.value);
    mpz_mul(x.a.value, x.a.value, x.ciphertexts[k].value);
    mpz_mod(x.c.value, x.a.value, x.n_squared.value);
  }
}

}  // namespace popcorn::cli
