// Everything the holder of a public key can do with batches of ciphertexts.
//
//   server:  parse ─► weighted_sum ─► pack ─► add_plain ─► rerandomise ─► serialise
//
// Ciphertexts live in Z*_{N²}; Enc(m; ρ) = (1 + mN)·ρ mod N², m ∈ (−N/2, N/2) [Paillier 1999]. Results may
// have any such m, but plaintexts that are given must lie in [−2^(|N|−2), 2^(|N|−2)), which a few words
// decide; others are an Error "plaintext.too_large". Costs are given in modular multiplications modulo N² per
// ciphertext and counted in counts(). Work is spread over the cores with oneTBB. Results are *not*
// re-randomised unless the comment says so: whatever leaves the server must pass rerandomise() first, since
// the key owner can recover the randomness of any ciphertext.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

#include "base/bytes.h"
#include "base/random.h"
#include "base/wide_vector.h"
#include "paillier/ciphertext_batch.h"
#include "paillier/keys/keys.h"
#include "paillier/weighted_sum/weighted_sum.h"

namespace popcorn::paillier {

namespace kernels {
struct Kernel;
}

struct OperationCounts {
  std::uint64_t multiplications = 0;  ///< modulo N², squarings included
  std::uint64_t squarings = 0;        ///< those of them that were squarings
  std::uint64_t inversions = 0;
  OperationCounts& operator+=(const OperationCounts& other);
};

/// What is precomputed once for a public key: the modulus in kernel form and the fixed-base table of the
/// re-randomisation generators. Heavy (12 to 15 MB at 2048 bits), immutable, thread-safe, shared by
/// sessions.
class PublicContext {
 public:
  /// For an ordinary key draws independent uniform N-th residues (never what the client supplied: h = 1 would
  /// void re-randomisation), about 90 powers of |N| bits; for a subgroup key uses the key's h.
  /// @param kernel nullptr = the active one; benchmarks and tests compare kernels in one process
  static std::shared_ptr<const PublicContext> create(const PublicKey& key, Rng& rng = system_rng(),
                                                     const kernels::Kernel* kernel = nullptr);
  ~PublicContext();

  const PublicKey& key() const noexcept;
  std::size_t memory_bytes() const noexcept;

  /// Makes the random factors of `count` re-randomisations ahead (rounded up to a whole group), each of which
  /// Evaluator::rerandomise_inplace() uses once. Thread-safe; for when there is nothing else to do. The
  /// multiplications are counted where a factor is used.
  void prepare(std::size_t count, Rng& rng = system_rng()) const;
  /// Factors that are ready.
  std::size_t prepared() const;

  struct Parts;
  const Parts& parts() const noexcept { return *parts_; }

 private:
  explicit PublicContext(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

/// Homomorphic operations, with counters. Cheap to make; one per session. Thread-safe.
class Evaluator {
 public:
  explicit Evaluator(std::shared_ptr<const PublicContext> context, Rng& rng = system_rng());

  const PublicKey& key() const noexcept { return context_->key(); }

  /// `count` fixed-width big-endian ciphertexts; validates 0 < c < N² and gcd(c, N) = 1 (one batched gcd). 3
  /// each.
  /// @throws InputError "ciphertext.invalid" with the index of the first offender
  CiphertextBatch parse(ByteView wire, std::size_t count) const;
  /// Room for `count` ciphertexts that parse_into() fills piece by piece.
  CiphertextBatch reserve(std::size_t count) const;
  /// Ciphertexts that the kernel works on together.
  std::size_t group_size() const noexcept;
  /// parse() of a part of a batch: batch[first …] from all of `wire`. Whole groups only, except at the end of
  /// the batch: `first` and the number of ciphertexts are multiples of group_size().
  /// @throws InputError "ciphertext.invalid" with the place in the batch of the first offender
  void parse_into(CiphertextBatch& batch, std::size_t first, ByteView wire) const;
  /// Appends fixed-width big-endian ciphertexts. 1 each.
  void serialise(const CiphertextBatch& batch, Bytes& out) const;

  /// (1 + mN), *without* randomness: only to be combined with other ciphertexts. 1 each.
  /// @throws Error "plaintext.too_large" outside [−2^(|N|−2), 2^(|N|−2))
  CiphertextBatch encrypt_trivial(const WideVector& values) const;
  /// Proper encryption with a random factor as in rerandomise_inplace(); m as for encrypt_trivial().
  CiphertextBatch encrypt(const WideVector& values) const;

  /// [x + y], 1 each. Sizes must agree.
  CiphertextBatch add(const CiphertextBatch& x, const CiphertextBatch& y) const;
  /// [x − y], 4 each and one inversion.
  CiphertextBatch subtract(const CiphertextBatch& x, const CiphertextBatch& y) const;
  /// [−x], 3 each and one inversion.
  CiphertextBatch negate(const CiphertextBatch& x) const;
  /// x ← [x + m], 2 each; m as for encrypt_trivial().
  void add_plain_inplace(CiphertextBatch& x, const WideVector& values) const;
  /// x ← [x + m mod N], 2 each, for m in [0, 2N), which may be secret: masks of uniform_residues() and what
  /// is added to them. @throws Error "plaintext.too_large" for other values
  void add_residues_inplace(CiphertextBatch& x, const WideVector& values) const;
  /// x ← [2^bits·x], `bits` squarings each.
  void shift_inplace(CiphertextBatch& x, unsigned bits) const;
  /// [k·x] for non-negative k below 2^bits; time depends on `bits` only, not on k (fixed windows, masked
  /// table look-up).
  CiphertextBatch scalar_multiply(const CiphertextBatch& x, const WideVector& scalars, unsigned bits) const;
  /// [k·x] for one small public k (any sign); variable time in k.
  CiphertextBatch scalar_multiply_public(const CiphertextBatch& x, std::int64_t k) const;
  /// y[i] = choose[i] != 0 ? b[i] : a[i], without a branch or an address that depends on `choose`. No
  /// multiplication.
  CiphertextBatch select(const CiphertextBatch& a, const CiphertextBatch& b,
                         std::span<const std::uint8_t> choose) const;
  /// All outputs of a linear layer; the plan's cost.
  CiphertextBatch weighted_sum(const WeightedSumPlan& plan, const CiphertextBatch& x) const;
  /// Ciphertext j holds Σ_{i < per_ciphertext} x[j·per_ciphertext + i]·2^(slot_bits·i); the last may be
  /// partly filled. Values may be negative (they borrow from the next slot; add an offset to each slot with
  /// add_plain_inplace). About slot_bits squarings and 1 multiplication a value.
  CiphertextBatch pack(const CiphertextBatch& x, unsigned slot_bits, std::size_t per_ciphertext) const;
  /// x ← x·ρ with fresh ρ, within 2^-80 of uniform among the N-th residues whatever the modulus: afterwards x
  /// is a fresh encryption of its plaintext. For a subgroup key ρ is a power of the key's own h.
  void rerandomise_inplace(CiphertextBatch& x) const;

  OperationCounts counts() const noexcept;

 private:
  CiphertextBatch factored_weighted_sum(const WeightedSumPlan& plan, const CiphertextBatch& x) const;
  CiphertextBatch combine_halves(const WeightedSumPlan::Program& program, CiphertextBatch rows) const;
  /// Which plaintexts are taken.
  enum class PlaintextRange { narrow, residues };
  /// The pairs u = 1, w = m mod N: 1 + m·N as plain numbers.
  CiphertextBatch load_plaintexts(const WideVector& values,
                                  PlaintextRange range = PlaintextRange::narrow) const;
  CiphertextBatch encrypt_trivial(const WideVector& values, PlaintextRange range) const;
  void add_plaintexts(CiphertextBatch& x, const WideVector& values, PlaintextRange range) const;
  /// m·R mod N in w of each group's lanes: the logarithms of 1 + m·N. 1 each.
  CiphertextBatch plain_logarithms(const WideVector& values) const;
  void count(std::uint64_t multiplications, std::uint64_t squarings = 0,
             std::uint64_t inversions = 0) const noexcept;

  std::shared_ptr<const PublicContext> context_;
  Rng& rng_;
  mutable std::atomic<std::uint64_t> multiplications_{0};
  mutable std::atomic<std::uint64_t> squarings_{0};
  mutable std::atomic<std::uint64_t> inversions_{0};
};

/// Words of a plaintext in [0, 2N), which is never negative.
std::size_t residue_limbs(unsigned key_bits);
/// `count` values uniform in [0, N), of residue_limbs() words: masks that hide any plaintext perfectly. By
/// rejection.
WideVector uniform_residues(const PublicKey& key, std::size_t count, Rng& rng = system_rng());

/// Slots of a plaintext, as Evaluator::pack() lays them: value i·2^(slot_bits·i). Values must be in [0,
/// 2^slot_bits). The result has one value per ciphertext. @throws Error "packing.overflow" otherwise
WideVector pack_slots(const WideVector& values, unsigned slot_bits, std::size_t per_ciphertext);
/// The inverse; `count` values of `limbs` words, all non-negative.
WideVector unpack_slots(const WideVector& packed, unsigned slot_bits, std::size_t per_ciphertext,
                        std::size_t count, std::size_t limbs);
/// How many slots of `slot_bits` a plaintext of a |N| = key_bits key holds: floor((key_bits − 2) /
/// slot_bits).
std::size_t slots_per_ciphertext(unsigned key_bits, unsigned slot_bits);

}  // namespace popcorn::paillier
