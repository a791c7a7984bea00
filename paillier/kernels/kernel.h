// The arithmetic kernels: modular multiplication of `lanes` independent operands at a time.
//
// A kernel works on *groups*: `lanes` operands of `words` digits each, interleaved (digit k of lane l at
// k·lanes + l). Everything above this interface (exponentiation, weighted sums, packing) is written once over
// groups and does not know which kernel runs. Values are Montgomery residues a·R mod N, R =
// 2^(radix_bits·words), kept below 2N between operations (almost Montgomery: R > 4N makes products of such
// values stay below 2N [Gueron 2012]).
//
// This header must stay free of templates and inline functions: it is included by files that are compiled for
// instruction sets which the rest of the program must not use.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace popcorn::paillier::kernels {

/// Largest modulus any kernel takes, in bits (N² at 4096-bit keys).
inline constexpr unsigned kMaxModulusBits = 8192;
/// Largest group of any kernel, in words: (8192 + 2) / 52 digits, rounded up, in 8 lanes.
inline constexpr unsigned kMaxGroupWords = 160 * 8;
inline constexpr unsigned kMaxLanes = 8;

/// An odd modulus as a kernel sees it.
struct ModulusView {
  size_t words;             ///< digits of an operand in the kernel's radix
  size_t limbs;             ///< 64-bit limbs of N
  uint64_t inverse;         ///< −N⁻¹ modulo 2^radix_bits
  const uint64_t* value;    ///< N as a group, the same in every lane
  const uint64_t* twice;    ///< 2N likewise
  const uint64_t* one;      ///< R mod N as a group
  const uint64_t* limbs64;  ///< N, 64-bit limbs, little-endian
};

/// One implementation. All functions are constant-time in the operands unless said otherwise; pointers may
/// alias only where a comment allows it; groups are 64-byte aligned.
struct Kernel {
  const char* name;
  const char* description;
  unsigned lanes;
  unsigned radix_bits;
  /// Whether this processor and operating system can run it.
  bool (*supported)();
  /// Digits needed for a modulus of `bits` bits.
  size_t (*words)(size_t bits);

  /// r = a·b/R mod N, inputs and output below 2N. r may be a or b. Variable-time variants are allowed here …
  void (*multiply)(const ModulusView& modulus, uint64_t* r, const uint64_t* a, const uint64_t* b);
  void (*square)(const ModulusView& modulus, uint64_t* r, const uint64_t* a);
  /// … and not here: for operands that depend on a secret.
  void (*multiply_secret)(const ModulusView& modulus, uint64_t* r, const uint64_t* a, const uint64_t* b);
  void (*square_secret)(const ModulusView& modulus, uint64_t* r, const uint64_t* a);

  /// r = a + b modulo 2N, below 2N. r may be a or b.
  void (*add)(const ModulusView& modulus, uint64_t* r, const uint64_t* a, const uint64_t* b);

  /// `lanes` values of `limbs` 64-bit limbs each, one after the other and below 2N, into a group. Radix
  /// change only.
  void (*load)(const ModulusView& modulus, uint64_t* group, const uint64_t* values);
  /// The inverse; a value in [N, 2N) is reduced, so results are in [0, N).
  void (*store)(const ModulusView& modulus, uint64_t* values, const uint64_t* group);

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
  /// A table of 2^entry_bits single operands that all lanes share, in a layout of the kernel's own:
  /// shared_table_words() words, filled by shared_put (from one lane of a group).
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
