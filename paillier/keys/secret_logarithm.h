// The heart of decryption: powers with the owner's exponent, whose result is 1 modulo p.
#pragma once

#include <gmp.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "paillier/kernels/modulus.h"

namespace popcorn::paillier {

/// c ↦ L_p(c^e mod p²) = (c^e mod p² − 1)/p for one secret exponent e and ciphertexts with c^e ≡ 1 mod p
/// [Paillier 1999, section 7].
///
/// The table of powers c^i holds only their units û_i (see kernel.h): half the memory, so that it fits the
/// first cache, and 8 units of work a factor instead of 10. With c^i = û_i·(1 + p·λ_i) and the digits d_j of
/// e,
///
///   c^e = Π_j û_{d_j}^{16^j} · (1 + p·Σ_i λ_i·E_i),   E_i = Σ_{j: d_j = i} 16^j,
///
/// and λ_i = w_i/u_i needs c^−i mod p, which is known: c^(e − 1) ≡ c⁻¹. So the windows are those of e − 1,
/// the last factor is c itself, and Σ λ_i·E_i takes 16 sums of two products by Horner's rule.
class SecretLogarithm {
 public:
  /// @param modulus p²  @param exponent e ≥ 2
  SecretLogarithm(std::shared_ptr<const kernels::Modulus> modulus, mpz_srcptr exponent);
  ~SecretLogarithm();
  SecretLogarithm(const SecretLogarithm&) = delete;
  SecretLogarithm& operator=(const SecretLogarithm&) = delete;

  /// u of r = L_p per lane, a plain number below 2p (w of r is of no meaning), for a group c of residues.
  /// valid[lane] &= whether c^e ≡ 1 mod p. Costs 4 squarings and a unit's multiplication for every 4 bits of
  /// e. Constant-time in e and c.
  void apply(std::uint64_t* r, const std::uint64_t* c, std::uint8_t* valid) const;

 private:
  static constexpr unsigned kWindow = 4;
  static constexpr std::size_t kEntries = std::size_t{1} << kWindow;

  struct Powers;
  void power(std::uint64_t* r, const Powers& powers) const;
  void correction(std::uint64_t* sum, const Powers& powers, const std::uint64_t* inverse) const;

  std::shared_ptr<const kernels::Modulus> modulus_;
  std::vector<std::uint64_t> windows_;  ///< d_j of e − 1, the least first
  kernels::GroupBuffer weights_;        ///< E_i, a group each, in u
};

}  // namespace popcorn::paillier
