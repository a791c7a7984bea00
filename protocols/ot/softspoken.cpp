#include "protocols/ot/softspoken.h"

#include <openssl/crypto.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "base/error.h"
#include "protocols/ot/bit_matrix.h"
#include "protocols/ot/failed_check.h"
#include "protocols/ot/transcript.h"

namespace popcorn::protocols::ot {

namespace {

constexpr unsigned kDepth = 8;
constexpr std::size_t kLeaves = std::size_t{1} << kDepth;
constexpr std::size_t kTrees = kBaseTransfers / kDepth;
constexpr std::size_t kTagBytes = 32;
constexpr std::size_t kTreeBytes = kDepth * 2 * sizeof(Block) + 2 * kTagBytes;
/// Groups of 128 transfers made together: their leaves' blocks fit the second-level cache.
constexpr std::size_t kTogether = 32;

/// Public: the fixed key of trees and streams.
constexpr Block kTreeKey = {0x13198a2e03707344, 0x243f6a8885a308d3};

using Leaves = std::array<Block, kLeaves>;
using Tags = std::array<Sha256, kLeaves>;

struct LeafKeys {
  Leaves seeds;
  Tags tags;
};

/// Seeds and tags of the leaves, one-way.
void derive_leaves(const Leaves& leaves, ByteView context, std::size_t tree, LeafKeys& keys) {
  for (std::size_t x = 0; x < kLeaves; ++x) {
    keys.seeds[x] = Transcript("softspoken leaf").add(context).add(tree).add(x).add(leaves[x]).block();
    keys.tags[x] = Transcript("softspoken tag").add(context).add(tree).add(x).add(leaves[x]).digest();
  }
}

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

/// The streams of one tree's leaves, folded: `total` = ⊕_x stream(x), bits[b] = ⊕ of those with bit b of x
/// set.
class LeafStreams {
 public:
  LeafStreams(const kernels::Kernel& kernel, const kernels::AesKey& key)
      : kernel_(kernel), key_(key), blocks_(kLeaves * kTogether) {}
  ~LeafStreams() { OPENSSL_cleanse(blocks_.data(), blocks_.size() * sizeof(Block)); }

  /// The columns of a tree, `stride` blocks each, and its total, from `position` of the streams on.
  void fold_columns(std::size_t tree, const Leaves& seeds, std::uint64_t position, std::size_t stride,
                    std::vector<Block>& columns, Block* total) {
    for (std::size_t first = 0; first < stride; first += kTogether) {
      std::array<Block*, kDepth> bits;
      for (unsigned b = 0; b < kDepth; ++b) bits[b] = columns.data() + (kDepth * tree + b) * stride + first;
      fold(seeds, position + first, std::min(kTogether, stride - first), total + first, bits);
    }
  }

 private:
  /// @param position of the stream, in blocks; `count` ≤ kTogether
  void fold(const Leaves& seeds, std::uint64_t position, std::size_t count, Block* total,
            const std::array<Block*, kDepth>& bits) {
    for (std::size_t x = 0; x < kLeaves; ++x) {
      for (std::size_t j = 0; j < count; ++j) blocks_[x * count + j] = seeds[x] ^ Block { position + j, 0 };
    }
    kernel_.encrypt(key_, blocks_.data(), kLeaves * count);
    for (std::size_t x = 0; x < kLeaves; ++x) {
      for (std::size_t j = 0; j < count; ++j) blocks_[x * count + j] ^= seeds[x] ^ Block { position + j, 0 };
    }
    for (unsigned b = kDepth; b-- > 0;) {
      // Slots [0, 2^(b+1)) are left: those with bit b set are the upper half.
      const std::size_t half = (std::size_t{1} << b) * count;
      std::fill_n(bits[b], count, Block{});
      for (std::size_t i = 0; i < half; i += count) {
        for (std::size_t j = 0; j < count; ++j) {
          const Block upper = blocks_[half + i + j];
          bits[b][j] ^= upper;
          blocks_[i + j] ^= upper;
        }
      }
    }
    std::copy_n(blocks_.begin(), count, total);
  }

  const kernels::Kernel& kernel_;
  const kernels::AesKey& key_;
  std::vector<Block> blocks_;
};

/// Columns of bits to rows.
void rows_of(const std::vector<Block>& columns, std::size_t stride, std::size_t groups, Block* rows) {
  std::vector<std::uint8_t> packed(kBaseTransfers * groups * sizeof(Block));
  for (std::size_t c = 0; c < kBaseTransfers; ++c) {
    std::memcpy(packed.data() + c * groups * sizeof(Block), columns.data() + c * stride,
                groups * sizeof(Block));
  }
  const std::vector<Block> transposed = transpose(packed, groups * sizeof(Block));
  std::ranges::copy(transposed, rows);
  OPENSSL_cleanse(packed.data(), packed.size());
}

Block challenge(ByteView context, std::uint64_t position, ByteView corrections) {
  return Transcript("softspoken check").add(context).add(position).add(corrections).block();
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
  return ((kTrees - 1) * (groups + 1) + 1 + kBaseTransfers) * sizeof(Block);
}

}  // namespace softspoken

struct SoftSpokenReceiver::State {
  OfferedSeeds base;
  Bytes context;
  Rng& rng;
  const kernels::Kernel& kernel;
  std::unique_ptr<kernels::AesKey> key;
  std::vector<Leaves> seeds;
  std::uint64_t position = 0;

  ~State() {
    OPENSSL_cleanse(&base, sizeof base);
    OPENSSL_cleanse(seeds.data(), seeds.size() * sizeof(Leaves));
  }
};

SoftSpokenReceiver::SoftSpokenReceiver(const OfferedSeeds& base, ByteView context, Rng& rng,
                                       const kernels::Kernel& kernel)
    : state_(new State{base, Bytes(context.begin(), context.end()), rng, kernel, kernel.key(kTreeKey), {}}) {}

SoftSpokenReceiver::~SoftSpokenReceiver() = default;

void SoftSpokenReceiver::set_up(Bytes& out) {
  State& state = *state_;
  state.seeds.resize(kTrees);
  LeafKeys keys;
  Leaves nodes;
  for (std::size_t tree = 0; tree < kTrees; ++tree) {
    state.rng.fill({reinterpret_cast<std::uint8_t*>(nodes.data()), 2 * sizeof(Block)});
    for (unsigned level = 0; level < kDepth; ++level) {
      const std::size_t n = std::size_t{1} << level;
      if (level > 0) state.kernel.expand_level(*state.key, nodes.data(), n, false, false);
      for (std::size_t side = 0; side < 2; ++side) {
        Block sum = Transcript("softspoken level")
                        .add(state.context)
                        .add(tree)
                        .add(level)
                        .add(state.base.pairs[kDepth * tree + level][side])
                        .block();
        for (std::size_t i = 0; i < n; ++i) sum ^= nodes[side * n + i];
        put(out, &sum, sizeof sum);
      }
    }
    derive_leaves(nodes, state.context, tree, keys);
    const Sha256 sum = sum_of(keys.tags);
    const Sha256 digest = digest_of(keys.tags);
    put(out, sum.data(), sum.size());
    put(out, digest.data(), digest.size());
    state.seeds[tree] = keys.seeds;
  }
  OPENSSL_cleanse(&keys, sizeof keys);
  OPENSSL_cleanse(nodes.data(), sizeof nodes);
}

void SoftSpokenReceiver::extend(std::size_t groups, Block* rows, Bytes& out) {
  expect_groups(groups);
  State& state = *state_;
  const std::size_t stride = groups + 1;
  std::vector<Block> columns(kBaseTransfers * stride);
  std::vector<Block> totals(kTrees * stride);
  LeafStreams streams(state.kernel, *state.key);
  for (std::size_t tree = 0; tree < kTrees; ++tree) {
    streams.fold_columns(tree, state.seeds[tree], state.position, stride, columns,
                         totals.data() + tree * stride);
  }
  const std::size_t start = out.size();
  for (std::size_t tree = 1; tree < kTrees; ++tree) {
    for (std::size_t j = 0; j < stride; ++j) {
      const Block correction = totals[tree * stride + j] ^ totals[j];
      put(out, &correction, sizeof correction);
    }
  }
  const Block r = challenge(state.context, state.position, ByteView(out).subspan(start));
  const Block choices = state.kernel.polynomial({}, r, totals.data(), stride);
  put(out, &choices, sizeof choices);
  for (std::size_t c = 0; c < kBaseTransfers; ++c) {
    const Block column = state.kernel.polynomial({}, r, columns.data() + c * stride, stride);
    put(out, &column, sizeof column);
  }
  state.position += stride;
  rows_of(columns, stride, groups, rows);
  for (std::size_t i = 0; i < kBaseTransfers * groups; ++i) {
    const Block& word = totals[i / 128];
    const std::uint64_t choice = ((i % 128 < 64 ? word.low : word.high) >> (i % 64)) & 1U;
    rows[i].low = (rows[i].low & ~std::uint64_t{1}) | choice;
  }
  OPENSSL_cleanse(columns.data(), columns.size() * sizeof(Block));
  OPENSSL_cleanse(totals.data(), totals.size() * sizeof(Block));
}

struct SoftSpokenSender::State {
  ChosenSeeds base;
  Bytes context;
  const kernels::Kernel& kernel;
  std::unique_ptr<kernels::AesKey> key;
  Block delta;
  /// The leaf x of a tree in slot x ⊕ δ; slot 0, whose leaf is hidden, counts nowhere.
  std::vector<Leaves> seeds;
  std::uint64_t position = 0;

  std::uint64_t delta_bit(std::size_t i) const { return 1U - base.choices[i]; }
  ~State() {
    OPENSSL_cleanse(&base, sizeof base);
    OPENSSL_cleanse(&delta, sizeof delta);
    OPENSSL_cleanse(seeds.data(), seeds.size() * sizeof(Leaves));
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

void SoftSpokenSender::set_up(ByteView message) {
  State& state = *state_;
  state.seeds.resize(kTrees);
  LeafKeys keys;
  Leaves nodes;
  bool consistent = true;
  for (std::size_t tree = 0; tree < kTrees; ++tree) {
    ByteView part = message.subspan(tree * kTreeBytes, kTreeBytes);
    // Every node is touched at every level: no address says where the hidden one is.
    std::uint64_t hidden = 0;
    nodes.fill({});
    for (unsigned level = 0; level < kDepth; ++level) {
      const std::size_t n = std::size_t{1} << level;
      const std::size_t transfer = kDepth * tree + level;
      const std::uint64_t choice = state.base.choices[transfer];
      std::array<Block, 2> sums;
      std::memcpy(sums.data(), part.data() + level * sizeof sums, sizeof sums);
      Block sibling = Transcript("softspoken level")
                          .add(state.context)
                          .add(tree)
                          .add(level)
                          .add(state.base.seeds[transfer])
                          .block();
      sibling ^= masked(sums[0], choice - 1) ^ masked(sums[1], 0 - choice);
      if (level > 0) {
        state.kernel.expand_level(*state.key, nodes.data(), n, false, false);
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
    derive_leaves(nodes, state.context, tree, keys);
    part = part.subspan(kDepth * 2 * sizeof(Block));
    Sha256 missing;
    std::memcpy(missing.data(), part.data(), missing.size());
    for (std::size_t x = 0; x < kLeaves; ++x) {
      const auto known = static_cast<std::uint8_t>(~equal_mask(x, hidden));
      for (std::size_t i = 0; i < kTagBytes; ++i)
        missing[i] = static_cast<std::uint8_t>(missing[i] ^ (keys.tags[x][i] & known));
    }
    for (std::size_t x = 0; x < kLeaves; ++x) {
      const auto is_hidden = static_cast<std::uint8_t>(equal_mask(x, hidden));
      for (std::size_t i = 0; i < kTagBytes; ++i) {
        keys.tags[x][i] =
            static_cast<std::uint8_t>((keys.tags[x][i] & ~is_hidden) | (missing[i] & is_hidden));
      }
    }
    const Sha256 digest = digest_of(keys.tags);
    consistent = (CRYPTO_memcmp(digest.data(), part.data() + kTagBytes, kTagBytes) == 0) && consistent;
    // x → x ⊕ δ, one swap of halves for each bit.
    for (unsigned b = 0; b < kDepth; ++b) {
      const std::uint64_t swap = 0 - ((hidden >> b) & 1U);
      for (std::size_t x = 0; x < kLeaves; ++x) {
        const std::size_t partner = x ^ (std::size_t{1} << b);
        if (partner < x) continue;
        const Block difference = masked(keys.seeds[x] ^ keys.seeds[partner], swap);
        keys.seeds[x] ^= difference;
        keys.seeds[partner] ^= difference;
      }
    }
    state.seeds[tree] = keys.seeds;
  }
  OPENSSL_cleanse(&keys, sizeof keys);
  OPENSSL_cleanse(nodes.data(), sizeof nodes);
  if (!consistent) fail("a tree of the set-up");
}

void SoftSpokenSender::extend(std::size_t groups, ByteView message, Block* rows) {
  expect_groups(groups);
  State& state = *state_;
  const std::size_t stride = groups + 1;
  std::vector<Block> columns(kBaseTransfers * stride);
  std::vector<Block> total(stride);  // of no use here
  LeafStreams streams(state.kernel, *state.key);
  for (std::size_t tree = 0; tree < kTrees; ++tree) {
    streams.fold_columns(tree, state.seeds[tree], state.position, stride, columns, total.data());
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
  const Block r = challenge(state.context, state.position, message.first(correction_bytes));
  const ByteView checks = message.subspan(correction_bytes);
  Block choices;
  std::memcpy(&choices, checks.data(), sizeof choices);
  Block difference;
  for (std::size_t c = 0; c < kBaseTransfers; ++c) {
    Block expected;
    std::memcpy(&expected, checks.data() + (1 + c) * sizeof(Block), sizeof expected);
    const Block column = state.kernel.polynomial({}, r, columns.data() + c * stride, stride);
    const Block wrong = column ^ expected ^ masked(choices, 0 - state.delta_bit(c));
    difference.low |= wrong.low;
    difference.high |= wrong.high;
  }
  state.position += stride;
  rows_of(columns, stride, groups, rows);
  for (std::size_t i = 0; i < kBaseTransfers * groups; ++i) rows[i].low &= ~std::uint64_t{1};
  OPENSSL_cleanse(columns.data(), columns.size() * sizeof(Block));
  if ((difference.low | difference.high) != 0) fail("a correction");
}

}  // namespace popcorn::protocols::ot
