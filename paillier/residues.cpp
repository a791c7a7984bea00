// Masks uniform modulo N.
#include <gmp.h>

#include <algorithm>

#include "base/parallel.h"
#include "base/secret_bytes.h"
#include "paillier/big_integer.h"
#include "paillier/evaluator.h"

namespace popcorn::paillier {

namespace {

/// Values that one task draws, so that the generator is asked for some kilobytes at a time.
constexpr std::size_t kGrain = 32;

}  // namespace

std::size_t residue_limbs(unsigned key_bits) {
  return WideVector::limbs_for_bits(key_bits);
}

WideVector uniform_residues(const PublicKey& key, std::size_t count, Rng& rng) {
  const std::size_t limbs = key.bits() / 64;
  const std::vector<std::uint64_t> n = BigInteger(key.modulus()).limbs(limbs);
  WideVector residues(count, residue_limbs(key.bits()));
  parallel_ranges(count, kGrain, [&](std::size_t begin, std::size_t end) {
    SecretVector<std::uint64_t> drawn((end - begin) * limbs);
    const auto draw = [&](std::span<std::uint64_t> words) {
      rng.fill({reinterpret_cast<std::uint8_t*>(words.data()), words.size_bytes()});
    };
    draw(drawn);
    for (std::size_t i = begin; i < end; ++i) {
      // What is rejected is never used: that it was rejected tells nothing about what is.
      const std::span<std::uint64_t> value(drawn.data() + (i - begin) * limbs, limbs);
      while (mpn_cmp(value.data(), n.data(), static_cast<mp_size_t>(limbs)) >= 0) draw(value);
      std::ranges::copy(value, residues[i].begin());
    }
  });
  return residues;
}

}  // namespace popcorn::paillier
