// The arithmetic kernels: modular multiplication of `lanes` independent operands at a time.
//
// All moduli of Paillier are squares (N², and p², q² for the owner of the key), and a kernel uses that. A
// residue x modulo N² is kept as two digits to the base N:
//
//   x·R ≡ u + N·w (mod N²),   0 ≤ u, w < 2N,   R = 2^(radix_bits·words)
//
// With T = u1·u2 and the Montgomery quotient q = −T/N mod R, T = l·R − q·N for l = (T + q·N)/R, hence
//
//   (u1 + N·w1)(u2 + N·w2)/R ≡ l + N·(u1·w2 + u2·w1 − q)/R (mod N²),
//
// and the second bracket is needed modulo N only: one more Montgomery reduction. That is 3 products and 2
// reductions of |N| bits, 10 units of |N|²/2, where a reduction modulo N² costs 16 of them; a squaring takes
// 7 instead of 12. Values stay below 2N between operations (R ≥ 2^kSpareBits·N makes every result of an
// operation smaller than that).
//
// A *unit* is a residue with w = 0. Every residue that is prime to N is a unit times 1 + N·λ with its
// *logarithm* λ = w/u mod N, and logarithms of factors add up: a long product of known factors takes 8 units
// of work a factor, for the units, and one multiplication at the end, for the sum of the logarithms.
//
// A kernel works on *groups*: `lanes` residues side by side, each of 2·words digits (u, then w), interleaved:
// digit k of lane l at k·lanes + l. Everything above this interface (exponentiation, weighted sums, packing)
// is written once over groups and does not know which kernel runs.
//
// This header must stay free of templates and inline functions: it is included by files that are compiled for
// instruction sets which the rest of the program must not use.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace popcorn::paillier::kernels {

/// Largest N any kernel takes, in bits.
inline constexpr unsigned kMaxBaseBits = 4096;
/// Largest group of any kernel, in words: 2·80 digits of 52 bits in 8 lanes.
inline constexpr unsigned kMaxGroupWords = 2 * 80 * 8;
inline constexpr unsigned kMaxLanes = 8;
/// R is at least 2^kSpareBits·N: so many bits of a digit are free for sums that nobody reduces.
inline constexpr unsigned kSpareBits = 12;
/// Largest index of a shared table, in bits.
inline constexpr unsigned kMaxSharedEntryBits = 8;

/// An odd N as a kernel sees it. Arrays of digits are the same in every lane.
struct ModulusView {
  size_t words;           ///< digits of N in the kernel's radix; a residue has twice as many
  size_t limbs;           ///< 64-bit limbs of N
  uint64_t inverse;       ///< −N⁻¹ modulo 2^radix_bits
  const uint64_t* base;   ///< N
  const uint64_t* twice;  ///< 2N
  const uint64_t*
      complement;  ///< (1 − R) mod N: makes −q = (R − 1 − q) + (1 − R) a sum of non-negative digits
  const uint64_t* one;  ///< the residue of 1, a group
};

/// One implementation. All functions are constant-time in the operands unless said otherwise; pointers may
/// alias only where a comment allows it; groups are 64-byte aligned.
struct Kernel {
  const char* name;
  const char* description;
  unsigned lanes;  ///< a power of two
  unsigned radix_bits;
  /// Whether this processor and operating system can run it.
  bool (*supported)();
  /// Digits needed for N of `bits` bits.
  size_t (*words)(size_t bits);

  /// r = a·b/R mod N². r may be a or b. Variable-time variants are allowed here …
  void (*multiply)(const ModulusView& modulus, uint64_t* r, const uint64_t* a, const uint64_t* b);
  void (*square)(const ModulusView& modulus, uint64_t* r, const uint64_t* a);
  /// … and not here: for operands that depend on a secret.
  void (*multiply_secret)(const ModulusView& modulus, uint64_t* r, const uint64_t* a, const uint64_t* b);
  void (*square_secret)(const ModulusView& modulus, uint64_t* r, const uint64_t* a);

  /// r = a·û for the unit û that has the first digit of `unit` (the second is not read), for operands that
  /// depend on a secret. r may be a.
  void (*multiply_unit)(const ModulusView& modulus, uint64_t* r, const uint64_t* a, const uint64_t* unit);
  /// r = û·v̂ for the units of the first digits of a and b; 6 units of work. r may be a or b.
  void (*multiply_units)(const ModulusView& modulus, uint64_t* r, const uint64_t* a, const uint64_t* b);
  /// w of sum += w of a, both groups, without carries or reductions: at most 2^(kSpareBits − 2) times, then
  /// add() brings the digits in order. Does not touch u.
  void (*add_logarithm)(const ModulusView& modulus, uint64_t* sum, const uint64_t* a);
  /// w of r = −(w of a) − κ·R mod N, below 2N, for a below 2N and the product 1 + N·κ of a unit and the unit
  /// of its inverse, as multiply_units() gives it. u of r stays.
  void (*invert_logarithm)(const ModulusView& modulus, uint64_t* r, const uint64_t* a,
                           const uint64_t* product);
  /// r = (a·b + c·d)/R mod N, below 2N, on single digits to the base N (`words`·lanes words each): a and c
  /// below 2N, b and d below 2^(kSpareBits − 2)·N. For secrets; 6 units of work, 4 when c and d are null. r
  /// may be any of the others.
  void (*sum_of_products)(const ModulusView& modulus, uint64_t* r, const uint64_t* a, const uint64_t* b,
                          const uint64_t* c, const uint64_t* d);

  /// r = a + b mod N². r may be a or b.
  void (*add)(const ModulusView& modulus, uint64_t* r, const uint64_t* a, const uint64_t* b);

  /// Per lane 2·limbs 64-bit limbs, first u, then w, both below 2N, into a group: the plain number u + N·w,
  /// no residue.
  void (*load)(const ModulusView& modulus, uint64_t* group, const uint64_t* values);
  /// Per lane the number u + N·w mod N² in 2·limbs limbs.
  void (*store)(const ModulusView& modulus, uint64_t* values, const uint64_t* group);
  /// Per lane 2·limbs limbs: u mod N, then w with the same u + N·w mod N², both below N.
  void (*store_digits)(const ModulusView& modulus, uint64_t* values, const uint64_t* group);

  /// r[lane] = the operand whose first digit is at operands[lane] (its digits are `lanes` words apart); a
  /// null pointer gives the residue of 1. See Modulus::operand().
  void (*gather)(const ModulusView& modulus, uint64_t* r, const uint64_t* const* operands);
  /// Lanes of r whose bit in `lanes_mask` is set become those of a. Not for secret masks.
  void (*blend)(const ModulusView& modulus, uint64_t* r, const uint64_t* a, unsigned lanes_mask);
  /// The operand whose first digit is at `operand` = lane `lane` of a group.
  void (*put)(const ModulusView& modulus, uint64_t* operand, const uint64_t* group, unsigned lane);
  /// r[lane] = lane `lane` of table[index[lane]]; a table of `entries` groups. Touches every entry.
  void (*select)(const ModulusView& modulus, uint64_t* r, const uint64_t* table, size_t entries,
                 const uint64_t* index);
  /// The same for a table of single digits to the base N, `words`·lanes words each.
  void (*select_digit)(const ModulusView& modulus, uint64_t* r, const uint64_t* table, size_t entries,
                       const uint64_t* index);
  /// A table of 2^entry_bits single operands (entry_bits ≤ kMaxSharedEntryBits) that all lanes share, in a
  /// layout of the kernel's own: shared_table_words() words, filled by shared_put (from one lane of a group).
  size_t (*shared_table_words)(const ModulusView& modulus, unsigned entry_bits);
  void (*shared_put)(const ModulusView& modulus, uint64_t* table, unsigned entry_bits, size_t entry,
                     const uint64_t* group, unsigned lane);
  /// For g < groups: lane of r + g·group = entry index[g·lanes + lane]. Touches every entry.
  void (*shared_select)(const ModulusView& modulus, uint64_t* r, const uint64_t* table, unsigned entry_bits,
                        const uint64_t* index, size_t groups);
};

extern const Kernel kPortable;
extern const Kernel kAvx512Ifma;

}  // namespace popcorn::paillier::kernels
