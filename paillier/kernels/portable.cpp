// The portable kernel: GMP's mpn layer, one lane, 64-bit digits, word-by-word Montgomery reduction.
#include <gmp.h>

#include <cstring>

#include "paillier/kernels/kernel.h"

namespace popcorn::paillier::kernels {

namespace {

constexpr size_t kMaxLimbs = kMaxModulusBits / 64 + 1;
constexpr size_t kMaxSecretScratch = 8 * kMaxLimbs;

bool portable_supported() {
  return true;
}

/// Two bits above the modulus, so that R > 4N as for every kernel.
size_t portable_words(size_t bits) {
  return (bits + 2 + 63) / 64;
}

/// r = t/R mod N for t of 2·words limbs, below R·N; subtracts once by mask, so r < 2N for inputs below 2N.
void reduce(const ModulusView& m, uint64_t* r, uint64_t* t) {
  const auto words = static_cast<mp_size_t>(m.words);
  for (mp_size_t i = 0; i < words; ++i) {
    const mp_limb_t quotient = t[i] * m.inverse;
    t[i] = mpn_addmul_1(t + i, m.value, words, quotient);  // the carry takes the place of the cleared limb
  }
  // (4N² + RN)/R < 2N: no carry out and no subtraction is needed.
  mpn_add_n(r, t + words, t, words);
}

void portable_multiply(const ModulusView& m, uint64_t* r, const uint64_t* a, const uint64_t* b) {
  mp_limb_t product[2 * kMaxLimbs];
  mpn_mul_n(product, a, b, static_cast<mp_size_t>(m.words));
  reduce(m, r, product);
}

void portable_square(const ModulusView& m, uint64_t* r, const uint64_t* a) {
  mp_limb_t product[2 * kMaxLimbs];
  mpn_sqr(product, a, static_cast<mp_size_t>(m.words));
  reduce(m, r, product);
}

void portable_multiply_secret(const ModulusView& m, uint64_t* r, const uint64_t* a, const uint64_t* b) {
  mp_limb_t product[2 * kMaxLimbs];
  mp_limb_t scratch[kMaxSecretScratch];
  const auto words = static_cast<mp_size_t>(m.words);
  mpn_sec_mul(product, a, words, b, words, scratch);
  reduce(m, r, product);
}

void portable_square_secret(const ModulusView& m, uint64_t* r, const uint64_t* a) {
  mp_limb_t product[2 * kMaxLimbs];
  mp_limb_t scratch[kMaxSecretScratch];
  mpn_sec_sqr(product, a, static_cast<mp_size_t>(m.words), scratch);
  reduce(m, r, product);
}

/// r −= subtrahend when r ≥ subtrahend, without a branch.
void conditional_subtract(uint64_t* r, const uint64_t* subtrahend, size_t words) {
  mp_limb_t difference[kMaxLimbs];
  const auto size = static_cast<mp_size_t>(words);
  const mp_limb_t borrow = mpn_sub_n(difference, r, subtrahend, size);
  const mp_limb_t keep = 0 - borrow;  // all ones when r < subtrahend
  for (size_t k = 0; k < words; ++k) r[k] = (r[k] & keep) | (difference[k] & ~keep);
}

void portable_add(const ModulusView& m, uint64_t* r, const uint64_t* a, const uint64_t* b) {
  mpn_add_n(r, a, b, static_cast<mp_size_t>(m.words));
  conditional_subtract(r, m.twice, m.words);
}

void portable_load(const ModulusView& m, uint64_t* group, const uint64_t* values) {
  for (size_t k = 0; k < m.words; ++k) group[k] = k < m.limbs ? values[k] : 0;
}

void portable_store(const ModulusView& m, uint64_t* values, const uint64_t* group) {
  mp_limb_t reduced[kMaxLimbs];
  std::memcpy(reduced, group, m.words * sizeof(uint64_t));
  conditional_subtract(reduced, m.value, m.words);
  std::memcpy(values, reduced, m.limbs * sizeof(uint64_t));
}

void portable_gather(const ModulusView& m, uint64_t* r, const uint64_t* const* operands) {
  std::memcpy(r, operands[0] == nullptr ? m.one : operands[0], m.words * sizeof(uint64_t));
}

void portable_blend(const ModulusView& m, uint64_t* r, const uint64_t* a, unsigned lanes_mask) {
  if ((lanes_mask & 1) != 0) std::memcpy(r, a, m.words * sizeof(uint64_t));
}

void portable_put(const ModulusView& m, uint64_t* operand, const uint64_t* group, unsigned /*lane*/) {
  std::memcpy(operand, group, m.words * sizeof(uint64_t));
}

void portable_select(const ModulusView& m, uint64_t* r, const uint64_t* table, size_t entries,
                     const uint64_t* index) {
  mpn_sec_tabselect(r, table, static_cast<mp_size_t>(m.words), static_cast<mp_size_t>(entries),
                    static_cast<mp_size_t>(index[0]));
}

size_t portable_shared_table_words(const ModulusView& m, unsigned entry_bits) {
  return m.words << entry_bits;
}

void portable_shared_put(const ModulusView& m, uint64_t* table, unsigned /*entry_bits*/, size_t entry,
                         const uint64_t* group, unsigned /*lane*/) {
  std::memcpy(table + entry * m.words, group, m.words * sizeof(uint64_t));
}

void portable_shared_select(const ModulusView& m, uint64_t* r, const uint64_t* table, unsigned entry_bits,
                            const uint64_t* index, size_t groups) {
  for (size_t g = 0; g < groups; ++g) {
    portable_select(m, r + g * m.words, table, size_t{1} << entry_bits, index + g);
  }
}

}  // namespace

const Kernel kPortable = {
    .name = "portable",
    .description = "GMP mpn, one operand at a time, any processor",
    .lanes = 1,
    .radix_bits = 64,
    .supported = portable_supported,
    .words = portable_words,
    .multiply = portable_multiply,
    .square = portable_square,
    .multiply_secret = portable_multiply_secret,
    .square_secret = portable_square_secret,
    .add = portable_add,
    .load = portable_load,
    .store = portable_store,
    .gather = portable_gather,
    .blend = portable_blend,
    .put = portable_put,
    .select = portable_select,
    .shared_table_words = portable_shared_table_words,
    .shared_put = portable_shared_put,
    .shared_select = portable_shared_select,
};

}  // namespace popcorn::paillier::kernels
