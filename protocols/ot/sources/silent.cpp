#include "protocols/ot/sources/silent.h"

#include <openssl/crypto.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <span>
#include <string>

#include "base/error.h"
#include "base/parallel.h"
#include "base/secret.h"
#include "base/secret_bytes.h"
#include "protocols/ot/failed_check.h"
#include "protocols/ot/sources/transcript.h"

namespace popcorn::protocols::ot {

namespace {

constexpr std::size_t kCheckTransfers = 128;
/// Leaves that go through all that follows the trees together: they stay in the second-level cache.
constexpr std::size_t kLeavesTogether = 2048;

std::size_t pieces_of(std::size_t leaves) {
  return (leaves + kLeavesTogether - 1) / kLeavesTogether;
}

Block hash_of_zero(const kernels::Kernel& kernel, const kernels::AesKey& key) {
  Block zero;
  kernel.encrypt(key, &zero, 1);  // π(σ(0)) ⊕ σ(0)
  return zero;
}

Block cleared(Block block) {
  return {block.low & ~std::uint64_t{1}, block.high};
}

/// Σ rows[i]·x^i: 128 correlated transfers as one of 128-bit words.
Block combine(const Block* rows) {
  Block sum;
  for (std::size_t i = kCheckTransfers; i-- > 0;) sum = kernels::gf_multiply(sum, {2, 0}) ^ rows[i];
  return sum;
}

/// Reads a table in order, so that look-ups all over it find it in a cache: another batch, or another
/// direction or session with a table of its own, ran since the last ones.
void fetch(const Block* table, std::size_t count) {
  constexpr std::size_t kLine = 64 / sizeof(Block);
  for (std::size_t i = 0; i < count; i += kLine)
    static_cast<void>(*static_cast<const volatile std::uint64_t*>(&table[i].low));
}

/// The hidden leaf's tree of the sender. @param corrections one a level
void tree_of_sender(const kernels::Kernel& kernel, const kernels::AesKey& key, unsigned depth, Block delta,
                    Block root, const Block* base, Block* nodes, std::uint8_t* corrections) {
  nodes[0] = root;
  nodes[1] = root ^ delta;
  for (unsigned level = 0; level < depth; ++level) {
    Block sum = root;
    if (level > 0) sum = kernel.expand_level(key, nodes, std::size_t{1} << level, false, level + 1 == depth);
    sum ^= base[level];
    std::memcpy(corrections + level * sizeof sum, &sum, sizeof sum);
  }
}

/// The receiver's: every leaf but the hidden one, which becomes v ⊕ Δ. Returns its place: where the base
/// transfers' choices point away from.
std::size_t tree_of_receiver(const kernels::Kernel& kernel, const kernels::AesKey& key, Block junk,
                             unsigned depth, const Block* base, const std::uint8_t* corrections,
                             Block* nodes) {
  std::size_t hidden = 0;
  Block known;
  for (unsigned level = 0; level < depth; ++level) {
    const bool bit = (base[level].low & 1U) != 0;  // the side whose sum comes
    Block sibling;
    std::memcpy(&sibling, corrections + level * sizeof(Block), sizeof sibling);
    sibling ^= base[level];
    const std::size_t n = std::size_t{1} << level;
    const bool last = level + 1 == depth;
    if (level > 0) {
      // The hidden node is zero here: its children's junk is in both sums.
      sibling ^= kernel.expand_level(key, nodes, n, bit, last) ^ junk;
    }
    if (last) {
      sibling = cleared(sibling);
      known = cleared(known);
    }
    nodes[hidden] = {};
    nodes[hidden + n] = {};
    nodes[hidden + (bit ? n : 0)] = sibling;
    hidden += bit ? 0 : n;
    known ^= sibling;
  }
  known.low |= 1;
  nodes[hidden] = known;
  return hidden;
}

/// Powers of a public r.
class Powers {
 public:
  explicit Powers(Block r) {
    for (Block& square : squares_) {
      square = r;
      r = kernels::gf_multiply(r, r);
    }
  }
  /// r^exponent
  Block operator()(std::size_t exponent) const {
    Block result{1, 0};
    for (std::size_t i = 0; exponent > 0; ++i, exponent >>= 1) {
      if ((exponent & 1U) != 0) result = kernels::gf_multiply(result, squares_[i]);
    }
    return result;
  }

 private:
  std::array<Block, 22> squares_;  ///< exponents up to a batch of b13
};
static_assert((kMostTreesTogether << kSilentB13.depth) < (std::size_t{1} << 22));

/// The polynomial hash of parts that follow one another, each of `count(part)` blocks, from the parts' own.
template <class Count>
Block joined(std::span<const Block> parts, const Powers& power_of_r, const Count& count) {
  Block state;
  for (std::size_t i = 0; i < parts.size(); ++i)
    state = kernels::gf_multiply(state, power_of_r(count(i))) ^ parts[i];
  return state;
}

Sha256 proof_of(ByteView context, Block challenge, Block combination) {
  return Transcript("silent proof").add(context).add(challenge).add(combination).digest();
}

std::unique_ptr<kernels::AesKey> public_key(const kernels::Kernel& kernel, std::string_view label,
                                            ByteView context) {
  return kernel.key(Transcript(label).add(context).block());
}

}  // namespace

std::size_t SilentParameters::batches() const noexcept {
  return (trees + kTreesTogether - 1) / kTreesTogether;
}

std::size_t SilentParameters::base() const noexcept {
  return k() + trees * depth + kCheckTransfers * batches();
}

std::size_t SilentParameters::batch_trees(std::size_t tree, std::uint64_t wanted) const noexcept {
  const std::size_t usable_trees = trees - std::min(trees, refill());
  std::uint64_t count = (wanted + leaves() - 1) / leaves();
  if (tree + count > usable_trees) count = trees - tree;
  count = (count + kTreesTogether - 1) / kTreesTogether * kTreesTogether;
  return std::min<std::size_t>(std::clamp<std::uint64_t>(count, kTreesTogether, kMostTreesTogether),
                               trees - tree);
}

std::size_t SilentParameters::batch_outputs(std::size_t tree, std::size_t count) const noexcept {
  const std::size_t usable_trees = trees - std::min(trees, refill());
  return (std::min(tree + count, usable_trees) - std::min(tree, usable_trees)) * leaves();
}

std::uint64_t SilentParameters::bytes_for(std::uint64_t count) const noexcept {
  std::uint64_t bytes = 0;
  std::uint64_t made = 0;
  for (std::size_t tree = 0; made < count;) {
    const std::size_t batch = batch_trees(tree, count - made);
    bytes += correction_bytes(batch) + kSilentCheckBytes + kSilentProofBytes;
    made += batch_outputs(tree, batch);
    tree = (tree + batch) % trees;
  }
  return bytes;
}

const SilentParameters& silent_parameters_named(std::string_view name) {
  for (const SilentParameters* set : {&kSilentB10, &kSilentB12, &kSilentB13}) {
    if (set->name == name) return *set;
  }
  throw UsageError("ot.parameters", "no parameters of silent transfers are called " + std::string(name) +
                                        "; known are b10, b12, b13");
}

SilentRound::SilentRound(const SilentParameters& parameters, ByteView context, const Block* base,
                         const kernels::Kernel& kernel)
    : parameters_(parameters),
      context_(context.begin(), context.end()),
      kernel_(kernel),
      tree_key_(public_key(kernel, "silent trees", context)),
      code_key_(public_key(kernel, "silent code", context)),
      now_(parameters.refill() * parameters.leaves()),
      next_(parameters.refill() * parameters.leaves()) {
  std::copy_n(base, parameters.base(), now_.data());
  plan_batch(0);
}

void SilentRound::plan_batch(std::uint64_t wanted) {
  trees_ = parameters_.batch_trees(tree_, wanted);
  const std::size_t leaves = trees_ * parameters_.leaves();
  if (leaves_.size() < leaves) leaves_ = BlockArray(leaves);
}

std::size_t SilentRound::memory_bytes() const noexcept {
  return now_.memory_bytes() + next_.memory_bytes() + leaves_.memory_bytes();
}

const Block* SilentRound::tree_base(std::size_t tree) const {
  return now_.data() + parameters_.k() + (tree_ + tree) * parameters_.depth;
}

const Block* SilentRound::check_base() const {
  return now_.data() + parameters_.k() + parameters_.trees * parameters_.depth +
         tree_ / kTreesTogether * kCheckTransfers;
}

void SilentRound::finish_batch(RowSink& outputs, Block r, Block* state) {
  const std::size_t count = batch_trees() * parameters_.leaves();
  const std::size_t used = batch_outputs();
  // Where the first leaf that is not for use goes.
  Block* const next =
      next_.data() +
      (tree_ + used / parameters_.leaves() + parameters_.refill() - parameters_.trees) * parameters_.leaves();
  fetch(now_.data(), parameters_.k());
  outputs.begin(used);
  const std::size_t pieces_used = pieces_of(used);
  std::vector<Block> hashes(pieces_used + pieces_of(count - used));
  const auto first_of = [&](std::size_t piece) {
    return piece < pieces_used ? piece * kLeavesTogether : used + (piece - pieces_used) * kLeavesTogether;
  };
  const auto size_of = [&](std::size_t piece) {
    return std::min(kLeavesTogether, (piece < pieces_used ? used : count) - first_of(piece));
  };
  parallel_indices(hashes.size(), [&](std::size_t piece) {
    const std::size_t first = first_of(piece);
    const std::size_t size = size_of(piece);
    Block* const rows = leaves_.data() + first;
    if (state != nullptr) hashes[piece] = kernel_.polynomial({}, r, rows, size);
    kernel_.encode(*code_key_, code_position_ + first * 5 / 2, rows, now_.data(),
                   static_cast<std::uint32_t>(parameters_.k() - 1), size);
    if (first < used) {
      outputs.put(rows, first, size);
    } else {
      std::copy_n(rows, size, next + (first - used));
    }
  });
  if (state != nullptr) *state = joined(hashes, Powers(r), size_of);
  end_batch();
}

void SilentRound::end_batch() {
  code_position_ += batch_trees() * parameters_.leaves() * 5 / 2;
  tree_ += batch_trees();
  if (tree_ == parameters_.trees) {
    std::swap(now_, next_);
    tree_ = 0;
    ++rounds_;
  }
  plan_batch(0);
}

Block SilentRound::challenge(ByteView corrections) const {
  const Block r =
      Transcript("silent challenge").add(context_).add(rounds_).add(tree_).add(corrections).block();
  POPCORN_DECLASSIFY(r);  // the corrections are sent
  return r;
}

SilentSender::SilentSender(const SilentParameters& parameters, ByteView context, Block delta,
                           const Block* base, Rng& rng, const kernels::Kernel& kernel)
    : SilentRound(parameters, context, base, kernel), delta_(delta), rng_(rng) {
  if ((delta.low & 1U) == 0) throw Error("ot.delta", "the correlation must have lowest bit 1");
}

SilentSender::~SilentSender() {
  OPENSSL_cleanse(&delta_, sizeof delta_);
}

void SilentSender::trees(Bytes& out) {
  const std::size_t start = out.size();
  std::array<Block, kMostTreesTogether> roots;
  rng_.fill({reinterpret_cast<std::uint8_t*>(roots.data()), batch_trees() * sizeof(Block)});
  out.resize(start + correction_bytes());
  parallel_indices(batch_trees(), [&](std::size_t tree) {
    tree_of_sender(kernel_, *tree_key_, parameters_.depth, delta_, roots[tree], tree_base(tree),
                   leaves_.data() + tree * parameters_.leaves(),
                   out.data() + start + tree * parameters_.depth * sizeof(Block));
  });
  OPENSSL_cleanse(roots.data(), sizeof roots);
  challenge_ = challenge(ByteView(out).subspan(start));
}

void SilentSender::prove(ByteView check, Bytes& out, RowSink& outputs) {
  Block masked;
  std::memcpy(&masked, check.data(), sizeof masked);
  Block combination;
  const Block base = combine(check_base());
  finish_batch(outputs, challenge_, &combination);
  combination ^= base ^ kernels::gf_multiply(delta_, masked);
  const Sha256 proof = proof_of(context_, challenge_, combination);
  out.insert(out.end(), proof.begin(), proof.end());
}

SilentReceiver::SilentReceiver(const SilentParameters& parameters, ByteView context, const Block* base,
                               const kernels::Kernel& kernel)
    : SilentRound(parameters, context, base, kernel), expected_{} {}

SilentReceiver::~SilentReceiver() {
  OPENSSL_cleanse(expected_.data(), expected_.size());
}

void SilentReceiver::check(ByteView corrections, Bytes& out) {
  const std::size_t trees = batch_trees();
  const std::size_t leaves = parameters_.leaves();
  const Block r = challenge(corrections);
  const Powers power_of_r(r);
  const Block junk = hash_of_zero(kernel_, *tree_key_);
  std::vector<Block> hashes(trees);
  std::vector<Block> places(trees);  // what polynomial() multiplies the hidden leaf by
  parallel_indices(trees, [&](std::size_t tree) {
    Block* const nodes = leaves_.data() + tree * leaves;
    const std::size_t hidden =
        tree_of_receiver(kernel_, *tree_key_, junk, parameters_.depth, tree_base(tree),
                         corrections.data() + tree * parameters_.depth * sizeof(Block), nodes);
    hashes[tree] = kernel_.polynomial({}, r, nodes, leaves);
    places[tree] = power_of_r(trees * leaves - (tree * leaves + hidden));
  });
  const Block combination = joined(hashes, power_of_r, [leaves](std::size_t) { return leaves; });
  Block masked;
  for (const Block& place : places) masked ^= place;
  wipe_and_clear(places);
  const Block* const base = check_base();
  for (std::size_t i = 0; i < kCheckTransfers; ++i) {
    std::uint64_t& word = i < 64 ? masked.low : masked.high;
    word ^= (base[i].low & 1U) << (i % 64);
  }
  const auto* const bytes = reinterpret_cast<const std::uint8_t*>(&masked);
  out.insert(out.end(), bytes, bytes + sizeof masked);
  expected_ = proof_of(context_, r, combination ^ combine(base));
}

void SilentReceiver::accept(ByteView proof, RowSink& outputs) {
  const int difference = CRYPTO_memcmp(proof.data(), expected_.data(), expected_.size());
  POPCORN_DECLASSIFY(difference);  // whoever made it learns it, and session and set-up end
  if (difference != 0) {
    throw FailedCheck("ot.check", "the trees of silent transfers are not consistent");
  }
  finish_batch(outputs);
}

}  // namespace popcorn::protocols::ot
