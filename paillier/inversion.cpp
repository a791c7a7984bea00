#include "paillier/inversion.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "base/error.h"
#include "base/parallel.h"
#include "paillier/kernels/modulus.h"

namespace popcorn::paillier {

using kernels::GroupBuffer;
using kernels::Modulus;

void invert_values(std::uint64_t* values, std::size_t count, std::size_t limbs, const BigInteger& modulus) {
  std::vector<BigInteger> prefix;
  prefix.reserve(count);
  BigInteger value;
  BigInteger running;
  mpz_set_ui(running.get(), 1);
  for (std::size_t i = 0; i < count; ++i) {
    BigInteger before;
    mpz_set(before.get(), running.get());
    prefix.push_back(std::move(before));
    value.set_limbs({values + i * limbs, limbs});
    mpz_mul(running.get(), running.get(), value.get());
    mpz_mod(running.get(), running.get(), modulus.get());
  }
  if (mpz_invert(running.get(), running.get(), modulus.get()) == 0) {
    throw InputError("ciphertext.not_invertible", "a ciphertext shares a factor with the modulus");
  }
  BigInteger inverse;
  for (std::size_t i = count; i-- > 0;) {
    value.set_limbs({values + i * limbs, limbs});
    mpz_mul(inverse.get(), running.get(), prefix[i].get());
    mpz_mod(inverse.get(), inverse.get(), modulus.get());
    mpz_mul(running.get(), running.get(), value.get());
    mpz_mod(running.get(), running.get(), modulus.get());
    std::ranges::copy(inverse.limbs(limbs), values + i * limbs);
  }
}

CiphertextBatch invert_batch(const CiphertextBatch& x, const BigInteger& n_squared) {
  if (x.empty()) return {};
  const Modulus& modulus = x.modulus();
  const std::size_t group = modulus.group_words();
  const std::size_t limbs = modulus.limbs();
  const std::size_t lanes = modulus.lanes();
  constexpr std::size_t kChunk =
      64;  // groups a running product; long enough that its inversion does not count
  const std::size_t chunks = (x.groups() + kChunk - 1) / kChunk;
  // inverse[g] first holds the product of the groups of its chunk up to and including g, lane by lane.
  CiphertextBatch inverse(x.shared_modulus(), x.size());
  std::vector<std::uint64_t> totals(chunks * lanes * limbs);
  parallel_ranges(chunks, 1, [&](std::size_t begin, std::size_t end) {
    for (std::size_t chunk = begin; chunk < end; ++chunk) {
      const std::size_t first = chunk * kChunk;
      const std::size_t last = std::min(first + kChunk, x.groups());
      std::memcpy(inverse.group(first), x.group(first), group * sizeof(std::uint64_t));
      for (std::size_t g = first + 1; g < last; ++g)
        modulus.multiply(inverse.group(g), inverse.group(g - 1), x.group(g));
      modulus.export_numbers(totals.data() + chunk * lanes * limbs, inverse.group(last - 1));
    }
  });
  invert_values(totals.data(), chunks * lanes, limbs, n_squared);
  parallel_ranges(chunks, 1, [&](std::size_t begin, std::size_t end) {
    GroupBuffer running(group);
    for (std::size_t chunk = begin; chunk < end; ++chunk) {
      const std::size_t first = chunk * kChunk;
      const std::size_t last = std::min(first + kChunk, x.groups());
      modulus.import_numbers(running.data(), totals.data() + chunk * lanes * limbs);
      for (std::size_t g = last; g-- > first + 1;) {
        modulus.multiply(inverse.group(g), running.data(), inverse.group(g - 1));
        modulus.multiply(running.data(), running.data(), x.group(g));
      }
      std::memcpy(inverse.group(first), running.data(), group * sizeof(std::uint64_t));
    }
  });
  return inverse;
}

}  // namespace popcorn::paillier
