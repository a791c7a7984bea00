#include "paillier/kernels/modulus.h"

#include <openssl/crypto.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <new>
#include <utility>
#include <vector>

#include "paillier/big_integer.h"
#include "paillier/secret_mpz.h"

namespace popcorn::paillier::kernels {

namespace {

constexpr std::align_val_t kAlignment{64};

/// −n⁻¹ modulo 2^64 for odd n, by Newton's iteration: each step doubles the correct bits (5 → 64 takes four).
std::uint64_t negative_inverse(std::uint64_t n) {
  std::uint64_t x = (3 * n) ^ 2;
  for (int i = 0; i < 4; ++i) x *= 2 - n * x;
  return 0 - x;
}

}  // namespace

GroupBuffer::GroupBuffer(std::size_t words, bool secret) : size_(words), secret_(secret) {
  if (words == 0) return;
  words_ = static_cast<std::uint64_t*>(::operator new(words * sizeof(std::uint64_t), kAlignment));
}

GroupBuffer::GroupBuffer(GroupBuffer&& other) noexcept
    : words_(std::exchange(other.words_, nullptr)),
      size_(std::exchange(other.size_, 0)),
      secret_(other.secret_) {}

GroupBuffer& GroupBuffer::operator=(GroupBuffer&& other) noexcept {
  if (this != &other) {
    release();
    words_ = std::exchange(other.words_, nullptr);
    size_ = std::exchange(other.size_, 0);
    secret_ = other.secret_;
  }
  return *this;
}

GroupBuffer::~GroupBuffer() {
  release();
}

void GroupBuffer::release() noexcept {
  if (words_ == nullptr) return;
  if (secret_) OPENSSL_cleanse(words_, size_ * sizeof(std::uint64_t));
  ::operator delete(words_, kAlignment);
  words_ = nullptr;
}

std::shared_ptr<const Modulus> Modulus::create(const Kernel& kernel, std::span<const std::uint64_t> base,
                                               bool secret) {
  const std::shared_ptr<Modulus> modulus(new Modulus);
  modulus->kernel_ = &kernel;
  modulus->secret_ = secret;
  modulus->base_bits_ = 64 * base.size() - static_cast<std::size_t>(std::countl_zero(base.back()));
  ModulusView& view = modulus->view_;
  view.words = kernel.words(modulus->base_bits_);
  view.limbs = base.size();
  modulus->group_words_ = 2 * view.words * kernel.lanes;
  modulus->lane_bits_ = static_cast<unsigned>(std::countr_zero(kernel.lanes));
  view.inverse = negative_inverse(base[0]);
  if (kernel.radix_bits < 64) view.inverse &= (std::uint64_t{1} << kernel.radix_bits) - 1;

  SecretMpz n;
  mpz_import(n, base.size(), -1, 8, 0, 0, base.data());
  SecretMpz value;
  const std::size_t half_group = view.words * kernel.lanes;
  modulus->digits_ = GroupBuffer(3 * half_group, secret);
  const auto digits = [&](std::size_t slot) {
    std::uint64_t* const target = modulus->digits_.data() + slot * half_group;
    for (std::size_t k = 0; k < view.words; ++k) {
      SecretMpz digit;
      mpz_fdiv_q_2exp(digit, value, kernel.radix_bits * k);
      mpz_fdiv_r_2exp(digit, digit, kernel.radix_bits);
      std::fill_n(target + k * kernel.lanes, kernel.lanes, mpz_get_ui(digit));
    }
    return target;
  };
  mpz_set(value, n);
  view.base = digits(0);
  mpz_mul_2exp(value, n, 1);
  view.twice = digits(1);
  SecretMpz r;
  mpz_setbit(r, kernel.radix_bits * view.words);
  mpz_ui_sub(value, 1, r);
  mpz_mod(value, value, n);
  view.complement = digits(2);

  const std::size_t group = modulus->group_words();
  modulus->constants_ = GroupBuffer(4 * group, secret);
  std::uint64_t* const constants = modulus->constants_.data();
  SecretMpz n_squared;
  mpz_mul(n_squared, n, n);
  mpz_mod(value, r, n_squared);
  modulus->plain(constants, value);
  view.one = constants;
  mpz_mul(value, r, r);
  mpz_mod(value, value, n_squared);
  modulus->plain(constants + group, value);
  mpz_mul_2exp(value, value, 64 * base.size());
  mpz_mod(value, value, n_squared);
  modulus->plain(constants + 3 * group, value);
  mpz_set_ui(value, 1);
  modulus->plain(constants + 2 * group, value);
  return modulus;
}

void Modulus::base(mpz_ptr n) const {
  mpz_set_ui(n, 0);
  for (std::size_t k = view_.words; k-- > 0;) {
    mpz_mul_2exp(n, n, kernel_->radix_bits);
    mpz_add_ui(n, n, view_.base[k * kernel_->lanes]);
  }
}

void Modulus::plain(std::uint64_t* group, mpz_srcptr value) const {
  SecretMpz n;
  SecretMpz u;
  SecretMpz w;
  base(n);
  mpz_fdiv_qr(w, u, value, n);
  std::vector<std::uint64_t> values;
  for (std::size_t lane = 0; lane < lanes(); ++lane) {
    for (const SecretMpz* half : {&u, &w}) {
      const std::vector<std::uint64_t> limbs = limbs_of(*half, view_.limbs);
      values.insert(values.end(), limbs.begin(), limbs.end());
    }
  }
  load(group, values.data());
  OPENSSL_cleanse(values.data(), values.size() * sizeof(std::uint64_t));
}

void Modulus::import_numbers(std::uint64_t* group, const std::uint64_t* values) const {
  // v = v0 + v1·2^|N|: each half is below 2N and so is itself a number with w = 0.
  const std::size_t half = view_.limbs;
  std::vector<std::uint64_t> part(2 * half * lanes());
  alignas(64) std::array<std::uint64_t, kMaxGroupWords> upper;
  for (std::size_t lane = 0; lane < lanes(); ++lane) {
    std::copy_n(values + (2 * lane + 1) * half, half,
                part.begin() + static_cast<std::ptrdiff_t>(2 * lane * half));
  }
  load(upper.data(), part.data());
  multiply_secret(upper.data(), upper.data(), constants_.data() + 3 * group_words());
  for (std::size_t lane = 0; lane < lanes(); ++lane) {
    std::copy_n(values + 2 * lane * half, half, part.begin() + static_cast<std::ptrdiff_t>(2 * lane * half));
  }
  load(group, part.data());
  multiply_secret(group, group, to_residue());
  add(group, group, upper.data());
  if (secret_) {
    OPENSSL_cleanse(part.data(), part.size() * sizeof(std::uint64_t));
    OPENSSL_cleanse(upper.data(), sizeof upper);
  }
}

void Modulus::export_numbers(std::uint64_t* values, const std::uint64_t* group) const {
  alignas(64) std::array<std::uint64_t, kMaxGroupWords> plain;
  multiply_secret(plain.data(), group, from_residue());
  store(values, plain.data());
  if (secret_) OPENSSL_cleanse(plain.data(), sizeof plain);
}

void Modulus::export_digits(std::uint64_t* values, const std::uint64_t* group) const {
  alignas(64) std::array<std::uint64_t, kMaxGroupWords> plain;
  multiply_secret(plain.data(), group, from_residue());
  store_digits(values, plain.data());
  if (secret_) OPENSSL_cleanse(plain.data(), sizeof plain);
}

GroupBuffer Modulus::constant(mpz_srcptr value) const {
  GroupBuffer group(group_words(), secret_);
  plain(group.data(), value);
  multiply_secret(group.data(), group.data(), to_residue());
  return group;
}

}  // namespace popcorn::paillier::kernels
