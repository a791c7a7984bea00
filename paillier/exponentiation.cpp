#include "paillier/exponentiation.h"

#include <openssl/crypto.h>

#include <array>
#include <cstring>
#include <vector>

#include "base/error.h"
#include "base/secret.h"
#include "paillier/prefetch.h"
#include "paillier/secret_mpz.h"

namespace popcorn::paillier {

using kernels::GroupBuffer;
using kernels::Modulus;

std::uint64_t LaneExponents::digit(std::size_t lane, std::size_t position, unsigned count) const {
  const std::size_t limb = position / 64;
  const unsigned shift = position % 64;
  if (limb >= limbs) return 0;
  const std::uint64_t* exponent = words + lane * limbs;
  std::uint64_t value = exponent[limb] >> shift;
  if (shift + count > 64 && limb + 1 < limbs) value |= exponent[limb + 1] << (64 - shift);
  return value & ((std::uint64_t{1} << count) - 1);
}

PowerCost power_cost(std::size_t bits) {
  // Reading an entry of the masked table look-up costs about a fiftieth of a multiplication (measured on
  // AVX-512), so that wide windows do not pay even where they save multiplications.
  constexpr double kEntryCost = 0.02;
  constexpr unsigned kMaxWindow = 6;
  PowerCost best{0, 0, 0};
  double best_time = 0;
  for (unsigned window = 1; window <= kMaxWindow; ++window) {
    const std::uint64_t digits = (bits + window - 1) / window;
    const std::uint64_t entries = std::uint64_t{1} << window;
    const PowerCost cost{window, (digits - 1) * window, entries - 2 + digits - 1};
    const double time = static_cast<double>(cost.squarings + cost.multiplications) +
                        kEntryCost * static_cast<double>(digits * entries);
    if (best.window == 0 || time < best_time) {
      best = cost;
      best_time = time;
    }
  }
  return best;
}

void apply_logarithm(const Modulus& modulus, std::uint64_t* r, std::uint64_t* logarithm,
                     std::uint64_t* scratch) {
  // N·λ as a plain number is the pair u = 0, w = λ.
  std::memset(scratch, 0, modulus.group_words() * sizeof(std::uint64_t));
  modulus.add(logarithm, logarithm, scratch);
  modulus.multiply_secret(logarithm, logarithm, modulus.to_residue());
  modulus.add(logarithm, logarithm, modulus.one());
  modulus.multiply_secret(r, r, logarithm);
}

std::size_t power_table_words(const Modulus& modulus, std::size_t bits) {
  return modulus.group_words() << power_cost(bits).window;
}

void power(const Modulus& modulus, std::uint64_t* r, const std::uint64_t* a, const LaneExponents& exponents,
           std::size_t bits, GroupBuffer& table) {
  const std::size_t group = modulus.group_words();
  const std::size_t lanes = modulus.lanes();
  const unsigned window = power_cost(bits).window;
  const std::size_t entries = std::size_t{1} << window;
  std::uint64_t* const powers = table.data();
  std::memcpy(powers, modulus.one(), group * sizeof(std::uint64_t));
  std::memcpy(powers + group, a, group * sizeof(std::uint64_t));
  for (std::size_t i = 2; i < entries; ++i) {
    if (i % 2 == 0) {
      modulus.square_secret(powers + i * group, powers + i / 2 * group);
    } else {
      modulus.multiply_secret(powers + i * group, powers + (i - 1) * group, powers + group);
    }
  }
  alignas(64) std::array<std::uint64_t, kernels::kMaxGroupWords> factor;
  std::array<std::uint64_t, kernels::kMaxLanes> index{};
  const auto look_up = [&](std::size_t digit, std::uint64_t* target) {
    for (std::size_t lane = 0; lane < lanes; ++lane)
      index[lane] = exponents.digit(lane, digit * window, window);
    modulus.kernel().select(modulus.view(), target, powers, entries, index.data());
  };
  std::size_t digit = (bits + window - 1) / window - 1;
  look_up(digit, r);
  while (digit-- > 0) {
    for (unsigned i = 0; i < window; ++i) modulus.square_secret(r, r);
    look_up(digit, factor.data());
    modulus.multiply_secret(r, r, factor.data());
  }
}

void power_public(const Modulus& modulus, std::uint64_t* r, const std::uint64_t* a, mpz_srcptr exponent) {
  constexpr mp_bitcnt_t kWindow = 6;
  const std::size_t group = modulus.group_words();
  GroupBuffer table(group << (kWindow - 1));  // a, a³, a⁵, …
  const auto odd_power = [&](std::size_t power) { return table.data() + power / 2 * group; };
  std::memcpy(odd_power(1), a, group * sizeof(std::uint64_t));
  alignas(64) std::array<std::uint64_t, kernels::kMaxGroupWords> square;
  modulus.square(square.data(), a);
  for (std::size_t power = 3; power < std::size_t{1} << kWindow; power += 2) {
    modulus.multiply(odd_power(power), odd_power(power - 2), square.data());
  }
  std::memcpy(r, modulus.one(), group * sizeof(std::uint64_t));
  for (mp_bitcnt_t end = mpz_sizeinbase(exponent, 2); end > 0;) {
    if (mpz_tstbit(exponent, end - 1) == 0) {
      modulus.square(r, r);
      --end;
      continue;
    }
    const mp_bitcnt_t begin = mpz_scan1(exponent, end > kWindow ? end - kWindow : 0);
    std::size_t digit = 0;
    for (mp_bitcnt_t bit = end; bit > begin; --bit) {
      modulus.square(r, r);
      digit = 2 * digit + static_cast<std::size_t>(mpz_tstbit(exponent, bit - 1));
    }
    modulus.multiply(r, r, odd_power(digit));
    end = begin;
  }
}

namespace {

/// r = a·b/R mod N, on the first digits of groups.
void multiply_digit(const Modulus& modulus, std::uint64_t* r, const std::uint64_t* a,
                    const std::uint64_t* b) {
  modulus.kernel().sum_of_products(modulus.view(), r, a, b, nullptr, nullptr);
}

/// Turns x into a unit, in u, and its logarithm, in w. @param inverse a digit, u(x)⁻¹·R modulo N
void to_unit(const Modulus& modulus, std::uint64_t* x, const std::uint64_t* inverse) {
  std::uint64_t* const w = x + modulus.group_words() / 2;
  multiply_digit(modulus, w, inverse, w);
}

/// The residue of base⁻¹, from and to lane 0 (other lanes hold the same).
GroupBuffer inverse_of(const Modulus& modulus, const std::uint64_t* base) {
  std::vector<std::uint64_t> numbers(modulus.lanes() * modulus.limbs());
  modulus.export_numbers(numbers.data(), base);
  SecretMpz value;
  mpz_import(value, modulus.limbs(), -1, sizeof(std::uint64_t), 0, 0, numbers.data());
  SecretMpz n_squared;
  modulus.base(n_squared);
  mpz_mul(n_squared, n_squared, n_squared);
  OPENSSL_cleanse(numbers.data(), numbers.size() * sizeof(std::uint64_t));
  if (mpz_invert(value, value, n_squared) == 0) {
    throw Error("exponentiation.base", "the base of a table shares a factor with the modulus");
  }
  return modulus.constant(value);
}

}  // namespace

FixedBaseTable::FixedBaseTable(std::shared_ptr<const Modulus> modulus, std::span<const GroupBuffer> bases,
                               std::size_t exponent_bits, unsigned window, bool secret)
    : modulus_(std::move(modulus)),
      exponent_bits_(exponent_bits),
      window_(window),
      windows_((exponent_bits + window - 1) / window),
      window_words_(modulus_->kernel().shared_table_words(modulus_->view(), window)),
      table_(windows_ * window_words_, secret) {
  if (windows_ >> (kernels::kSpareBits - 2) != 0) {
    throw Error("exponentiation.windows", "too many windows for one table");
  }
  const std::size_t group = modulus_->group_words();
  const std::size_t lanes = modulus_->lanes();
  const std::size_t groups = (windows_ + lanes - 1) / lanes;
  std::memset(table_.data(), 0, table_.size() * sizeof(std::uint64_t));
  // What the digit of each window is the exponent of, and the first digit of its inverse, one a lane, in
  // batches; unused lanes of the last group hold further powers.
  GroupBuffer window_bases(groups * group, secret);
  GroupBuffer inverses(groups * group, secret);
  GroupBuffer current(group, secret);
  GroupBuffer inverse;
  const std::size_t windows_each = windows_of_a_base(bases.size(), exponent_bits, window);
  for (std::size_t i = 0; i < groups * lanes; ++i) {
    if (i % windows_each == 0 && i / windows_each < bases.size()) {
      const std::uint64_t* const base = bases[i / windows_each].data();
      std::memcpy(current.data(), base, group * sizeof(std::uint64_t));
      inverse = inverse_of(*modulus_, base);
    }
    modulus_->kernel().put(modulus_->view(), modulus_->operand(window_bases.data(), i), current.data(), 0);
    modulus_->kernel().put(modulus_->view(), modulus_->operand(inverses.data(), i), inverse.data(), 0);
    for (unsigned k = 0; k < window_; ++k) {
      modulus_->square_secret(current.data(), current.data());
      multiply_digit(*modulus_, inverse.data(), inverse.data(), inverse.data());
    }
  }
  GroupBuffer entry_unit(group, secret);
  for (std::size_t g = 0; g < groups; ++g) {
    std::memcpy(current.data(), modulus_->one(), group * sizeof(std::uint64_t));
    // The plain number x⁻¹ where a residue holds x⁻¹·R: its u times that of x is R, as to_unit() wants it.
    std::memcpy(inverse.data(), modulus_->from_residue(), group * sizeof(std::uint64_t));
    for (std::size_t entry = 0; entry < (std::size_t{1} << window_); ++entry) {
      std::memcpy(entry_unit.data(), current.data(), group * sizeof(std::uint64_t));
      to_unit(*modulus_, entry_unit.data(), inverse.data());
      for (std::size_t lane = 0; lane < lanes && g * lanes + lane < windows_; ++lane) {
        modulus_->kernel().shared_put(modulus_->view(), table_.data() + (g * lanes + lane) * window_words_,
                                      window_, entry, entry_unit.data(), static_cast<unsigned>(lane));
      }
      const auto multiply = secret ? &Modulus::multiply_secret : &Modulus::multiply;
      (*modulus_.*multiply)(current.data(), current.data(), window_bases.data() + g * group);
      multiply_digit(*modulus_, inverse.data(), inverse.data(), inverses.data() + g * group);
    }
  }
  if (secret) POPCORN_SECRET_BYTES(table_.data(), table_.size() * sizeof(std::uint64_t));
}

void FixedBaseTable::select(std::uint64_t* r, std::size_t window, const LaneExponents& exponents,
                            std::size_t groups) const {
  std::array<std::uint64_t, kTogether * kernels::kMaxLanes> index{};
  const std::size_t position = window * window_;
  const auto bits = static_cast<unsigned>(std::min<std::size_t>(window_, exponent_bits_ - position));
  for (std::size_t lane = 0; lane < groups * modulus_->lanes(); ++lane)
    index[lane] = exponents.digit(lane, position, bits);
  modulus_->kernel().shared_select(modulus_->view(), r, table_.data() + window * window_words_, window_,
                                   index.data(), groups);
}

void FixedBaseTable::power(std::uint64_t* r, const std::uint64_t* exponents, std::size_t groups) const {
  const std::size_t group = modulus_->group_words();
  const std::size_t digit = group / 2;
  const std::size_t lanes = modulus_->lanes();
  GroupBuffer factors(std::min(groups, kTogether) * group, true);
  GroupBuffer logarithms(std::min(groups, kTogether) * group, true);
  for (std::size_t first = 0; first < groups; first += kTogether) {
    const std::size_t count = std::min(kTogether, groups - first);
    const LaneExponents chunk{exponents + first * lanes * exponent_limbs(), exponent_limbs()};
    std::uint64_t* const products = r + first * group;
    select(logarithms.data(), 0, chunk, count);
    for (std::size_t g = 0; g < count; ++g) {
      std::memcpy(products + g * group, logarithms.data() + g * group, digit * sizeof(std::uint64_t));
      std::memset(products + g * group + digit, 0, digit * sizeof(std::uint64_t));
      std::memset(logarithms.data() + g * group, 0, digit * sizeof(std::uint64_t));
    }
    for (std::size_t i = 1; i < windows_; ++i) {
      select(factors.data(), i, chunk, count);
      for (std::size_t g = 0; g < count; ++g) {
        // The table is larger than the caches near the core: a share of the next window's entries is on its
        // way while the processor multiplies.
        if (i + 1 < windows_) {
          const std::size_t begin = window_words_ * g / count;
          fetch_ahead(table_.data() + (i + 1) * window_words_ + begin,
                      window_words_ * (g + 1) / count - begin);
        }
        const std::uint64_t* const factor = factors.data() + g * group;
        modulus_->multiply_unit(products + g * group, products + g * group, factor);
        modulus_->kernel().add_logarithm(modulus_->view(), logarithms.data() + g * group, factor);
      }
    }
    for (std::size_t g = 0; g < count; ++g) {
      apply_logarithm(*modulus_, products + g * group, logarithms.data() + g * group, factors.data());
    }
  }
}

void random_exponents(std::span<std::uint64_t> words, std::size_t bits, Rng& rng) {
  rng.fill({reinterpret_cast<std::uint8_t*>(words.data()), words.size_bytes()});
  const std::size_t limbs = (bits + 63) / 64;
  if (bits % 64 == 0) return;
  for (std::size_t i = limbs - 1; i < words.size(); i += limbs)
    words[i] &= (std::uint64_t{1} << (bits % 64)) - 1;
}

}  // namespace popcorn::paillier
