#include "paillier/kernels/modulus.h"

#include <openssl/crypto.h>

#include <algorithm>
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

std::shared_ptr<const Modulus> Modulus::create(const Kernel& kernel, std::span<const std::uint64_t> limbs,
                                               bool secret) {
  const std::shared_ptr<Modulus> modulus(new Modulus);
  modulus->kernel_ = &kernel;
  modulus->bits_ = 64 * limbs.size() - static_cast<std::size_t>(std::countl_zero(limbs.back()));
  ModulusView& view = modulus->view_;
  view.words = kernel.words(modulus->bits_);
  view.limbs = limbs.size();
  view.inverse = negative_inverse(limbs[0]);
  if (kernel.radix_bits < 64) view.inverse &= (std::uint64_t{1} << kernel.radix_bits) - 1;

  modulus->limbs64_ = GroupBuffer(limbs.size(), secret);
  std::ranges::copy(limbs, modulus->limbs64_.data());
  view.limbs64 = modulus->limbs64_.data();

  const std::size_t group = modulus->group_words();
  modulus->constants_ = GroupBuffer(5 * group, secret);
  std::uint64_t* const constants = modulus->constants_.data();
  view.value = constants;
  view.twice = constants + group;
  view.one = constants + 2 * group;

  SecretMpz n;
  mpz_import(n, limbs.size(), -1, 8, 0, 0, limbs.data());
  SecretMpz r;
  mpz_setbit(r, static_cast<mp_bitcnt_t>(kernel.radix_bits * view.words));
  mpz_mod(r, r, n);
  SecretMpz r_squared;
  mpz_mul(r_squared, r, r);
  mpz_mod(r_squared, r_squared, n);
  modulus->load_everywhere(constants, limbs);
  modulus->load_everywhere(constants + 2 * group, limbs_of(r, limbs.size()));
  modulus->load_everywhere(constants + 3 * group, limbs_of(r_squared, limbs.size()));
  const std::vector<std::uint64_t> one = [&] {
    std::vector<std::uint64_t> value(limbs.size());
    value[0] = 1;
    return value;
  }();
  modulus->load_everywhere(constants + 4 * group, one);
  // 2N by digits: it may need one bit more than the limbs hold.
  std::uint64_t carry = 0;
  for (std::size_t k = 0; k < view.words; ++k) {
    const std::uint64_t digit = view.value[k * kernel.lanes];
    const std::uint64_t mask =
        kernel.radix_bits < 64 ? (std::uint64_t{1} << kernel.radix_bits) - 1 : ~std::uint64_t{0};
    const std::uint64_t doubled = ((digit << 1) | carry) & mask;
    carry = digit >> (kernel.radix_bits - 1);
    for (unsigned lane = 0; lane < kernel.lanes; ++lane) constants[group + k * kernel.lanes + lane] = doubled;
  }
  return modulus;
}

void Modulus::load_everywhere(std::uint64_t* group, std::span<const std::uint64_t> value) const {
  std::vector<std::uint64_t> values;
  values.reserve(value.size() * lanes());
  for (std::size_t lane = 0; lane < lanes(); ++lane) values.insert(values.end(), value.begin(), value.end());
  load(group, values.data());
  OPENSSL_cleanse(values.data(), values.size() * sizeof(std::uint64_t));
}

}  // namespace popcorn::paillier::kernels
