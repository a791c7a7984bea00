// The portable kernel: GMP's mpn layer, one residue at a time, 64-bit digits.
#include <gmp.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include <cstring>

#include "paillier/kernels/kernel.h"

namespace popcorn::paillier::kernels {

namespace {

constexpr size_t kMaxLimbs = kMaxBaseBits / 64 + 1;
constexpr size_t kMaxSecretScratch = 8 * kMaxLimbs;

using Product = mp_limb_t[2 * kMaxLimbs];

bool portable_supported() {
  return true;
}

size_t portable_words(size_t bits) {
  return (bits + kSpareBits + 63) / 64;
}

mp_size_t size_of(const ModulusView& m) {
  return static_cast<mp_size_t>(m.words);
}

/// r = (t + q·N)/R for t of 2·words limbs, which is destroyed; q of `words` limbs on request. The caller's
/// bounds make the result smaller than 2N, so no carry leaves it.
void reduce(const ModulusView& m, uint64_t* r, uint64_t* t, uint64_t* q) {
  const mp_size_t words = size_of(m);
  for (mp_size_t i = 0; i < words; ++i) {
    const mp_limb_t quotient = t[i] * m.inverse;
    if (q != nullptr) q[i] = quotient;
    t[i] = mpn_addmul_1(t + i, m.base, words, quotient);  // the carry takes the place of the cleared limb
  }
  mpn_add_n(r, t + words, t, words);
}

/// w = (sum − q)/R mod N, with −q = (R − 1 − q) + (1 − R).
void reduce_second(const ModulusView& m, uint64_t* w, uint64_t* sum, const uint64_t* q) {
  const mp_size_t words = size_of(m);
  mp_limb_t complement[kMaxLimbs];
  mpn_com(complement, q, words);
  mp_limb_t carry = mpn_add_n(sum, sum, complement, words);
  carry += mpn_add_n(sum, sum, m.complement, words);
  for (mp_size_t i = words; i < 2 * words; ++i) {  // to the end, whatever the carry is: no branch on a secret
    sum[i] += carry;
    carry = static_cast<mp_limb_t>(sum[i] < carry);
  }
  reduce(m, w, sum, nullptr);
}

void plain_product(uint64_t* r, const uint64_t* a, const uint64_t* b, mp_size_t words) {
  mpn_mul_n(r, a, b, words);
}
void plain_square(uint64_t* r, const uint64_t* a, mp_size_t words) {
  mpn_sqr(r, a, words);
}
void secret_product(uint64_t* r, const uint64_t* a, const uint64_t* b, mp_size_t words) {
  mp_limb_t scratch[kMaxSecretScratch];
  mpn_sec_mul(r, a, words, b, words, scratch);
}
void secret_square(uint64_t* r, const uint64_t* a, mp_size_t words) {
  mp_limb_t scratch[kMaxSecretScratch];
  mpn_sec_sqr(r, a, words, scratch);
}

template <auto product>
void multiply_with(const ModulusView& m, uint64_t* r, const uint64_t* a, const uint64_t* b) {
  const mp_size_t words = size_of(m);
  Product t;
  Product sum;
  Product other;
  mp_limb_t q[kMaxLimbs];
  product(t, a, b, words);
  product(sum, a, b + words, words);
  product(other, a + words, b, words);
  mpn_add_n(sum, sum, other, 2 * words);
  reduce(m, r, t, q);
  reduce_second(m, r + words, sum, q);
}

template <auto product, auto square>
void square_with(const ModulusView& m, uint64_t* r, const uint64_t* a) {
  const mp_size_t words = size_of(m);
  Product t;
  Product sum;
  mp_limb_t q[kMaxLimbs];
  square(t, a, words);
  product(sum, a, a + words, words);
  mpn_lshift(sum, sum, 2 * words, 1);
  reduce(m, r, t, q);
  reduce_second(m, r + words, sum, q);
}

void portable_multiply(const ModulusView& m, uint64_t* r, const uint64_t* a, const uint64_t* b) {
  multiply_with<plain_product>(m, r, a, b);
}
void portable_square(const ModulusView& m, uint64_t* r, const uint64_t* a) {
  square_with<plain_product, plain_square>(m, r, a);
}
void portable_multiply_secret(const ModulusView& m, uint64_t* r, const uint64_t* a, const uint64_t* b) {
  multiply_with<secret_product>(m, r, a, b);
}
void portable_square_secret(const ModulusView& m, uint64_t* r, const uint64_t* a) {
  square_with<secret_product, secret_square>(m, r, a);
}

void portable_multiply_unit(const ModulusView& m, uint64_t* r, const uint64_t* a, const uint64_t* unit) {
  Product t;
  Product sum;
  mp_limb_t q[kMaxLimbs];
  secret_product(t, a, unit, size_of(m));
  secret_product(sum, a + m.words, unit, size_of(m));
  reduce(m, r, t, q);
  reduce_second(m, r + m.words, sum, q);
}

void portable_multiply_units(const ModulusView& m, uint64_t* r, const uint64_t* a, const uint64_t* b) {
  Product t;
  Product sum{};
  mp_limb_t q[kMaxLimbs];
  secret_product(t, a, b, size_of(m));
  reduce(m, r, t, q);
  reduce_second(m, r + m.words, sum, q);
}

void portable_add_logarithm(const ModulusView& m, uint64_t* sum, const uint64_t* a) {
  mpn_add_n(sum + m.words, sum + m.words, a + m.words, size_of(m));
}

void portable_sum_of_products(const ModulusView& m, uint64_t* r, const uint64_t* a, const uint64_t* b,
                              const uint64_t* c, const uint64_t* d) {
  Product sum;
  Product other;
  secret_product(sum, a, b, size_of(m));
  if (c != nullptr) {
    secret_product(other, c, d, size_of(m));
    mpn_add_n(sum, sum, other, 2 * size_of(m));
  }
  reduce(m, r, sum, nullptr);
}

/// r −= subtrahend when r ≥ subtrahend, without a branch; 1 when it did.
mp_limb_t conditional_subtract(uint64_t* r, const uint64_t* subtrahend, size_t words) {
  mp_limb_t difference[kMaxLimbs];
  const mp_limb_t borrow = mpn_sub_n(difference, r, subtrahend, static_cast<mp_size_t>(words));
  const mp_limb_t keep = 0 - borrow;  // all ones when r < subtrahend
  for (size_t k = 0; k < words; ++k) r[k] = (r[k] & keep) | (difference[k] & ~keep);
  return 1 - borrow;
}

/// r += addend (a few units), to the end.
void add_small(uint64_t* r, mp_limb_t addend, size_t words) {
  for (size_t k = 0; k < words; ++k) {
    r[k] += addend;
    addend = static_cast<mp_limb_t>(r[k] < addend);
  }
}

void portable_add(const ModulusView& m, uint64_t* r, const uint64_t* a, const uint64_t* b) {
  const mp_size_t words = size_of(m);
  mpn_add_n(r, a, b, words);
  mpn_add_n(r + words, a + words, b + words, words);
  // u − 2N is made up for by w + 2.
  const mp_limb_t subtracted = conditional_subtract(r, m.twice, m.words);
  add_small(r + words, 2 * subtracted, m.words);
  conditional_subtract(r + words, m.twice, m.words);
  conditional_subtract(r + words, m.twice, m.words);
}

void portable_invert_logarithm(const ModulusView& m, uint64_t* r, const uint64_t* a,
                               const uint64_t* product) {
  const mp_size_t words = size_of(m);
  // u of the product is that of 1, or N more, and then its w is 1 less. κ·R = w − (w of one).
  const auto carried = static_cast<mp_limb_t>(product[0] != m.one[0]);
  mp_limb_t most[kMaxLimbs];  // 4N + (w of one), which is at least w(product) + w(a)
  mpn_add_n(most, m.twice, m.twice, words);
  mpn_add_n(most, most, m.one + words, words);
  mpn_sub_n(most, most, product + words, words);
  mpn_sub_n(r + words, most, a + words, words);
  mpn_sub_1(r + words, r + words, words, carried);
  conditional_subtract(r + words, m.twice, m.words);
  conditional_subtract(r + words, m.twice, m.words);
}

void portable_load(const ModulusView& m, uint64_t* group, const uint64_t* values) {
  for (size_t half = 0; half < 2; ++half) {
    for (size_t k = 0; k < m.words; ++k) {
      group[half * m.words + k] = k < m.limbs ? values[half * m.limbs + k] : 0;
    }
  }
}

/// The digits of a residue below N each: what is subtracted from u is added to w.
void normalise(const ModulusView& m, mp_limb_t* u, mp_limb_t* w, const uint64_t* group) {
  std::memcpy(u, group, m.words * sizeof(uint64_t));
  std::memcpy(w, group + m.words, m.words * sizeof(uint64_t));
  add_small(w, conditional_subtract(u, m.base, m.words), m.words);
  conditional_subtract(w, m.base, m.words);
  conditional_subtract(w, m.base, m.words);
}

void portable_store(const ModulusView& m, uint64_t* values, const uint64_t* group) {
  mp_limb_t u[kMaxLimbs];
  mp_limb_t w[kMaxLimbs];
  normalise(m, u, w, group);
  Product product;
  secret_product(product, w, m.base, size_of(m));
  const mp_limb_t carry = mpn_add_n(product, product, u, size_of(m));
  add_small(product + m.words, carry, m.words);
  std::memcpy(values, product, 2 * m.limbs * sizeof(uint64_t));
}

void portable_store_digits(const ModulusView& m, uint64_t* values, const uint64_t* group) {
  mp_limb_t u[kMaxLimbs];
  mp_limb_t w[kMaxLimbs];
  normalise(m, u, w, group);
  std::memcpy(values, u, m.limbs * sizeof(uint64_t));
  std::memcpy(values + m.limbs, w, m.limbs * sizeof(uint64_t));
}

void portable_gather(const ModulusView& m, uint64_t* r, const uint64_t* const* operands) {
  std::memcpy(r, operands[0] == nullptr ? m.one : operands[0], 2 * m.words * sizeof(uint64_t));
}

void portable_blend(const ModulusView& m, uint64_t* r, const uint64_t* a, unsigned lanes_mask) {
  if ((lanes_mask & 1) != 0) std::memcpy(r, a, 2 * m.words * sizeof(uint64_t));
}

void portable_put(const ModulusView& m, uint64_t* operand, const uint64_t* group, unsigned /*lane*/) {
  std::memcpy(operand, group, 2 * m.words * sizeof(uint64_t));
}

#if defined(__x86_64__)
constexpr size_t kWordsTogether = 16;

/// mpn_sec_tabselect() with vectors of four words: touches every entry, by masks. At least kWordsTogether
/// words.
__attribute__((target("avx2"))) void select_by_vectors(uint64_t* r, const uint64_t* table, size_t words,
                                                       size_t entries, uint64_t index) {
  const __m256i wanted = _mm256_set1_epi64x(static_cast<long long>(index));
  const __m256i one = _mm256_set1_epi64x(1);
  for (size_t done = 0; done < words; done += kWordsTogether) {
    const size_t k =
        done + kWordsTogether <= words ? done : words - kWordsTogether;  // the last ones may overlap
    __m256i a = _mm256_setzero_si256(), b = a, c = a, d = a, entry = a;
    const uint64_t* words_of_entry = table + k;
    for (size_t e = 0; e < entries; ++e, words_of_entry += words) {
      const auto* const from = reinterpret_cast<const __m256i*>(words_of_entry);
      const __m256i mask = _mm256_cmpeq_epi64(entry, wanted);
      entry = _mm256_add_epi64(entry, one);
      a = _mm256_or_si256(a, _mm256_and_si256(mask, _mm256_loadu_si256(from)));
      b = _mm256_or_si256(b, _mm256_and_si256(mask, _mm256_loadu_si256(from + 1)));
      c = _mm256_or_si256(c, _mm256_and_si256(mask, _mm256_loadu_si256(from + 2)));
      d = _mm256_or_si256(d, _mm256_and_si256(mask, _mm256_loadu_si256(from + 3)));
    }
    auto* const to = reinterpret_cast<__m256i*>(r + k);
    _mm256_storeu_si256(to, a);
    _mm256_storeu_si256(to + 1, b);
    _mm256_storeu_si256(to + 2, c);
    _mm256_storeu_si256(to + 3, d);
  }
}

bool has_vectors() {
  static const bool has = __builtin_cpu_supports("avx2") != 0;
  return has;
}
#endif

void select_entry(uint64_t* r, const uint64_t* table, mp_size_t words, size_t entries, uint64_t index) {
#if defined(__x86_64__)
  const auto count = static_cast<size_t>(words);
  if (has_vectors() && count >= kWordsTogether) return select_by_vectors(r, table, count, entries, index);
#endif
  mpn_sec_tabselect(r, table, words, static_cast<mp_size_t>(entries), static_cast<mp_size_t>(index));
}

void portable_select(const ModulusView& m, uint64_t* r, const uint64_t* table, size_t entries,
                     const uint64_t* index) {
  select_entry(r, table, 2 * size_of(m), entries, index[0]);
}

void portable_select_digit(const ModulusView& m, uint64_t* r, const uint64_t* table, size_t entries,
                           const uint64_t* index) {
  select_entry(r, table, size_of(m), entries, index[0]);
}

size_t portable_shared_table_words(const ModulusView& m, unsigned entry_bits) {
  return (2 * m.words) << entry_bits;
}

void portable_shared_put(const ModulusView& m, uint64_t* table, unsigned /*entry_bits*/, size_t entry,
                         const uint64_t* group, unsigned /*lane*/) {
  std::memcpy(table + entry * 2 * m.words, group, 2 * m.words * sizeof(uint64_t));
}

void portable_shared_select(const ModulusView& m, uint64_t* r, const uint64_t* table, unsigned entry_bits,
                            const uint64_t* index, size_t groups) {
  for (size_t g = 0; g < groups; ++g) {
    portable_select(m, r + g * 2 * m.words, table, size_t{1} << entry_bits, index + g);
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
    .multiply_unit = portable_multiply_unit,
    .multiply_units = portable_multiply_units,
    .add_logarithm = portable_add_logarithm,
    .invert_logarithm = portable_invert_logarithm,
    .sum_of_products = portable_sum_of_products,
    .add = portable_add,
    .load = portable_load,
    .store = portable_store,
    .store_digits = portable_store_digits,
    .gather = portable_gather,
    .blend = portable_blend,
    .put = portable_put,
    .select = portable_select,
    .select_digit = portable_select_digit,
    .shared_table_words = portable_shared_table_words,
    .shared_put = portable_shared_put,
    .shared_select = portable_shared_select,
};

}  // namespace popcorn::paillier::kernels
