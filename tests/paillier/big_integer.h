// A GMP integer for tests of keys: value semantics, big-endian bytes in and out.
#pragma once

#include <gmp.h>

#include "base/bytes.h"
#include "base/random.h"

namespace popcorn::test {

class BigInteger {
 public:
  BigInteger(unsigned long value = 0) {
    mpz_init_set_ui(value_, value);
  }  // NOLINT(google-explicit-constructor)
  explicit BigInteger(ByteView big_endian) : BigInteger() {
    mpz_import(value_, big_endian.size(), 1, 1, 1, 0, big_endian.data());
  }
  BigInteger(const BigInteger& other) { mpz_init_set(value_, other.value_); }
  BigInteger& operator=(const BigInteger& other) {
    mpz_set(value_, other.value_);
    return *this;
  }
  ~BigInteger() { mpz_clear(value_); }
  /// Uniform of `bits` bits with the two highest set.
  static BigInteger random(unsigned bits, Rng& rng) {
    Bytes bytes((bits + 7) / 8);
    rng.fill(bytes);
    BigInteger value((ByteView(bytes)));
    mpz_fdiv_r_2exp(value.get(), value.get(), bits);
    mpz_setbit(value.get(), bits - 1);
    mpz_setbit(value.get(), bits - 2);
    return value;
  }
  static BigInteger random_prime(unsigned bits, Rng& rng) {
    BigInteger value = random(bits, rng);
    mpz_nextprime(value.get(), value.get());
    return value;
  }

  mpz_ptr get() { return value_; }
  mpz_srcptr get() const { return value_; }

  std::size_t bits() const { return mpz_sizeinbase(value_, 2); }
  unsigned long modulo(unsigned long divisor) const { return mpz_fdiv_ui(value_, divisor); }
  /// Big-endian, padded with zeros in front to `size` bytes.
  Bytes bytes(std::size_t size = 0) const {
    const std::size_t used = mpz_sgn(value_) == 0 ? 0 : (bits() + 7) / 8;
    const std::size_t padding = size > used ? size - used : 0;
    Bytes out(padding + used);
    mpz_export(out.data() + padding, nullptr, 1, 1, 1, 0, value_);
    return out;
  }

  friend BigInteger operator+(const BigInteger& a, const BigInteger& b) { return apply(mpz_add, a, b); }
  friend BigInteger operator-(const BigInteger& a, const BigInteger& b) { return apply(mpz_sub, a, b); }
  friend BigInteger operator*(const BigInteger& a, const BigInteger& b) { return apply(mpz_mul, a, b); }
  friend BigInteger operator/(const BigInteger& a, const BigInteger& b) { return apply(mpz_fdiv_q, a, b); }
  friend BigInteger operator%(const BigInteger& a, const BigInteger& b) { return apply(mpz_fdiv_r, a, b); }
  friend BigInteger gcd(const BigInteger& a, const BigInteger& b) { return apply(mpz_gcd, a, b); }
  friend BigInteger lcm(const BigInteger& a, const BigInteger& b) { return apply(mpz_lcm, a, b); }
  friend BigInteger power(const BigInteger& base, const BigInteger& exponent, const BigInteger& modulus) {
    BigInteger result;
    mpz_powm(result.get(), base.get(), exponent.get(), modulus.get());
    return result;
  }
  friend BigInteger inverse(const BigInteger& a, const BigInteger& modulus) {
    BigInteger result;
    mpz_invert(result.get(), a.get(), modulus.get());
    return result;
  }
  friend bool operator==(const BigInteger& a, const BigInteger& b) { return mpz_cmp(a.get(), b.get()) == 0; }
  friend bool operator<(const BigInteger& a, const BigInteger& b) { return mpz_cmp(a.get(), b.get()) < 0; }

 private:
  static BigInteger apply(void (*function)(mpz_ptr, mpz_srcptr, mpz_srcptr), const BigInteger& a,
                          const BigInteger& b) {
    BigInteger result;
    function(result.get(), a.get(), b.get());
    return result;
  }
  mpz_t value_;
};

}  // namespace popcorn::test
