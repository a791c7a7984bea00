#include "tests/support/textbook_paillier.h"

#include <gmp.h>

#include <stdexcept>

namespace popcorn::test {

namespace {

class Integer {
 public:
  Integer() { mpz_init(value_); }
  explicit Integer(ByteView big_endian) : Integer() {
    mpz_import(value_, big_endian.size(), 1, 1, 1, 0, big_endian.data());
  }
  explicit Integer(const std::string& decimal) : Integer() {
    if (mpz_set_str(value_, decimal.c_str(), 10) != 0)
      throw std::invalid_argument("no decimal number: " + decimal);
  }
  Integer(const Integer&) = delete;
  Integer& operator=(const Integer&) = delete;
  ~Integer() { mpz_clear(value_); }
  operator mpz_ptr() { return value_; }             // NOLINT(google-explicit-constructor): GMP's arguments
  operator mpz_srcptr() const { return value_; }    // NOLINT(google-explicit-constructor)
  mpz_srcptr operator->() const { return value_; }  // GMP's macros

  Bytes bytes(std::size_t size) const {
    Bytes out(size);
    const std::size_t used = mpz_sgn(value_) == 0 ? 0 : (mpz_sizeinbase(value_, 2) + 7) / 8;
    if (used > size) throw std::length_error("the number is longer than its field");
    mpz_export(out.data() + (size - used), nullptr, 1, 1, 1, 0, value_);
    return out;
  }
  std::string decimal() const {
    std::string text(mpz_sizeinbase(value_, 10) + 2, '\0');
    mpz_get_str(text.data(), 10, value_);
    text.resize(text.find('\0'));
    return text;
  }

 private:
  mpz_t value_;
};

}  // namespace

struct TextbookPaillier::Numbers {
  Integer n;
  Integer n_square;
  Integer lambda;         // (p−1)(q−1)
  Integer mu;             // λ^-1 mod N
  Integer n_inverse;      // N^-1 mod λ, takes N-th roots modulo N
  std::size_t bytes = 0;  // of N

  /// 1 + mN mod N²
  void trivial(mpz_ptr out, const std::string& m) const {
    mpz_mul(out, Integer(m), n);
    mpz_add_ui(out, out, 1);
    mpz_mod(out, out, n_square);
  }
  Bytes ciphertext(Integer& value) const {
    mpz_mod(value, value, n_square);
    return value.bytes(2 * bytes);
  }
};

TextbookPaillier::TextbookPaillier(ByteView p, ByteView q) {
  auto numbers = std::make_unique<Numbers>();
  Integer p_minus_1(p);
  Integer q_minus_1(q);
  mpz_mul(numbers->n, p_minus_1, q_minus_1);
  mpz_mul(numbers->n_square, numbers->n, numbers->n);
  mpz_sub_ui(p_minus_1, p_minus_1, 1);
  mpz_sub_ui(q_minus_1, q_minus_1, 1);
  mpz_mul(numbers->lambda, p_minus_1, q_minus_1);
  if (mpz_invert(numbers->mu, numbers->lambda, numbers->n) == 0 ||
      mpz_invert(numbers->n_inverse, numbers->n, numbers->lambda) == 0) {
    throw std::invalid_argument("gcd(N, (p-1)(q-1)) is not 1");
  }
  numbers->bytes = (mpz_sizeinbase(numbers->n, 2) + 7) / 8;
  numbers_ = std::move(numbers);
}

TextbookPaillier::~TextbookPaillier() = default;
TextbookPaillier::TextbookPaillier(TextbookPaillier&&) noexcept = default;
TextbookPaillier& TextbookPaillier::operator=(TextbookPaillier&&) noexcept = default;

Bytes TextbookPaillier::modulus() const {
  return numbers_->n.bytes(numbers_->bytes);
}

std::size_t TextbookPaillier::ciphertext_bytes() const {
  return 2 * numbers_->bytes;
}

Bytes TextbookPaillier::encrypt(const std::string& m, ByteView r) const {
  Integer c;
  Integer residue;
  numbers_->trivial(c, m);
  mpz_powm(residue, Integer(r), numbers_->n, numbers_->n_square);
  mpz_mul(c, c, residue);
  return numbers_->ciphertext(c);
}

Bytes TextbookPaillier::encrypt(const std::string& m, Rng& rng) const {
  Bytes r(numbers_->bytes + 16);
  Integer divisor;
  for (;;) {
    rng.fill(r);
    Integer value((ByteView(r)));
    mpz_mod(value, value, numbers_->n);
    mpz_gcd(divisor, value, numbers_->n);
    if (mpz_cmp_ui(divisor, 1) == 0) return encrypt(m, value.bytes(numbers_->bytes));
  }
}

Bytes TextbookPaillier::encrypt_with_generator(const std::string& m, ByteView h, ByteView alpha) const {
  Integer c;
  Integer residue;
  numbers_->trivial(c, m);
  mpz_powm(residue, Integer(h), numbers_->n, numbers_->n_square);
  mpz_powm(residue, residue, Integer(alpha), numbers_->n_square);
  mpz_mul(c, c, residue);
  return numbers_->ciphertext(c);
}

std::string TextbookPaillier::decrypt(ByteView c) const {
  const Numbers& k = *numbers_;
  Integer m;
  Integer twice;
  mpz_powm(m, Integer(c), k.lambda, k.n_square);
  mpz_sub_ui(m, m, 1);
  mpz_divexact(m, m, k.n);
  mpz_mul(m, m, k.mu);
  mpz_mod(m, m, k.n);
  mpz_mul_ui(twice, m, 2);
  if (mpz_cmp(twice, k.n) > 0) mpz_sub(m, m, k.n);
  return m.decimal();
}

Bytes TextbookPaillier::randomness(ByteView c) const {
  Integer r(c);  // r^N modulo N: 1 + mN is 1 there
  mpz_powm(r, r, numbers_->n_inverse, numbers_->n);
  return r.bytes(numbers_->bytes);
}

Bytes TextbookPaillier::add(ByteView a, ByteView b) const {
  Integer sum;
  mpz_mul(sum, Integer(a), Integer(b));
  return numbers_->ciphertext(sum);
}

Bytes TextbookPaillier::subtract(ByteView a, ByteView b) const {
  Integer inverse;
  if (mpz_invert(inverse, Integer(b), numbers_->n_square) == 0)
    throw std::invalid_argument("not in Z*_{N^2}");
  mpz_mul(inverse, inverse, Integer(a));
  return numbers_->ciphertext(inverse);
}

Bytes TextbookPaillier::add_plain(ByteView c, const std::string& k) const {
  Integer sum;
  numbers_->trivial(sum, k);
  mpz_mul(sum, sum, Integer(c));
  return numbers_->ciphertext(sum);
}

Bytes TextbookPaillier::multiply(ByteView c, const std::string& k) const {
  Integer product;
  mpz_powm(product, Integer(c), Integer(k), numbers_->n_square);  // inverts for a negative exponent
  return numbers_->ciphertext(product);
}

}  // namespace popcorn::test
