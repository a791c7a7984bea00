#include "protocols/ot/sources/softspoken.h"

#include <openssl/crypto.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "base/error.h"
#include "base/secret.h"
#include "base/secret_bytes.h"
#include "base/sha256.h"
#include "protocols/ot/bits/bit_matrix.h"
#include "protocols/ot/failed_check.h"
#include "protocols/ot/sources/transcript.h"

namespace popcorn::protocols::ot {

namespace {

constexpr unsigned kDepth = 8;
constexpr std::size_t kLeaves = std::size_t{1} << kDepth;
constexpr std::size_t kTrees = kBaseTransfers / kDepth;
constexpr std::size_t kTagBytes = 32;
constexpr std::size_t kTreeBytes = kDepth * 2 * sizeof(Block) + 2 * kTagBytes;
/// Groups of 128 transfers made together: their leaves' blocks fit the first-level cache.
constexpr std::size_t kTogether = 4;

/// Public: the fixed key of the trees.
constexpr Block kTreeKey = {0x13198a2e03707344, 0x243f6a8885a308d3};

using Leaves = std::array<Block, kLeaves>;
using Tags = std::array<Sha256, kLeaves>;

/// Seeds of the streams: π(leaf) ⊕ leaf, one-way.
class LeafSeeds {
 public:
  LeafSeeds(const kernels::Kernel& kernel, ByteView context)
      : kernel_(kernel), key_(kernel.key(Transcript("softspoken leaf").add(context).block())) {}
  Leaves operator()(const Leaves& leaves) const {
    Leaves seeds = leaves;
    kernel_.encrypt(*key_, seeds.data(), kLeaves);
    for (std::size_t x = 0; x < kLeaves; ++x) seeds[x] ^= leaves[x];
    return seeds;
  }

 private:
  const kernels::Kernel& kernel_;
  std::unique_ptr<kernels::AesKey> key_;
};

/// What the set-up's check compares; a digest one-way in the leaf and hard to collide.
class LeafTags {
 public:
  explicit LeafTags(ByteView context) : context_(Transcript("softspoken tag").add(context).digest()) {}
  Tags operator()(const Leaves& leaves, std::size_t tree) const {
    // Context, place and leaf: one block of SHA-256.
    std::array<std::uint8_t, sizeof(Sha256) + 2 + sizeof(Block)> input;
    std::ranges::copy(context_, input.begin());
    input[context_.size()] = static_cast<std::uint8_t>(tree);
    Tags tags;
    for (std::size_t x = 0; x < kLeaves; ++x) {
      input[context_.size() + 1] = static_cast<std::uint8_t>(x);
      std::memcpy(input.data() + context_.size() + 2, &leaves[x], sizeof(Block));
      tags[x] = sha256(input);
    }
    OPENSSL_cleanse(input.data(), input.size());
    return tags;
  }

 private:
  Sha256 context_;
};

Sha256 exclusive_or(const Sha256& a, const Sha256& b) {
  Sha256 result;
  for (std::size_t i = 0; i < result.size(); ++i) result[i] = static_cast<std::uint8_t>(a[i] ^ b[i]);
  return result;
}

Sha256 sum_of(const Tags& tags) {
  Sha256 sum{};
  for (const Sha256& tag : tags) sum = exclusive_or(sum, tag);
  return sum;
}

Sha256 digest_of(const Tags& tags) {
  return sha256({tags.front().data(), kLeaves * kTagBytes});
}

Block masked(Block value, std::uint64_t mask) {
  return {value.low & mask, value.high & mask};
}

/// All ones when equal, else zero; constant-time.
std::uint64_t equal_mask(std::uint64_t a, std::uint64_t b) {
  const std::uint64_t difference = a ^ b;
  return ((difference | (0 - difference)) >> 63) - 1;
}

void put(Bytes& out, const void* data, std::size_t bytes) {
  const auto* const from = static_cast<const std::uint8_t*>(data);
  out.insert(out.end(), from, from + bytes);
}

/// Slots [0, 2·half) of kWidth blocks each: adds the upper half to the lower one, and gives its sum.
template <std::size_t kWidth>
std::array<Block, kWidth> fold_half(Block* slots, std::size_t half) {
  std::array<Block, kWidth> sum{};
  for (std::size_t i = 0; i < half; ++i) {
    for (std::size_t j = 0; j < kWidth; ++j) {
      const Block upper = slots[(half + i) * kWidth + j];
      sum[j] ^= upper;
      slots[i * kWidth + j] ^= upper;
    }
  }
  return sum;
}

/// The streams of one tree's leaves, π(seed ⊕ counter) ⊕ seed, folded: `total` = ⊕_x stream(x), column b = ⊕
/// of those with bit b of x set.
class LeafStreams {
 public:
  LeafStreams(const kernels::Kernel& kernel, const kernels::AesKey& key)
      : kernel_(kernel), key_(key), blocks_(kLeaves * kTogether) {}
  ~LeafStreams() { wipe_and_clear(blocks_); }

  /// The columns of a tree, `stride` blocks each, and its total.
  void fold_columns(std::size_t tree, const Leaves& seeds, std::size_t stride, std::vector<Block>& columns,
                    Block* total) {
    // The seeds' own part is the same in every block.
    Leaves left = seeds;
    std::array<Block, kDepth> seed_sums;
    for (unsigned b = kDepth; b-- > 0;) seed_sums[b] = fold_half<1>(left.data(), std::size_t{1} << b)[0];
    for (std::size_t first = 0; first < stride; first += kTogether) {
      const std::size_t count = std::min(kTogether, stride - first);
      draw(seeds, first);
      for (unsigned b = kDepth; b-- > 0;) {
        const auto sum = fold_half<kTogether>(blocks_.data(), std::size_t{1} << b);
        Block* const column = columns.data() + (kDepth * tree + b) * stride + first;
        for (std::size_t j = 0; j < count; ++j) column[j] = sum[j] ^ seed_sums[b];
      }
      for (std::size_t j = 0; j < count; ++j) total[first + j] = blocks_[j] ^ left[0];
    }
    OPENSSL_cleanse(left.data(), sizeof left);
  }

 private:
  /// π of kTogether blocks of every leaf's stream. @param position of the first, in blocks
  void draw(const Leaves& seeds, std::uint64_t position) {
    for (std::size_t x = 0; x < kLeaves; ++x) {
      for (std::size_t j = 0; j < kTogether; ++j)
        blocks_[x * kTogether + j] = seeds[x] ^ Block { position + j, 0 };
    }
    kernel_.encrypt(key_, blocks_.data(), blocks_.size());
  }

  const kernels::Kernel& kernel_;
  const kernels::AesKey& key_;
  std::vector<Block> blocks_;
};

/// The streams of one extension. @param name of it
std::unique_ptr<kernels::AesKey> stream_key(const kernels::Kernel& kernel, ByteView context, ByteView name) {
  return kernel.key(Transcript("softspoken streams").add(context).add(name).block());
}

Block challenge(ByteView context, ByteView name, ByteView corrections) {
  const Block r = Transcript("softspoken check").add(context).add(name).add(corrections).block();
  POPCORN_DECLASSIFY(r);  // the corrections are sent
  return r;
}

/// What hides a level's sum of one side from who does not have that side's seed.
Block level_mask(ByteView context, std::size_t tree, unsigned level, Block seed) {
  return Transcript("softspoken level").add(context).add(tree).add(level).add(seed).block();
}

[[noreturn]] void fail(const char* what) {
  throw FailedCheck("ot.check", std::string(what) + " is not consistent");
}

void expect_groups(std::size_t groups) {
  if (groups == 0 || groups > softspoken::kMaxGroups) throw Error("ot.groups", "too many transfers at once");
}

}  // namespace

namespace softspoken {

std::size_t set_up_bytes() noexcept {
  return kTrees * kTreeBytes;
}

std::size_t extend_bytes(std::size_t groups) noexcept {
  return ((kTrees - 1) * (groups + 1) + 1) * sizeof(Block) + sizeof(Sha256);
}

std::size_t extension_bytes(std::size_t groups, std::size_t together) noexcept {
  const std::size_t rest = groups % together;
  return groups / together * extend_bytes(together) + (rest == 0 ? 0 : extend_bytes(rest));
}

}  // namespace softspoken

struct SoftSpokenReceiver::State {
  OfferedSeeds base;
  Bytes context;
  Block roots;
  const kernels::Kernel& kernel;
  std::unique_ptr<kernels::AesKey> key;
  std::vector<Leaves> seeds;

  ~State() {
    OPENSSL_cleanse(&base, sizeof base);
    OPENSSL_cleanse(&roots, sizeof roots);
    wipe_and_clear(seeds);
  }

  /// Leaves of a tree; appends each level's sums where there is somewhere to. @param level_sums or null
  void grow(std::size_t tree, Leaves& nodes, Bytes* level_sums) const {
    for (std::size_t side = 0; side < 2; ++side)
      nodes[side] = Transcript("softspoken root").add(roots).add(tree).add(side).block();
    for (unsigned level = 0; level < kDepth; ++level) {
      const std::size_t n = std::size_t{1} << level;
      if (level > 0) kernel.expand_level(*key, nodes.data(), n, false, false);
      if (level_sums == nullptr) continue;
      for (std::size_t side = 0; side < 2; ++side) {
        Block sum = level_mask(context, tree, level, base.pairs[kDepth * tree + level][side]);
        for (std::size_t i = 0; i < n; ++i) sum ^= nodes[side * n + i];
        put(*level_sums, &sum, sizeof sum);
      }
    }
  }
};

SoftSpokenReceiver::SoftSpokenReceiver(const OfferedSeeds& base, ByteView context, Block roots,
                                       const kernels::Kernel& kernel)
    : state_(
          new State{base, Bytes(context.begin(), context.end()), roots, kernel, kernel.key(kTreeKey), {}}) {}

SoftSpokenReceiver::~SoftSpokenReceiver() = default;

void SoftSpokenReceiver::set_up(Bytes& out) {
  State& state = *state_;
  state.seeds.resize(kTrees);
  const LeafSeeds seeds_of(state.kernel, state.context);
  const LeafTags tags_of(state.context);
  Leaves leaves;
  for (std::size_t tree = 0; tree < kTrees; ++tree) {
    state.grow(tree, leaves, &out);
    state.seeds[tree] = seeds_of(leaves);
    Tags tags = tags_of(leaves, tree);
    const Sha256 sum = sum_of(tags);
    const Sha256 digest = digest_of(tags);
    put(out, sum.data(), sum.size());
    put(out, digest.data(), digest.size());
    OPENSSL_cleanse(tags.data(), sizeof tags);
  }
  OPENSSL_cleanse(leaves.data(), sizeof leaves);
}

void SoftSpokenReceiver::rebuild() {
  State& state = *state_;
  state.seeds.resize(kTrees);
  const LeafSeeds seeds_of(state.kernel, state.context);
  Leaves leaves;
  for (std::size_t tree = 0; tree < kTrees; ++tree) {
    state.grow(tree, leaves, nullptr);
    state.seeds[tree] = seeds_of(leaves);
  }
  OPENSSL_cleanse(leaves.data(), sizeof leaves);
}

void SoftSpokenReceiver::extend(ByteView name, std::size_t groups, Block* rows, Bytes& out) {
  expect_groups(groups);
  State& state = *state_;
  const std::size_t stride = groups + 1;
  std::vector<Block> columns(kBaseTransfers * stride);
  std::vector<Block> totals(kTrees * stride);
  const auto key = stream_key(state.kernel, state.context, name);
  LeafStreams streams(state.kernel, *key);
  for (std::size_t tree = 0; tree < kTrees; ++tree)
    streams.fold_columns(tree, state.seeds[tree], stride, columns, totals.data() + tree * stride);
  const std::size_t start = out.size();
  for (std::size_t tree = 1; tree < kTrees; ++tree) {
    for (std::size_t j = 0; j < stride; ++j) {
      const Block correction = totals[tree * stride + j] ^ totals[j];
      put(out, &correction, sizeof correction);
    }
  }
  const Block r = challenge(state.context, name, ByteView(out).subspan(start));
  const Block choices = state.kernel.polynomial({}, r, totals.data(), stride);
  put(out, &choices, sizeof choices);
  Transcript sums("softspoken sums");
  for (std::size_t c = 0; c < kBaseTransfers; ++c)
    sums.add(state.kernel.polynomial({}, r, columns.data() + c * stride, stride));
  const Sha256 digest = sums.digest();
  put(out, digest.data(), digest.size());
  transpose(columns.data(), stride, groups, rows);
  for (std::size_t i = 0; i < kBaseTransfers * groups; ++i) {
    const Block& word = totals[i / 128];
    const std::uint64_t choice = ((i % 128 < 64 ? word.low : word.high) >> (i % 64)) & 1U;
    rows[i].low = (rows[i].low & ~std::uint64_t{1}) | choice;
  }
  wipe_and_clear(columns);
  wipe_and_clear(totals);
}

struct SoftSpokenSender::State {
  ChosenSeeds base;
  Bytes context;
  const kernels::Kernel& kernel;
  std::unique_ptr<kernels::AesKey> key;
  Block delta;
  /// The leaf x of a tree in slot x ⊕ δ; slot 0, whose leaf is hidden, counts nowhere.
  std::vector<Leaves> seeds;

  std::uint64_t delta_bit(std::size_t i) const { return 1U - base.choices[i]; }
  ~State() {
    OPENSSL_cleanse(&base, sizeof base);
    OPENSSL_cleanse(&delta, sizeof delta);
    wipe_and_clear(seeds);
  }

  /// The leaves of a tree but for a hidden one, whose place is returned. Every node is touched at every
  /// level: no address says where the hidden one is. @param sums of the levels
  std::uint64_t grow(std::size_t tree, ByteView sums, Leaves& nodes) const {
    std::uint64_t hidden = 0;
    nodes.fill({});
    for (unsigned level = 0; level < kDepth; ++level) {
      const std::size_t n = std::size_t{1} << level;
      const std::size_t transfer = kDepth * tree + level;
      const std::uint64_t choice = base.choices[transfer];
      std::array<Block, 2> sides;
      std::memcpy(sides.data(), sums.data() + level * sizeof sides, sizeof sides);
      Block sibling = level_mask(context, tree, level, base.seeds[transfer]);
      sibling ^= masked(sides[0], choice - 1) ^ masked(sides[1], 0 - choice);
      if (level > 0) {
        kernel.expand_level(*key, nodes.data(), n, false, false);
        // What the known nodes of the chosen side add up to; the hidden one's child is not among them.
        for (std::size_t i = 0; i < n; ++i) {
          const std::uint64_t known = ~equal_mask(i, hidden);
          sibling ^= masked(nodes[i], known & (choice - 1)) ^ masked(nodes[n + i], known & (0 - choice));
        }
      }
      const std::uint64_t at = hidden + n * choice;
      hidden += n * (1 - choice);
      for (std::size_t i = 0; i < 2 * n; ++i) {
        const std::uint64_t is_sibling = equal_mask(i, at);
        const std::uint64_t is_hidden = equal_mask(i, hidden);
        nodes[i] = masked(nodes[i], ~(is_sibling | is_hidden)) ^ masked(sibling, is_sibling);
      }
    }
    return hidden;
  }
};

SoftSpokenSender::SoftSpokenSender(const ChosenSeeds& base, ByteView context, const kernels::Kernel& kernel)
    : state_(new State{base, Bytes(context.begin(), context.end()), kernel, kernel.key(kTreeKey), {}, {}}) {
  if (base.choices[0] != 0) throw Error("ot.delta", "the first base transfer's choice must be 0");
  for (std::size_t i = 0; i < kBaseTransfers; ++i) {
    std::uint64_t& word = i < 64 ? state_->delta.low : state_->delta.high;
    word |= state_->delta_bit(i) << (i % 64);
  }
}

SoftSpokenSender::~SoftSpokenSender() = default;

Block SoftSpokenSender::delta() const noexcept {
  return state_->delta;
}

namespace {

/// 0 if the tags of the leaves, with the one that the message says for the hidden one, are those promised.
/// Not a bool: a compiler may join those by branches, and which tree is wrong depends on its hidden leaf.
/// @param promised their sum and their digest
int tags_differ(Tags tags, std::uint64_t hidden, ByteView promised) {
  Sha256 missing;
  std::memcpy(missing.data(), promised.data(), missing.size());
  for (std::size_t x = 0; x < kLeaves; ++x) {
    const auto known = static_cast<std::uint8_t>(~equal_mask(x, hidden));
    for (std::size_t i = 0; i < kTagBytes; ++i)
      missing[i] = static_cast<std::uint8_t>(missing[i] ^ (tags[x][i] & known));
  }
  for (std::size_t x = 0; x < kLeaves; ++x) {
    const auto is_hidden = static_cast<std::uint8_t>(equal_mask(x, hidden));
    for (std::size_t i = 0; i < kTagBytes; ++i)
      tags[x][i] = static_cast<std::uint8_t>((tags[x][i] & ~is_hidden) | (missing[i] & is_hidden));
  }
  const Sha256 digest = digest_of(tags);
  OPENSSL_cleanse(tags.data(), sizeof tags);
  return CRYPTO_memcmp(digest.data(), promised.data() + kTagBytes, kTagBytes);
}

/// x → x ⊕ hidden, one swap of halves for each bit.
void move_hidden_first(Leaves& seeds, std::uint64_t hidden) {
  for (unsigned b = 0; b < kDepth; ++b) {
    const std::uint64_t swap = 0 - ((hidden >> b) & 1U);
    for (std::size_t x = 0; x < kLeaves; ++x) {
      const std::size_t partner = x ^ (std::size_t{1} << b);
      if (partner < x) continue;
      const Block difference = masked(seeds[x] ^ seeds[partner], swap);
      seeds[x] ^= difference;
      seeds[partner] ^= difference;
    }
  }
}

}  // namespace

void SoftSpokenSender::set_up(ByteView message) {
  rebuild(message);
  const State& state = *state_;
  const LeafTags tags_of(state.context);
  Leaves leaves;
  int difference = 0;
  for (std::size_t tree = 0; tree < kTrees; ++tree) {
    const ByteView part = message.subspan(tree * kTreeBytes, kTreeBytes);
    const std::uint64_t hidden = state.grow(tree, part, leaves);
    difference |= tags_differ(tags_of(leaves, tree), hidden, part.last(2 * kTagBytes));
  }
  OPENSSL_cleanse(leaves.data(), sizeof leaves);
  POPCORN_DECLASSIFY(difference);  // whoever made it learns it, and session and set-up end
  if (difference != 0) fail("a tree of the set-up");
}

void SoftSpokenSender::rebuild(ByteView message) {
  State& state = *state_;
  state.seeds.resize(kTrees);
  const LeafSeeds seeds_of(state.kernel, state.context);
  Leaves leaves;
  for (std::size_t tree = 0; tree < kTrees; ++tree) {
    const std::uint64_t hidden = state.grow(tree, message.subspan(tree * kTreeBytes, kTreeBytes), leaves);
    state.seeds[tree] = seeds_of(leaves);
    move_hidden_first(state.seeds[tree], hidden);
  }
  OPENSSL_cleanse(leaves.data(), sizeof leaves);
}

void SoftSpokenSender::extend(ByteView name, std::size_t groups, ByteView message, Block* rows) {
  expect_groups(groups);
  State& state = *state_;
  const std::size_t stride = groups + 1;
  std::vector<Block> columns(kBaseTransfers * stride);
  std::vector<Block> total(stride);  // of no use here
  const auto key = stream_key(state.kernel, state.context, name);
  LeafStreams streams(state.kernel, *key);
  for (std::size_t tree = 0; tree < kTrees; ++tree) {
    streams.fold_columns(tree, state.seeds[tree], stride, columns, total.data());
    if (tree == 0) continue;
    const std::uint8_t* const corrections = message.data() + (tree - 1) * stride * sizeof(Block);
    for (unsigned b = 0; b < kDepth; ++b) {
      const std::uint64_t mask = 0 - state.delta_bit(kDepth * tree + b);
      Block* const column = columns.data() + (kDepth * tree + b) * stride;
      for (std::size_t j = 0; j < stride; ++j) {
        Block correction;
        std::memcpy(&correction, corrections + j * sizeof(Block), sizeof correction);
        column[j] ^= masked(correction, mask);
      }
    }
  }
  const std::size_t correction_bytes = (kTrees - 1) * stride * sizeof(Block);
  const Block r = challenge(state.context, name, message.first(correction_bytes));
  const ByteView check = message.subspan(correction_bytes);
  Block choices;
  std::memcpy(&choices, check.data(), sizeof choices);
  Transcript sums("softspoken sums");
  for (std::size_t c = 0; c < kBaseTransfers; ++c) {
    const Block column = state.kernel.polynomial({}, r, columns.data() + c * stride, stride);
    sums.add(column ^ masked(choices, 0 - state.delta_bit(c)));
  }
  const Sha256 digest = sums.digest();
  const bool consistent = CRYPTO_memcmp(digest.data(), check.data() + sizeof choices, digest.size()) == 0;
  POPCORN_DECLASSIFY(consistent);  // whoever made it false learns it, and session and set-up end
  transpose(columns.data(), stride, groups, rows);
  for (std::size_t i = 0; i < kBaseTransfers * groups; ++i) rows[i].low &= ~std::uint64_t{1};
  wipe_and_clear(columns);
  if (!consistent) {
    wipe({reinterpret_cast<std::uint8_t*>(rows), kBaseTransfers * groups * sizeof(Block)});
    fail("a correction");
  }
}

}  // namespace popcorn::protocols::ot
