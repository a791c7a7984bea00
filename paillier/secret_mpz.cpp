#include "paillier/secret_mpz.h"

#include <openssl/crypto.h>

namespace popcorn::paillier {

namespace {

constexpr mp_bitcnt_t kReservedBits = 2 * 4096 + 2 * GMP_NUMB_BITS;

void write_big_endian(std::span<std::uint8_t> out, mpz_srcptr value) {
  const std::size_t used = mpz_sgn(value) == 0 ? 0 : (mpz_sizeinbase(value, 2) + 7) / 8;
  mpz_export(out.data() + (out.size() - used), nullptr, 1, 1, 1, 0, value);
}

}  // namespace

SecretMpz::SecretMpz() {
  mpz_init2(value_, kReservedBits);
}

SecretMpz::SecretMpz(unsigned long value) : SecretMpz() {
  mpz_set_ui(value_, value);
}

SecretMpz::SecretMpz(ByteView big_endian) : SecretMpz() {
  mpz_import(value_, big_endian.size(), 1, 1, 1, 0, big_endian.data());
}

SecretMpz::SecretMpz(SecretMpz&& other) noexcept : SecretMpz() {
  mpz_swap(value_, other.value_);
}

SecretMpz& SecretMpz::operator=(SecretMpz&& other) noexcept {
  mpz_swap(value_, other.value_);
  return *this;
}

SecretMpz::~SecretMpz() {
  OPENSSL_cleanse(value_->_mp_d, static_cast<std::size_t>(value_->_mp_alloc) * sizeof(mp_limb_t));
  mpz_clear(value_);
}

std::size_t SecretMpz::bit_length() const noexcept {
  return mpz_sgn(value_) == 0 ? 0 : mpz_sizeinbase(value_, 2);
}

Bytes to_bytes(mpz_srcptr value, std::size_t size) {
  Bytes bytes(size);
  write_big_endian(bytes, value);
  return bytes;
}

SecretBytes to_secret_bytes(mpz_srcptr value, std::size_t size) {
  SecretBytes bytes(size);
  write_big_endian(bytes.writable(), value);
  return bytes;
}

SecretBytes to_minimal_bytes(mpz_srcptr value) {
  return to_secret_bytes(value, mpz_sgn(value) == 0 ? 0 : (mpz_sizeinbase(value, 2) + 7) / 8);
}

void random_bits(mpz_ptr out, unsigned bits, Rng& rng) {
  SecretBytes bytes((bits + 7) / 8);
  rng.fill(bytes.writable());
  mpz_import(out, bytes.size(), 1, 1, 1, 0, bytes.view().data());
  mpz_fdiv_r_2exp(out, out, bits);
}

void random_below(mpz_ptr out, mpz_srcptr bound, Rng& rng) {
  random_bits(out, static_cast<unsigned>(mpz_sizeinbase(bound, 2)) + 128, rng);
  mpz_fdiv_r(out, out, bound);
}

}  // namespace popcorn::paillier
