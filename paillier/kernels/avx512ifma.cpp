// The AVX-512 IFMA kernel: 8 operands at a time in radix 2^52 [Gueron, Krasnov 2016; Drucker, Gueron 2019].
//
// A column holds the sum of low and high halves of 52×52-bit products; it stays below 4·158·2^52 < 2^62 for
// the largest operand, so carries are propagated once, at the end. R rows of the schoolbook product and of
// the Montgomery reduction are done in one pass: a window of R + 1 columns slides over the digits in
// registers, so each digit of a and N and each column is loaded once per R rows, and 4·R multiply-adds hide
// the latency of one another.
//
// This file is the only one compiled with AVX-512 flags; it must not include headers of the C++ library,
// whose inline functions the linker could otherwise share with code that runs on every processor.
#include <immintrin.h>

#include "paillier/kernels/cpu_features.h"
#include "paillier/kernels/kernel.h"

namespace popcorn::paillier::kernels {

namespace {

constexpr size_t kLanes = 8;
constexpr unsigned kRadixBits = 52;
constexpr uint64_t kDigitMask = (uint64_t{1} << kRadixBits) - 1;
constexpr size_t kMaxWords = kMaxGroupWords / kLanes / 2;
/// Rows a pass of the product and of the squaring; measured best on Sapphire Rapids.
constexpr int kRows = 12;

#define POPCORN_INLINE static inline __attribute__((always_inline))
#define POPCORN_INLINE_MEMBER inline __attribute__((always_inline))

POPCORN_INLINE __m512i low(__m512i sum, __m512i a, __m512i b) {
  return _mm512_madd52lo_epu64(sum, a, b);
}
POPCORN_INLINE __m512i high(__m512i sum, __m512i a, __m512i b) {
  return _mm512_madd52hi_epu64(sum, a, b);
}

/// What a pass multiplies beside N: R rows b_i of a·b, or of a·b + c·d, or nothing.
template <int Products>
struct Factors {
  const __m512i* a;
  const __m512i* b;
  const __m512i* c;
  const __m512i* d;

  POPCORN_INLINE_MEMBER __m512i add_low(__m512i sum, size_t k, size_t i) const {
    if (Products >= 1) sum = low(sum, a[k], b[i]);
    if (Products >= 2) sum = low(sum, c[k], d[i]);
    return sum;
  }
  POPCORN_INLINE_MEMBER __m512i add_high(__m512i sum, size_t k, size_t i) const {
    if (Products >= 1) sum = high(sum, a[k], b[i]);
    if (Products >= 2) sum = high(sum, c[k], d[i]);
    return sum;
  }
};

/// Adds row i of the first R digits, as far as it lands in the columns [0, R).
template <int R, int Products>
POPCORN_INLINE void add_first_columns(__m512i (&column)[R + 1], const Factors<Products>& f, int i) {
#pragma GCC unroll 16
  for (int k = 0; k < R - i; ++k) column[i + k] = f.add_low(column[i + k], k, i);
#pragma GCC unroll 16
  for (int k = 0; k < R - i - 1; ++k) column[i + k + 1] = f.add_high(column[i + k + 1], k, i);
}

/// Adds digit k < R of all rows, as far as it lands in the columns [R, 2R).
template <int R, int Products>
POPCORN_INLINE void add_next_columns(__m512i (&window)[R + 1], const Factors<Products>& f, int k) {
#pragma GCC unroll 16
  for (int i = R - k; i < R; ++i) window[i + k - R] = f.add_low(window[i + k - R], k, i);
#pragma GCC unroll 16
  for (int i = R - k - 1; i < R; ++i) window[i + k + 1 - R] = f.add_high(window[i + k + 1 - R], k, i);
}

/// The quotient digits of R rows: q[j] makes column j divisible by 2^52. On return column[R] holds the carry
/// out of the last row; the cleared columns are left as they are. The chain from one quotient to the next is
/// the latency that limits small operands, so it is kept to two multiply-adds and an addition: the carry of a
/// cleared column is its upper part and 1 when its lower 52 bits were not zero already, which needs no
/// product. What does not wait for the quotients follows in program order, close enough for the processor to
/// fill the chain's gaps with it by itself.
template <int R>
POPCORN_INLINE void quotients(__m512i (&column)[R + 1], __m512i (&q)[R], const __m512i* n, __m512i inverse) {
  const __m512i mask = _mm512_set1_epi64(static_cast<long long>(kDigitMask));
  const __m512i zero = _mm512_setzero_si512();
#pragma GCC unroll 16
  for (int j = 0; j < R; ++j) {
    q[j] = low(zero, column[j], inverse);
    const __m512i carry = _mm512_srli_epi64(_mm512_add_epi64(column[j], mask), kRadixBits);
    column[j + 1] = _mm512_add_epi64(column[j + 1], carry);
    if (j + 1 < R) {
      const __m512i upper = high(zero, n[0], q[j]);
      column[j + 1] = _mm512_add_epi64(low(column[j + 1], n[1], q[j]), upper);
    }
#pragma GCC unroll 16
    for (int k = 2; k < R - j; ++k) {
      column[j + k] = high(low(column[j + k], n[k], q[j]), n[k - 1], q[j]);
    }
  }
}

/// The digits from R on of R rows and of q·N, with a window of R + 1 columns that slides over the sum, of
/// which the first `written` columns hold something.
template <int R, int Products>
POPCORN_INLINE void slide(__m512i* sum, size_t written, __m512i (&window)[R + 1], const Factors<Products>& f,
                          const __m512i* n, const __m512i (&q)[R], size_t words) {
  for (size_t k = R; k < words; ++k) {
    window[R] = k + R < written ? sum[k + R] : _mm512_setzero_si512();
    if (Products >= 1) {
      const __m512i ak = f.a[k];
#pragma GCC unroll 16
      for (int i = 0; i < R; ++i) window[i] = low(window[i], ak, f.b[i]);
#pragma GCC unroll 16
      for (int i = 0; i < R; ++i) window[i + 1] = high(window[i + 1], ak, f.b[i]);
    }
    if (Products >= 2) {
      const __m512i ck = f.c[k];
#pragma GCC unroll 16
      for (int i = 0; i < R; ++i) window[i] = low(window[i], ck, f.d[i]);
#pragma GCC unroll 16
      for (int i = 0; i < R; ++i) window[i + 1] = high(window[i + 1], ck, f.d[i]);
    }
    const __m512i nk = n[k];
#pragma GCC unroll 16
    for (int i = 0; i < R; ++i) window[i] = low(window[i], nk, q[i]);
#pragma GCC unroll 16
    for (int i = 0; i < R; ++i) window[i + 1] = high(window[i + 1], nk, q[i]);
    sum[k] = window[0];
#pragma GCC unroll 16
    for (int i = 0; i < R; ++i) window[i] = window[i + 1];
  }
#pragma GCC unroll 16
  for (int i = 0; i < R; ++i) sum[words + i] = window[i];
}

/// R columns of a sum, or zeros where nothing has been written yet.
template <int R>
POPCORN_INLINE void load(__m512i (&columns)[R + 1], const __m512i* sum, bool written) {
#pragma GCC unroll 16
  for (int j = 0; j < R; ++j) columns[j] = written ? sum[j] : _mm512_setzero_si512();
}

/// R rows of both digits of a product modulo N². The first digit's sum is T = u1·u2 (or what `first` adds to
/// the columns it has already), the second's is u1·w2 + u2·w1 − q; −q is (R − 1 − q) + (1 − R) mod N digit by
/// digit. Then the R rows of quotient·N that clear the low columns of each. Columns [0, words + R) of both,
/// of which the earlier passes have written the first `words`, and none before the `first_pass`; a sum that
/// has nothing to multiply is there from the start.
template <int R, int First, int Second>
void product_rows(__m512i* sum1, const Factors<First> first, __m512i* sum2, const Factors<Second> second,
                  const __m512i* n, const __m512i* complement, __m512i inverse, size_t words,
                  bool first_pass) {
  const size_t written1 = First == 0 ? 2 * words : first_pass ? 0 : words;
  const size_t written2 = Second == 0 ? 2 * words : first_pass ? 0 : words;
  const __m512i mask = _mm512_set1_epi64(static_cast<long long>(kDigitMask));
  __m512i q1[R];
  __m512i q2[R];
  const Factors<1> reduction1{n, q1, nullptr, nullptr};
  const Factors<1> reduction2{n, q2, nullptr, nullptr};
  __m512i window1[R + 1];
  __m512i window2[R + 1];
  __m512i column1[R + 1];
  __m512i column2[R + 1];
  load<R>(column1, sum1, written1 > 0);
  column1[R] = column2[R] = _mm512_setzero_si512();
#pragma GCC unroll 16
  for (int j = 0; j < R; ++j) add_first_columns<R>(column1, first, j);
  quotients<R>(column1, q1, n, inverse);
  load<R>(window1, sum1 + R, written1 > 0);
#pragma GCC unroll 16
  for (int j = 0; j < R; ++j) add_next_columns<R>(window1, first, j);
  load<R>(column2, sum2, written2 > 0);
#pragma GCC unroll 16
  for (int j = 0; j < R; ++j) add_first_columns<R>(column2, second, j);
  load<R>(window2, sum2 + R, written2 > 0);
#pragma GCC unroll 16
  for (int j = 0; j < R; ++j) add_next_columns<R>(window2, second, j);
  window1[0] = _mm512_add_epi64(window1[0], column1[R]);
#pragma GCC unroll 16
  for (int j = 0; j < R; ++j) {
    const __m512i digit = _mm512_add_epi64(_mm512_andnot_si512(q1[j], mask), complement[j]);
    column2[j] = _mm512_add_epi64(column2[j], digit);
  }
  quotients<R>(column2, q2, n, inverse);
#pragma GCC unroll 16
  for (int j = 0; j < R; ++j) add_next_columns<R>(window1, reduction1, j);
  window2[0] = _mm512_add_epi64(window2[0], column2[R]);
  slide<R>(sum1, written1, window1, first, n, q1, words);
#pragma GCC unroll 16
  for (int j = 0; j < R; ++j) add_next_columns<R>(window2, reduction2, j);
  slide<R>(sum2, written2, window2, second, n, q2, words);
}

/// R rows of a sum of products of single digits and of the quotient·N that clears its low columns.
template <int R, int Products>
void digit_rows(__m512i* sum, const Factors<Products> factors, const __m512i* n, __m512i inverse,
                size_t words, bool first_pass) {
  const size_t written = first_pass ? 0 : words;
  __m512i q[R];
  const Factors<1> reduction{n, q, nullptr, nullptr};
  __m512i column[R + 1];
  __m512i window[R + 1];
  load<R>(column, sum, written > 0);
  load<R>(window, sum + R, written > 0);
  column[R] = _mm512_setzero_si512();
#pragma GCC unroll 16
  for (int j = 0; j < R; ++j) add_first_columns<R>(column, factors, j);
  quotients<R>(column, q, n, inverse);
#pragma GCC unroll 16
  for (int j = 0; j < R; ++j) add_next_columns<R>(window, factors, j);
  window[0] = _mm512_add_epi64(window[0], column[R]);
#pragma GCC unroll 16
  for (int j = 0; j < R; ++j) add_next_columns<R>(window, reduction, j);
  slide<R>(sum, written, window, factors, n, q, words);
}

/// R rows of the products a_i·a_k with i < k, each once. sum and a point at the first row's column 2i and
/// digit i; `words` digits remain from there. The earlier passes have written the first `words` columns, none
/// before the `first_pass`.
template <int R>
void cross_rows(__m512i* sum, const __m512i* a, size_t words, bool first_pass) {
  const size_t written = first_pass ? 0 : words;
  __m512i c[R + 1];
  __m512i r[R];
#pragma GCC unroll 16
  for (int i = 0; i < R; ++i) r[i] = a[i];
  {
    __m512i t[2 * R];
#pragma GCC unroll 32
    for (int j = 0; j < 2 * R; ++j) {
      t[j] = static_cast<size_t>(j) < written ? sum[j] : _mm512_setzero_si512();
    }
#pragma GCC unroll 16
    for (int i = 0; i < R; ++i) {
#pragma GCC unroll 16
      for (int k = i + 1; k < R; ++k) {
        t[i + k] = low(t[i + k], r[i], r[k]);
        t[i + k + 1] = high(t[i + k + 1], r[i], r[k]);
      }
    }
#pragma GCC unroll 16
    for (int j = 0; j < R; ++j) sum[j] = t[j];
#pragma GCC unroll 16
    for (int j = 0; j < R; ++j) c[j] = t[R + j];
  }
  for (size_t k = R; k < words; ++k) {
    const __m512i ak = a[k];
    c[R] = k + R < written ? sum[k + R] : _mm512_setzero_si512();
#pragma GCC unroll 16
    for (int i = 0; i < R; ++i) c[i] = low(c[i], ak, r[i]);
#pragma GCC unroll 16
    for (int i = 0; i < R; ++i) c[i + 1] = high(c[i + 1], ak, r[i]);
    sum[k] = c[0];
#pragma GCC unroll 16
    for (int i = 0; i < R; ++i) c[i] = c[i + 1];
  }
#pragma GCC unroll 16
  for (int i = 0; i < R; ++i) sum[words + i] = c[i];
}

/// Calls rows<R> for the largest R ≤ kRows that fits into `count` rows; gives R.
#define POPCORN_DISPATCH_ROWS(count, CALL) \
  switch (count) {                         \
    case 1:                                \
      CALL(1);                             \
      break;                               \
    case 2:                                \
      CALL(2);                             \
      break;                               \
    case 3:                                \
      CALL(3);                             \
      break;                               \
    case 4:                                \
      CALL(4);                             \
      break;                               \
    case 5:                                \
      CALL(5);                             \
      break;                               \
    case 6:                                \
      CALL(6);                             \
      break;                               \
    case 7:                                \
      CALL(7);                             \
      break;                               \
    case 8:                                \
      CALL(8);                             \
      break;                               \
    case 9:                                \
      CALL(9);                             \
      break;                               \
    case 10:                               \
      CALL(10);                            \
      break;                               \
    case 11:                               \
      CALL(11);                            \
      break;                               \
    default:                               \
      CALL(12);                            \
      break;                               \
  }

/// Rows of the next pass: even shares, so that no short pass is left for the end.
POPCORN_INLINE size_t rows_of_pass(size_t left) {
  const size_t passes = (left + kRows - 1) / kRows;
  return (left + passes - 1) / passes;
}

/// Carries through the columns; digits below 2^52 but for the last, whose carry is zero for values below
/// 2^(52·words).
POPCORN_INLINE void propagate(__m512i* r, const __m512i* columns, size_t words) {
  const __m512i mask = _mm512_set1_epi64(static_cast<long long>(kDigitMask));
  __m512i carry = _mm512_setzero_si512();
  for (size_t k = 0; k < words; ++k) {
    const __m512i column = _mm512_add_epi64(columns[k], carry);
    r[k] = _mm512_and_si512(column, mask);
    carry = _mm512_srli_epi64(column, kRadixBits);
  }
}

/// propagate() of both digits of a residue at once: each is a chain that leaves the processor time for the
/// other.
POPCORN_INLINE void propagate_both(__m512i* r, const __m512i* first, const __m512i* second, size_t words) {
  const __m512i mask = _mm512_set1_epi64(static_cast<long long>(kDigitMask));
  __m512i carry1 = _mm512_setzero_si512();
  __m512i carry2 = _mm512_setzero_si512();
  for (size_t k = 0; k < words; ++k) {
    const __m512i column1 = _mm512_add_epi64(first[k], carry1);
    const __m512i column2 = _mm512_add_epi64(second[k], carry2);
    r[k] = _mm512_and_si512(column1, mask);
    r[words + k] = _mm512_and_si512(column2, mask);
    carry1 = _mm512_srli_epi64(column1, kRadixBits);
    carry2 = _mm512_srli_epi64(column2, kRadixBits);
  }
}

/// r = the residue whose digits are (sum1 + first)/R and (sum2 + second − q)/R, see kernel.h.
template <int First, int Second>
POPCORN_INLINE void reduce(const ModulusView& m, __m512i* r, __m512i* sum1, const Factors<First>& first,
                           __m512i* sum2, const Factors<Second>& second) {
  const size_t words = m.words;
  const auto* n = reinterpret_cast<const __m512i*>(m.base);
  const auto* complement = reinterpret_cast<const __m512i*>(m.complement);
  const __m512i inverse = _mm512_set1_epi64(static_cast<long long>(m.inverse));
  for (size_t row = 0; row < words;) {
    const size_t rows = rows_of_pass(words - row);
    const Factors<First> first_rows{first.a, first.b + row, first.c, first.d + row};
    const Factors<Second> second_rows{second.a, second.b + row, second.c, second.d + row};
#define POPCORN_CALL(R)                                                                                \
  product_rows<R, First, Second>(sum1 + row, first_rows, sum2 + row, second_rows, n, complement + row, \
                                 inverse, words, row == 0)
    POPCORN_DISPATCH_ROWS(rows, POPCORN_CALL)
#undef POPCORN_CALL
    row += rows;
  }
  propagate_both(r, sum1 + words, sum2 + words, words);
}

void ifma_multiply(const ModulusView& m, uint64_t* r, const uint64_t* a, const uint64_t* b) {
  const size_t words = m.words;
  const auto* u1 = reinterpret_cast<const __m512i*>(a);
  const auto* u2 = reinterpret_cast<const __m512i*>(b);
  __m512i sum[2 * kMaxWords + 1];
  __m512i second[2 * kMaxWords + 1];
  reduce(m, reinterpret_cast<__m512i*>(r), sum, Factors<1>{u1, u2, u1, u2}, second,
         Factors<2>{u1, u2 + words, u1 + words, u2});
}

void ifma_multiply_unit(const ModulusView& m, uint64_t* r, const uint64_t* a, const uint64_t* unit) {
  const auto* u1 = reinterpret_cast<const __m512i*>(a);
  const auto* w1 = u1 + m.words;
  const auto* u2 = reinterpret_cast<const __m512i*>(unit);
  __m512i sum[2 * kMaxWords + 1];
  __m512i second[2 * kMaxWords + 1];
  reduce(m, reinterpret_cast<__m512i*>(r), sum, Factors<1>{u1, u2, u1, u2}, second,
         Factors<1>{w1, u2, w1, u2});
}

void ifma_multiply_units(const ModulusView& m, uint64_t* r, const uint64_t* a, const uint64_t* b) {
  const auto* u1 = reinterpret_cast<const __m512i*>(a);
  const auto* u2 = reinterpret_cast<const __m512i*>(b);
  __m512i sum[2 * kMaxWords + 1];
  __m512i second[2 * kMaxWords + 1];
  for (size_t k = 0; k < 2 * m.words; ++k) second[k] = _mm512_setzero_si512();
  reduce(m, reinterpret_cast<__m512i*>(r), sum, Factors<1>{u1, u2, u1, u2}, second,
         Factors<0>{u1, u2, u1, u2});
}

void ifma_add_logarithm(const ModulusView& m, uint64_t* sum, const uint64_t* a) {
  auto* target = reinterpret_cast<__m512i*>(sum) + m.words;
  const auto* source = reinterpret_cast<const __m512i*>(a) + m.words;
  for (size_t k = 0; k < m.words; ++k) target[k] = _mm512_add_epi64(target[k], source[k]);
}

template <int Products>
POPCORN_INLINE void reduce_digit(const ModulusView& m, uint64_t* r, const Factors<Products>& factors) {
  const size_t words = m.words;
  const auto* n = reinterpret_cast<const __m512i*>(m.base);
  const __m512i inverse = _mm512_set1_epi64(static_cast<long long>(m.inverse));
  __m512i sum[2 * kMaxWords + 1];
  for (size_t row = 0; row < words;) {
    const size_t rows = rows_of_pass(words - row);
    const Factors<Products> from_row{factors.a, factors.b + row, factors.c, factors.d + row};
#define POPCORN_CALL(R) digit_rows<R, Products>(sum + row, from_row, n, inverse, words, row == 0)
    POPCORN_DISPATCH_ROWS(rows, POPCORN_CALL)
#undef POPCORN_CALL
    row += rows;
  }
  propagate(reinterpret_cast<__m512i*>(r), sum + words, words);
}

void ifma_sum_of_products(const ModulusView& m, uint64_t* r, const uint64_t* a, const uint64_t* b,
                          const uint64_t* c, const uint64_t* d) {
  const auto* av = reinterpret_cast<const __m512i*>(a);
  const auto* bv = reinterpret_cast<const __m512i*>(b);
  if (c == nullptr) {
    reduce_digit(m, r, Factors<1>{av, bv, av, bv});
  } else {
    reduce_digit(
        m, r, Factors<2>{av, bv, reinterpret_cast<const __m512i*>(c), reinterpret_cast<const __m512i*>(d)});
  }
}

void ifma_square(const ModulusView& m, uint64_t* r, const uint64_t* a) {
  const size_t words = m.words;
  const auto* u = reinterpret_cast<const __m512i*>(a);
  __m512i sum[2 * kMaxWords + 1];
  __m512i second[2 * kMaxWords + 1];
  __m512i doubled[kMaxWords];
  for (size_t k = 0; k < words; ++k) doubled[k] = _mm512_add_epi64(u[words + k], u[words + k]);
  propagate(doubled, doubled, words);
  for (size_t row = 0; row < words;) {
    const size_t rows = rows_of_pass(words - row);
#define POPCORN_CALL(R) cross_rows<R>(sum + 2 * row, u + row, words - row, row == 0)
    POPCORN_DISPATCH_ROWS(rows, POPCORN_CALL)
#undef POPCORN_CALL
    row += rows;
  }
  for (size_t k = 0; k < words; ++k) {
    sum[2 * k] = low(_mm512_add_epi64(sum[2 * k], sum[2 * k]), u[k], u[k]);
    sum[2 * k + 1] = high(_mm512_add_epi64(sum[2 * k + 1], sum[2 * k + 1]), u[k], u[k]);
  }
  reduce(m, reinterpret_cast<__m512i*>(r), sum, Factors<0>{u, u, u, u}, second, Factors<1>{u, doubled, u, u});
}

/// r −= subtrahend in the lanes where r ≥ subtrahend, which are returned; digits stay below 2^52.
POPCORN_INLINE __mmask8 conditional_subtract(__m512i* r, const __m512i* subtrahend, size_t words) {
  const __m512i mask = _mm512_set1_epi64(static_cast<long long>(kDigitMask));
  __m512i difference[kMaxWords];
  __m512i borrow = _mm512_setzero_si512();  // 0 or −1
  for (size_t k = 0; k < words; ++k) {
    const __m512i digit = _mm512_add_epi64(_mm512_sub_epi64(r[k], subtrahend[k]), borrow);
    difference[k] = _mm512_and_si512(digit, mask);
    borrow = _mm512_srai_epi64(digit, 63);
  }
  const __mmask8 take = _mm512_testn_epi64_mask(borrow, borrow);
  for (size_t k = 0; k < words; ++k) r[k] = _mm512_mask_mov_epi64(r[k], take, difference[k]);
  return take;
}

void ifma_invert_logarithm(const ModulusView& m, uint64_t* r, const uint64_t* a, const uint64_t* product) {
  const size_t words = m.words;
  const __m512i mask = _mm512_set1_epi64(static_cast<long long>(kDigitMask));
  const auto* aw = reinterpret_cast<const __m512i*>(a) + words;
  const auto* product_u = reinterpret_cast<const __m512i*>(product);
  const auto* one = reinterpret_cast<const __m512i*>(m.one);
  const auto* twice = reinterpret_cast<const __m512i*>(m.twice);
  auto* rw = reinterpret_cast<__m512i*>(r) + words;
  // u of the product is that of 1, or N more, and then its w is 1 less. κ·R = w − (w of one).
  const __mmask8 carried = _mm512_cmpneq_epi64_mask(product_u[0], one[0]);
  __m512i carry = _mm512_maskz_set1_epi64(carried, -1);
  for (size_t k = 0; k < words; ++k) {  // 4N + (w of one) − w(product) − w(a), with signed carries
    const __m512i most = _mm512_add_epi64(_mm512_add_epi64(twice[k], twice[k]), one[words + k]);
    const __m512i less = _mm512_add_epi64(product_u[words + k], aw[k]);
    const __m512i column = _mm512_add_epi64(_mm512_sub_epi64(most, less), carry);
    rw[k] = _mm512_and_si512(column, mask);
    carry = _mm512_srai_epi64(column, kRadixBits);
  }
  conditional_subtract(rw, twice, words);
  conditional_subtract(rw, twice, words);
}

void ifma_add(const ModulusView& m, uint64_t* r, const uint64_t* a, const uint64_t* b) {
  const size_t words = m.words;
  const auto* av = reinterpret_cast<const __m512i*>(a);
  const auto* bv = reinterpret_cast<const __m512i*>(b);
  const auto* twice = reinterpret_cast<const __m512i*>(m.twice);
  auto* rv = reinterpret_cast<__m512i*>(r);
  for (size_t k = 0; k < 2 * words; ++k) rv[k] = _mm512_add_epi64(av[k], bv[k]);
  propagate(rv, rv, words);
  // u − 2N is made up for by w + 2.
  const __mmask8 taken = conditional_subtract(rv, twice, words);
  rv[words] = _mm512_mask_add_epi64(rv[words], taken, rv[words], _mm512_set1_epi64(2));
  propagate(rv + words, rv + words, words);
  conditional_subtract(rv + words, twice, words);
  conditional_subtract(rv + words, twice, words);
}

/// 52 bits of a little-endian number of `limbs` 64-bit limbs, from bit `position` on.
POPCORN_INLINE uint64_t digit_at(const uint64_t* limbs64, size_t limbs, size_t position) {
  const size_t limb = position / 64;
  const unsigned shift = position % 64;
  uint64_t digit = limb < limbs ? limbs64[limb] >> shift : 0;
  if (shift > 12 && limb + 1 < limbs) digit |= limbs64[limb + 1] << (64 - shift);
  return digit & kDigitMask;
}

void ifma_load(const ModulusView& m, uint64_t* group, const uint64_t* values) {
  for (size_t lane = 0; lane < kLanes; ++lane) {
    for (size_t half = 0; half < 2; ++half) {
      const uint64_t* value = values + (2 * lane + half) * m.limbs;
      uint64_t* target = group + half * m.words * kLanes + lane;
      for (size_t k = 0; k < m.words; ++k) target[k * kLanes] = digit_at(value, m.limbs, kRadixBits * k);
    }
  }
}

/// The digits of a residue below N each: what is subtracted from u is added to w.
POPCORN_INLINE void normalise(const ModulusView& m, __m512i* u, __m512i* w, const uint64_t* group) {
  const size_t words = m.words;
  const auto* source = reinterpret_cast<const __m512i*>(group);
  const auto* n = reinterpret_cast<const __m512i*>(m.base);
  for (size_t k = 0; k < words; ++k) {
    u[k] = source[k];
    w[k] = source[words + k];
  }
  const __mmask8 taken = conditional_subtract(u, n, words);
  w[0] = _mm512_mask_add_epi64(w[0], taken, w[0], _mm512_set1_epi64(1));
  propagate(w, w, words);
  conditional_subtract(w, n, words);
  conditional_subtract(w, n, words);
}

/// `limbs` 64-bit limbs a lane, `stride` limbs from lane to lane, of a number of `words` digits.
POPCORN_INLINE void store_limbs(uint64_t* values, size_t stride, size_t limbs, const __m512i* number,
                                size_t words) {
  const auto* digits = reinterpret_cast<const uint64_t*>(number);
  for (size_t lane = 0; lane < kLanes; ++lane) {
    uint64_t* value = values + lane * stride;
    for (size_t i = 0; i < limbs; ++i) {
      // Bits 64·i … 64·i + 63 lie in two or three digits.
      const size_t first = 64 * i / kRadixBits;
      const unsigned shift = 64 * i % kRadixBits;
      uint64_t limb = digits[first * kLanes + lane] >> shift;
      if (first + 1 < words) limb |= digits[(first + 1) * kLanes + lane] << (kRadixBits - shift);
      if (shift > 40 && first + 2 < words)
        limb |= digits[(first + 2) * kLanes + lane] << (2 * kRadixBits - shift);
      value[i] = limb;
    }
  }
}

void ifma_store(const ModulusView& m, uint64_t* values, const uint64_t* group) {
  const size_t words = m.words;
  const auto* n = reinterpret_cast<const __m512i*>(m.base);
  __m512i u[kMaxWords];
  __m512i w[kMaxWords];
  normalise(m, u, w, group);
  // u + N·w
  __m512i sum[2 * kMaxWords + 1];
  for (size_t k = 0; k < words; ++k) sum[k] = u[k];
  for (size_t k = words; k <= 2 * words; ++k) sum[k] = _mm512_setzero_si512();
  for (size_t i = 0; i < words; ++i) {
    for (size_t k = 0; k < words; ++k) {
      sum[i + k] = low(sum[i + k], n[k], w[i]);
      sum[i + k + 1] = high(sum[i + k + 1], n[k], w[i]);
    }
  }
  propagate(sum, sum, 2 * words);
  store_limbs(values, 2 * m.limbs, 2 * m.limbs, sum, 2 * words);
}

void ifma_store_digits(const ModulusView& m, uint64_t* values, const uint64_t* group) {
  __m512i u[kMaxWords];
  __m512i w[kMaxWords];
  normalise(m, u, w, group);
  store_limbs(values, 2 * m.limbs, m.limbs, u, m.words);
  store_limbs(values + m.limbs, 2 * m.limbs, m.limbs, w, m.words);
}

/// ifma_gather() for operands that all lie in two groups: lane l is lane places[l] of the first or, from 8
/// on, lane places[l] − 8 of the second. One permutation of two loads a digit instead of eight scattered
/// loads.
void gather_from_two(const ModulusView& m, uint64_t* r, const __m512i* first, const __m512i* second,
                     __m512i places, __mmask8 present) {
  const size_t digits = 2 * m.words;
  const auto* one = reinterpret_cast<const __m512i*>(m.one);
  auto* rv = reinterpret_cast<__m512i*>(r);
  if (first == second) {
    for (size_t k = 0; k < digits; ++k)
      rv[k] = _mm512_mask_permutexvar_epi64(one[k], present, places, first[k]);
    return;
  }
  for (size_t k = 0; k < digits; ++k) {
    const __m512i found = _mm512_permutex2var_epi64(first[k], places, second[k]);
    rv[k] = _mm512_mask_mov_epi64(one[k], present, found);
  }
}

void ifma_gather(const ModulusView& m, uint64_t* r, const uint64_t* const* operands) {
  const __m512i addresses = _mm512_loadu_si512(operands);
  const __mmask8 present = _mm512_test_epi64_mask(addresses, addresses);
  // Positions in a row read operands in a row. Lane p of a group starts 8·p bytes after a multiple of 64.
  constexpr uint64_t kLaneBytes = 64;
  const uint64_t first = _mm512_mask_reduce_min_epu64(present, addresses) & ~(kLaneBytes - 1);
  const uint64_t second = _mm512_mask_reduce_max_epu64(present, addresses) & ~(kLaneBytes - 1);
  const __m512i starts = _mm512_and_si512(addresses, _mm512_set1_epi64(-static_cast<long long>(kLaneBytes)));
  const __mmask8 in_first =
      _mm512_mask_cmpeq_epi64_mask(present, starts, _mm512_set1_epi64(static_cast<long long>(first)));
  const __mmask8 in_second =
      _mm512_mask_cmpeq_epi64_mask(present, starts, _mm512_set1_epi64(static_cast<long long>(second)));
  if (present != 0 && (in_first | in_second) == present) {
    const __m512i lanes = _mm512_srli_epi64(_mm512_sub_epi64(addresses, starts), 3);
    const __mmask8 move = static_cast<__mmask8>(in_second & ~in_first);
    const __m512i places = _mm512_mask_add_epi64(lanes, move, lanes, _mm512_set1_epi64(kLanes));
    gather_from_two(m, r, reinterpret_cast<const __m512i*>(first), reinterpret_cast<const __m512i*>(second),
                    places, present);
    return;
  }
  const auto* one = reinterpret_cast<const __m512i*>(m.one);
  auto* rv = reinterpret_cast<__m512i*>(r);
  for (size_t k = 0; k < 2 * m.words; ++k) {
    const __m512i digit = _mm512_add_epi64(addresses, _mm512_set1_epi64(static_cast<long long>(64 * k)));
    rv[k] = _mm512_mask_i64gather_epi64(one[k], present, digit, nullptr, 1);
  }
}

void ifma_blend(const ModulusView& m, uint64_t* r, const uint64_t* a, unsigned lanes_mask) {
  auto* rv = reinterpret_cast<__m512i*>(r);
  const auto* av = reinterpret_cast<const __m512i*>(a);
  for (size_t k = 0; k < 2 * m.words; ++k)
    rv[k] = _mm512_mask_mov_epi64(rv[k], static_cast<__mmask8>(lanes_mask), av[k]);
}

void ifma_put(const ModulusView& m, uint64_t* operand, const uint64_t* group, unsigned lane) {
  for (size_t k = 0; k < 2 * m.words; ++k) operand[k * kLanes] = group[k * kLanes + lane];
}

/// r = per lane the entry index[lane] of a table whose entries have `digits` digits.
POPCORN_INLINE void select_digits(uint64_t* r, const uint64_t* table, size_t entries, const uint64_t* index,
                                  size_t digits) {
  constexpr size_t kTogether = 8;  // digits that stay in registers over all entries
  const __m512i wanted = _mm512_loadu_si512(index);
  auto* rv = reinterpret_cast<__m512i*>(r);
  const auto* tv = reinterpret_cast<const __m512i*>(table);
  for (size_t first = 0; first < digits; first += kTogether) {
    const size_t start = first + kTogether <= digits || digits < kTogether ? first : digits - kTogether;
    const size_t count = digits < kTogether ? digits : kTogether;
    __m512i found[kTogether];
    for (size_t k = 0; k < kTogether; ++k) found[k] = _mm512_setzero_si512();
    for (size_t entry = 0; entry < entries; ++entry) {
      const __mmask8 hit = _mm512_cmpeq_epi64_mask(wanted, _mm512_set1_epi64(static_cast<long long>(entry)));
      const __m512i* source = tv + entry * digits + start;
      if (count == kTogether) {
#pragma GCC unroll 8
        for (size_t k = 0; k < kTogether; ++k) found[k] = _mm512_mask_mov_epi64(found[k], hit, source[k]);
      } else {
        for (size_t k = 0; k < count; ++k) found[k] = _mm512_mask_mov_epi64(found[k], hit, source[k]);
      }
    }
    for (size_t k = 0; k < count; ++k) rv[start + k] = found[k];
  }
}

void ifma_select(const ModulusView& m, uint64_t* r, const uint64_t* table, size_t entries,
                 const uint64_t* index) {
  select_digits(r, table, entries, index, 2 * m.words);
}

void ifma_select_digit(const ModulusView& m, uint64_t* r, const uint64_t* table, size_t entries,
                       const uint64_t* index) {
  select_digits(r, table, entries, index, m.words);
}

// Shared tables lie digit by digit, the entries of one digit side by side: 16 entries are two registers, from
// which one permutation picks for all lanes at once, whatever the indices are. At least 16 entries are
// stored.
constexpr unsigned kMinEntryBits = 4;
constexpr size_t kMaxRows = size_t{1} << (kMaxSharedEntryBits - kMinEntryBits);

size_t ifma_shared_table_words(const ModulusView& m, unsigned entry_bits) {
  return (2 * m.words) << (entry_bits < kMinEntryBits ? kMinEntryBits : entry_bits);
}

void ifma_shared_put(const ModulusView& m, uint64_t* table, unsigned entry_bits, size_t entry,
                     const uint64_t* group, unsigned lane) {
  const unsigned stored = entry_bits < kMinEntryBits ? kMinEntryBits : entry_bits;
  for (size_t k = 0; k < 2 * m.words; ++k) table[(k << stored) + entry] = group[k * kLanes + lane];
}

void ifma_shared_select(const ModulusView& m, uint64_t* r, const uint64_t* table, unsigned entry_bits,
                        const uint64_t* index, size_t groups) {
  constexpr size_t kTogether = 4;  // groups that share the loads of a table row
  const unsigned stored = entry_bits < kMinEntryBits ? kMinEntryBits : entry_bits;
  const size_t rows = size_t{1} << (stored - kMinEntryBits);
  auto* rv = reinterpret_cast<__m512i*>(r);
  for (size_t first = 0; first < groups; first += kTogether) {
    const size_t count = groups - first < kTogether ? groups - first : kTogether;
    __m512i wanted[kTogether];
    __mmask8 hit[kMaxRows][kTogether];  // the lanes whose entry is in a row of 16
    for (size_t g = 0; g < kTogether; ++g) {
      wanted[g] = _mm512_loadu_si512(index + (first + (g < count ? g : 0)) * kLanes);
      const __m512i wanted_row = _mm512_srli_epi64(wanted[g], kMinEntryBits);
      for (size_t x = 0; x < rows; ++x) {
        hit[x][g] = _mm512_cmpeq_epi64_mask(wanted_row, _mm512_set1_epi64(static_cast<long long>(x)));
      }
    }
    for (size_t k = 0; k < 2 * m.words; ++k) {
      const auto* row = reinterpret_cast<const __m512i*>(table + (k << stored));
      __m512i found[kTogether];
#pragma GCC unroll 4
      for (size_t g = 0; g < kTogether; ++g) {
        found[g] = _mm512_maskz_permutex2var_epi64(hit[0][g], row[0], wanted[g], row[1]);
      }
      for (size_t x = 1; x < rows; ++x) {
        const __m512i left = row[2 * x];
        const __m512i right = row[2 * x + 1];
#pragma GCC unroll 4
        for (size_t g = 0; g < kTogether; ++g) {
          const __m512i entry = _mm512_maskz_permutex2var_epi64(hit[x][g], left, wanted[g], right);
          found[g] = _mm512_or_si512(found[g], entry);
        }
      }
      for (size_t g = 0; g < count; ++g) rv[(first + g) * 2 * m.words + k] = found[g];
    }
  }
}

bool ifma_supported() {
  return cpu_has_avx512ifma();
}

size_t ifma_words(size_t bits) {
  return (bits + kSpareBits + kRadixBits - 1) / kRadixBits;
}

}  // namespace

const Kernel kAvx512Ifma = {
    .name = "avx512ifma",
    .description = "AVX-512 IFMA, 8 operands at a time, radix 2^52",
    .lanes = kLanes,
    .radix_bits = kRadixBits,
    .supported = ifma_supported,
    .words = ifma_words,
    .multiply = ifma_multiply,
    .square = ifma_square,
    .multiply_secret = ifma_multiply,
    .square_secret = ifma_square,
    .multiply_unit = ifma_multiply_unit,
    .multiply_units = ifma_multiply_units,
    .add_logarithm = ifma_add_logarithm,
    .invert_logarithm = ifma_invert_logarithm,
    .sum_of_products = ifma_sum_of_products,
    .add = ifma_add,
    .load = ifma_load,
    .store = ifma_store,
    .store_digits = ifma_store_digits,
    .gather = ifma_gather,
    .blend = ifma_blend,
    .put = ifma_put,
    .select = ifma_select,
    .select_digit = ifma_select_digit,
    .shared_table_words = ifma_shared_table_words,
    .shared_put = ifma_shared_put,
    .shared_select = ifma_shared_select,
};

}  // namespace popcorn::paillier::kernels
