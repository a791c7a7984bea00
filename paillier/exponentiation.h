// Exponentiation of groups, constant-time in the exponents.
#pragma once

#include <gmp.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "base/random.h"
#include "paillier/kernels/modulus.h"

namespace popcorn::paillier {

/// Exponents of a group's lanes: `limbs` little-endian words each, one after the other.
struct LaneExponents {
  const std::uint64_t* words;
  std::size_t limbs;
  /// `count` bits from `position` on of lane `lane`; zero past the end.
  std::uint64_t digit(std::size_t lane, std::size_t position, unsigned count) const;
};

/// Costs of power(): squarings and multiplications a lane for exponents of `bits` bits.
struct PowerCost {
  unsigned window;
  std::uint64_t squarings;
  std::uint64_t multiplications;  ///< without the squarings
};
PowerCost power_cost(std::size_t bits);

/// r[lane] = a[lane]^exponent[lane] for exponents below 2^bits, bits ≥ 1. Fixed windows, masked table
/// look-up: time and addresses depend on `bits` only. `table` holds 2^window groups. r may be a.
void power(const kernels::Modulus& modulus, std::uint64_t* r, const std::uint64_t* a,
           const LaneExponents& exponents, std::size_t bits, kernels::GroupBuffer& table);
std::size_t power_table_words(const kernels::Modulus& modulus, std::size_t bits);

/// r = a^exponent in every lane for one exponent ≥ 1 that is no secret, nor a: takes variable time, by
/// sliding windows over odd powers. About |exponent| squarings and a seventh as many multiplications. r may
/// be a.
void power_public(const kernels::Modulus& modulus, std::uint64_t* r, const std::uint64_t* a,
                  mpz_srcptr exponent);

/// r ← r·(1 + N·λ) for λ = w of `logarithm`, a group with u = 0 that may hold a sum of
/// kernel::add_logarithm() and is destroyed. 2 multiplications. `scratch` is another group.
void apply_logarithm(const kernels::Modulus& modulus, std::uint64_t* r, std::uint64_t* logarithm,
                     std::uint64_t* scratch);

/// Powers of one base, or products of powers of several, with random exponents, from a table of
/// base^(d·2^(window·i)): no squarings at all [Brickell, Gordon, McCurley, Wilson 1992]. The entries are kept
/// as units and logarithms (see kernel.h), so that a factor takes 8 units of work instead of a
/// multiplication's 10.
class FixedBaseTable {
 public:
  /// @param bases residues prime to N, each in all lanes of a group. Each takes the same number of windows of
  /// the exponent (the last may have fewer), the first base the lowest; see windows_of_a_base().
  /// @param secret wipes the table on destruction
  /// @throws Error "exponentiation.base" when one is not prime to N
  FixedBaseTable(std::shared_ptr<const kernels::Modulus> modulus, std::span<const kernels::GroupBuffer> bases,
                 std::size_t exponent_bits, unsigned window, bool secret = false);

  std::size_t exponent_bits() const noexcept { return exponent_bits_; }
  std::size_t exponent_limbs() const noexcept { return (exponent_bits_ + 63) / 64; }
  /// Multiplications a power costs: one a window but the first, by units, and two for the logarithms.
  std::uint64_t multiplications() const noexcept { return windows_ + 1; }
  std::size_t memory_bytes() const noexcept { return table_.size() * sizeof(std::uint64_t); }

  /// Windows of the exponent that `bases` bases share.
  static std::size_t windows_of_a_base(std::size_t bases, std::size_t exponent_bits, unsigned window) {
    return (exponent_bits + window * bases - 1) / (window * bases);
  }
  /// r[g] = Π base_b^(exponent_b) for `groups` groups, exponent_b being the bits of base b; exponents of
  /// exponent_limbs() words, lane after lane.
  void power(std::uint64_t* r, const std::uint64_t* exponents, std::size_t groups) const;

 private:
  static constexpr std::size_t kTogether = 8;  ///< groups that read a window of the table together

  /// The factors of one window for `groups` ≤ kTogether groups, touching all entries.
  void select(std::uint64_t* r, std::size_t window, const LaneExponents& exponents, std::size_t groups) const;

  std::shared_ptr<const kernels::Modulus> modulus_;
  std::size_t exponent_bits_;
  unsigned window_;
  std::size_t windows_;
  std::size_t window_words_;
  kernels::GroupBuffer table_;
};

/// `count` exponents of `bits` uniform bits, limbs_for(bits) words each.
void random_exponents(std::span<std::uint64_t> words, std::size_t bits, Rng& rng);

}  // namespace popcorn::paillier
