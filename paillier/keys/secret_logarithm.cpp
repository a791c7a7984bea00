#include "paillier/keys/secret_logarithm.h"

#include <openssl/crypto.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "base/secret.h"
#include "paillier/secret_mpz.h"

namespace popcorn::paillier {

using kernels::GroupBuffer;
using kernels::Modulus;

/// The powers c^0 … c^15, units apart from second digits.
struct SecretLogarithm::Powers {
  explicit Powers(const Modulus& modulus)
      : digit(modulus.group_words() / 2), units(kEntries * digit, true), seconds(kEntries * digit, true) {}
  std::size_t digit;  ///< words of a digit to the base p
  GroupBuffer units, seconds;
  std::uint64_t* unit(std::size_t i) { return units.data() + i * digit; }
  std::uint64_t* second(std::size_t i) { return seconds.data() + i * digit; }
  const std::uint64_t* second(std::size_t i) const { return seconds.data() + i * digit; }

  void put(std::size_t i, const std::uint64_t* group) {
    std::memcpy(unit(i), group, digit * sizeof(std::uint64_t));
    std::memcpy(second(i), group + digit, digit * sizeof(std::uint64_t));
  }
  void get(std::uint64_t* group, std::size_t i) {
    std::memcpy(group, unit(i), digit * sizeof(std::uint64_t));
    std::memcpy(group + digit, second(i), digit * sizeof(std::uint64_t));
  }

  void fill(const Modulus& modulus, const std::uint64_t* c) {
    GroupBuffer power(modulus.group_words(), true);
    put(0, modulus.one());
    put(1, c);
    for (std::size_t i = 2; i < kEntries; ++i) {
      get(power.data(), i % 2 == 0 ? i / 2 : i - 1);
      if (i % 2 == 0) {
        modulus.square_secret(power.data(), power.data());
      } else {
        modulus.multiply_secret(power.data(), power.data(), c);
      }
      put(i, power.data());
    }
  }
};

SecretLogarithm::SecretLogarithm(std::shared_ptr<const Modulus> modulus, mpz_srcptr exponent)
    : modulus_(std::move(modulus)), weights_(kEntries * modulus_->group_words(), true) {
  SecretMpz rest;
  mpz_sub_ui(rest, exponent, 1);
  const std::size_t count = (mpz_sizeinbase(rest, 2) + kWindow - 1) / kWindow;
  std::array<SecretMpz, kEntries> sums;
  SecretMpz weight;
  mpz_set_ui(weight, 1);
  SecretMpz prime;
  modulus_->base(prime);
  windows_.reserve(count);
  for (std::size_t j = 0; j < count; ++j) {
    windows_.push_back(mpz_get_ui(rest) % kEntries);
    mpz_fdiv_q_2exp(rest, rest, kWindow);
    mpz_add(sums.at(windows_.back()), sums.at(windows_.back()), weight);
    mpz_mul_2exp(weight, weight, kWindow);
    mpz_mod(weight, weight, prime);
  }
  for (std::size_t i = 0; i < kEntries; ++i) {
    mpz_mod(sums.at(i), sums.at(i), prime);
    modulus_->plain(weights_.data() + i * modulus_->group_words(), sums.at(i));
  }
  POPCORN_SECRET_BYTES(windows_.data(), windows_.size() * sizeof(std::uint64_t));
  POPCORN_SECRET_BYTES(weights_.data(), weights_.size() * sizeof(std::uint64_t));
}

SecretLogarithm::~SecretLogarithm() {
  OPENSSL_cleanse(windows_.data(), windows_.size() * sizeof(std::uint64_t));
}

/// r = Π_j û_{d_j}^{16^j}.
void SecretLogarithm::power(std::uint64_t* r, const Powers& powers) const {
  const Modulus& modulus = *modulus_;
  GroupBuffer factor(modulus.group_words(), true);
  std::array<std::uint64_t, kernels::kMaxLanes> index{};
  const auto look_up = [&](std::size_t j, std::uint64_t* unit) {
    index.fill(windows_[j]);
    modulus.kernel().select_digit(modulus.view(), unit, powers.units.data(), kEntries, index.data());
  };
  std::size_t j = windows_.size() - 1;
  std::memset(r, 0, modulus.group_words() * sizeof(std::uint64_t));
  look_up(j, r);
  while (j-- > 0) {
    for (unsigned i = 0; i < kWindow; ++i) modulus.square_secret(r, r);
    look_up(j, factor.data());
    modulus.multiply_unit(r, r, factor.data());
  }
  OPENSSL_cleanse(index.data(), sizeof index);
}

/// sum (a digit) = Σ_i λ_i·E_i = Σ_i (w_i·E_i/R)·inverse^i with the digit of the inverse times R.
void SecretLogarithm::correction(std::uint64_t* sum, const Powers& powers,
                                 const std::uint64_t* inverse) const {
  std::memset(sum, 0, powers.digit * sizeof(std::uint64_t));
  for (std::size_t i = kEntries; i-- > 0;) {
    modulus_->kernel().sum_of_products(modulus_->view(), sum, sum, inverse, powers.second(i),
                                       weights_.data() + i * modulus_->group_words());
  }
}

void SecretLogarithm::apply(std::uint64_t* r, const std::uint64_t* c, std::uint8_t* valid) const {
  const Modulus& modulus = *modulus_;
  const std::size_t limbs = modulus.base_limbs();
  Powers powers(modulus);
  powers.fill(modulus, c);
  GroupBuffer sum(modulus.group_words(), true);
  GroupBuffer residue(modulus.group_words(), true);
  power(residue.data(), powers);
  std::memset(sum.data(), 0, modulus.group_words() * sizeof(std::uint64_t));
  correction(sum.data(), powers, residue.data());
  modulus.multiply_secret(residue.data(), residue.data(), c);
  // c^e without the correction is u + p·w with u = 1, so the division by p is none.
  std::vector<std::uint64_t> digits(modulus.lanes() * 2 * limbs);
  modulus.export_digits(digits.data(), residue.data());
  for (std::size_t lane = 0; lane < modulus.lanes(); ++lane) {
    const auto u = digits.begin() + static_cast<std::ptrdiff_t>(2 * lane * limbs);
    const auto w = u + static_cast<std::ptrdiff_t>(limbs);
    std::uint64_t difference = u[0] ^ 1;
    for (auto limb = u + 1; limb != w; ++limb) difference |= *limb;
    valid[lane] = static_cast<std::uint8_t>(valid[lane] & static_cast<std::uint8_t>(difference == 0));
    std::copy_n(w, limbs, u);
    std::fill_n(w, limbs, 0);
  }
  modulus.load(r, digits.data());
  modulus.add(r, r, sum.data());
  OPENSSL_cleanse(digits.data(), digits.size() * sizeof(std::uint64_t));
}

}  // namespace popcorn::paillier
