#include "protocols/ot/extension.h"

#include <openssl/crypto.h>

#include <algorithm>
#include <cstring>
#include <string>

#include "base/error.h"
#include "base/secret.h"
#include "protocols/ot/bit_matrix.h"
#include "protocols/ot/failed_check.h"
#include "protocols/ot/kernels/kernel.h"
#include "protocols/ot/transcript.h"

namespace popcorn::protocols::ot {

namespace {

constexpr unsigned kMessageBits = 2;
constexpr std::size_t kHashedTogether = 4096;  // blocks: 64 KiB, within the second-level cache

std::size_t column_bytes(std::size_t count) {
  return (count + 7) / 8;
}

void expect_length(ByteView section, std::size_t expected) {
  if (section.size() != expected) {
    throw InputError("ot.length", "an oblivious-transfer message has " + std::to_string(section.size()) +
                                      " bytes, " + std::to_string(expected) + " were expected");
  }
}

constexpr unsigned kPlanes = 4;  ///< bits of a choice
constexpr std::size_t kPoints = 2;
/// Blocks of random choices at the end of every column, one for each point.
constexpr std::size_t kMaskBlocks = kPoints;

using PointSums = std::array<std::array<Block, kPoints>, kPlanes>;
constexpr std::size_t kCheckBytes = sizeof(PointSums) + sizeof(Sha256);

/// Blocks of a column: streams are read in whole blocks, so that both sides stay at the same place whatever
/// `count` is.
std::size_t column_blocks(std::size_t count) {
  return (column_bytes(count) + sizeof(Block) - 1) / sizeof(Block) + kMaskBlocks;
}

std::span<std::uint8_t> bytes_of(std::span<Block> blocks) {
  return {reinterpret_cast<std::uint8_t*>(blocks.data()), blocks.size_bytes()};
}
ByteView bytes_of(std::span<const Block> blocks) {
  return {reinterpret_cast<const std::uint8_t*>(blocks.data()), blocks.size_bytes()};
}

Block masked(Block value, std::uint64_t mask) {
  return {value.low & mask, value.high & mask};
}

/// What both parties derive from u.
struct Challenge {
  std::array<Block, kPoints> points;
  Block binding;
};

Challenge challenge_of(ByteView nonce, std::uint64_t position, ByteView u) {
  const Sha256 digest = Transcript("extension check").add(nonce).add(position).add(u).digest();
  POPCORN_DECLASSIFY(digest);  // u is sent
  Challenge challenge;
  static_assert(sizeof challenge.points == sizeof digest);
  std::memcpy(challenge.points.data(), digest.data(), sizeof digest);
  challenge.binding = Transcript("extension pads").add(ByteView(digest)).block();
  return challenge;
}

/// Bit planes of the choices and, in the last blocks, of random ones.
std::vector<Block> choice_planes(std::span<const std::uint8_t> choices, std::size_t blocks,
                                 StreamGenerator mask) {
  std::vector<Block> planes(kPlanes * blocks);
  for (std::size_t j = 0; j < choices.size(); ++j) {
    for (unsigned bit = 0; bit < kPlanes; ++bit) {
      Block& block = planes[bit * blocks + j / 128];
      std::uint64_t& word = j % 128 < 64 ? block.low : block.high;
      word |= static_cast<std::uint64_t>((choices[j] >> bit) & 1U) << (j % 64);
    }
  }
  for (unsigned bit = 0; bit < kPlanes; ++bit) {
    mask.next(bytes_of(std::span(planes).subspan((bit + 1) * blocks - kMaskBlocks, kMaskBlocks)));
  }
  return planes;
}

/// Rows of the folded columns, without those of the random choices.
std::vector<Block> rows_of(std::vector<Block>& columns, std::size_t blocks, std::size_t count) {
  const std::size_t bytes = blocks * sizeof(Block);
  fold_columns(bytes_of(std::span(columns)), bytes);
  std::vector<Block> rows = transpose(bytes_of(std::span(columns).first(kRowBits * blocks)), bytes);
  OPENSSL_cleanse(columns.data(), columns.size() * sizeof(Block));
  OPENSSL_cleanse(rows.data() + count, (rows.size() - count) * sizeof(Block));
  rows.resize(count);
  return rows;
}

}  // namespace

ReceiverSeeds ReceiverSeeds::draw(Rng& rng) {
  ReceiverSeeds seeds;
  rng.fill({reinterpret_cast<std::uint8_t*>(&seeds.pairs), sizeof seeds.pairs});
  return seeds;
}

std::size_t correction_bytes(std::size_t count) {
  return kCodeBits * column_blocks(count) * sizeof(Block) + kCheckBytes;
}

std::size_t transfer_bytes(std::size_t count, unsigned choices) {
  return count * choices * kMessageBits / 8;
}

ExtensionReceiver::ExtensionReceiver(const ReceiverSeeds& seeds, ByteView nonce, ExtensionPosition position)
    : nonce_(nonce.begin(), nonce.end()), position_(position) {
  streams_.reserve(kCodeBits);
  for (const auto& pair : seeds.pairs) {
    streams_.push_back({StreamGenerator(derive_seed(pair[0], nonce), position.blocks),
                        StreamGenerator(derive_seed(pair[1], nonce), position.blocks)});
  }
  // From all seeds, half of which the sender does not have; so a request that is made again is the same.
  mask_seed_ = Transcript("extension mask")
                   .add({reinterpret_cast<const std::uint8_t*>(&seeds.pairs), sizeof seeds.pairs})
                   .add(nonce)
                   .block();
}

ExtensionReceiver::~ExtensionReceiver() {
  OPENSSL_cleanse(&mask_seed_, sizeof mask_seed_);
  OPENSSL_cleanse(rows_.data(), rows_.size() * sizeof(Block));
}

void ExtensionReceiver::request(std::span<const std::uint8_t> choices, Bytes& out) {
  const std::size_t blocks = column_blocks(choices.size());
  // A request reads three blocks of a column or more, and four for each plane's mask are its own.
  static_assert(kPlanes * kMaskBlocks <= 4 * (1 + kMaskBlocks));
  std::vector<Block> planes =
      choice_planes(choices, blocks, StreamGenerator(mask_seed_, 4 * position_.blocks));
  std::vector<Block> columns(kCodeBits * blocks);
  std::vector<Block> u(blocks);
  const std::size_t start = out.size();
  out.reserve(start + correction_bytes(choices.size()));
  for (std::size_t i = 0; i < kCodeBits; ++i) {
    const auto column = std::span(columns).subspan(i * blocks, blocks);
    streams_[i][0].next(bytes_of(column));
    streams_[i][1].next(bytes_of(std::span(u)));
    for (std::size_t b = 0; b < blocks; ++b) u[b] ^= column[b];
    for (unsigned k = 0; k < kPlanes; ++k) {
      if (((code_point(i) >> k) & 1U) == 0) continue;
      for (std::size_t b = 0; b < blocks; ++b) u[b] ^= planes[k * blocks + b];
    }
    const ByteView bytes = bytes_of(std::span<const Block>(u));
    out.insert(out.end(), bytes.begin(), bytes.end());
  }
  const Challenge challenge = challenge_of(nonce_, position_.transfers, ByteView(out).subspan(start));
  binding_ = challenge.binding;
  const kernels::Kernel& kernel = kernels::active();
  PointSums choice_sums;
  Transcript rows("extension rows");
  for (std::size_t p = 0; p < kPoints; ++p) {
    for (unsigned k = 0; k < kPlanes; ++k)
      choice_sums[k][p] = kernel.polynomial({}, challenge.points[p], planes.data() + k * blocks, blocks);
  }
  for (std::size_t i = 0; i < kCodeBits; ++i) {
    for (const Block point : challenge.points)
      rows.add(kernel.polynomial({}, point, columns.data() + i * blocks, blocks));
  }
  const auto* const sums = reinterpret_cast<const std::uint8_t*>(&choice_sums);
  out.insert(out.end(), sums, sums + sizeof choice_sums);
  const Sha256 digest = rows.digest();
  out.insert(out.end(), digest.begin(), digest.end());
  OPENSSL_cleanse(planes.data(), planes.size() * sizeof(Block));
  rows_ = rows_of(columns, blocks, choices.size());
  choices_.assign(choices.begin(), choices.end());
  blocks_ = blocks;
}

void ExtensionReceiver::receive(ByteView transfers, unsigned choices, std::span<std::uint8_t> messages) {
  expect_length(transfers, transfer_bytes(choices_.size(), choices));
  const unsigned bits_each = choices * kMessageBits;  // 8, 16 or 32
  std::vector<Block> pads;
  std::vector<Block> tweaks;
  for (std::size_t first = 0; first < choices_.size(); first += kHashedTogether) {
    const std::size_t count = std::min(kHashedTogether, choices_.size() - first);
    pads.assign(rows_.begin() + static_cast<std::ptrdiff_t>(first),
                rows_.begin() + static_cast<std::ptrdiff_t>(first + count));
    tweaks.resize(count);
    for (std::size_t j = 0; j < count; ++j)
      tweaks[j] = binding_ ^ Block { position_.transfers + first + j, 0 };
    hash_.hash(pads, tweaks);
    for (std::size_t j = 0; j < count; ++j) {
      std::uint32_t word = 0;
      std::memcpy(&word, transfers.data() + (first + j) * bits_each / 8, bits_each / 8);
      const unsigned masked = (word >> (kMessageBits * choices_[first + j])) & 3U;
      messages[first + j] = static_cast<std::uint8_t>(masked ^ (pads[j].low & 3U));
    }
  }
  position_.transfers += choices_.size();
  position_.blocks += blocks_;
}

ExtensionSender::ExtensionSender(const SenderSeeds& seeds, ByteView nonce, ExtensionPosition position)
    : nonce_(nonce.begin(), nonce.end()),
      choice_bits_(seeds.choices),
      differences_(folded_differences(seeds.choices)),
      position_(position) {
  streams_.reserve(kCodeBits);
  for (const Block& seed : seeds.chosen) streams_.emplace_back(derive_seed(seed, nonce), position.blocks);
}

ExtensionSender::~ExtensionSender() {
  OPENSSL_cleanse(choice_bits_.data(), choice_bits_.size());
  OPENSSL_cleanse(&differences_, sizeof differences_);
  OPENSSL_cleanse(rows_.data(), rows_.size() * sizeof(Block));
}

void ExtensionSender::take_request(ByteView correction, std::size_t count) {
  expect_length(correction, correction_bytes(count));
  const std::size_t blocks = column_blocks(count);
  const std::size_t bytes = blocks * sizeof(Block);
  const ByteView u = correction.first(kCodeBits * bytes);
  const ByteView check = correction.subspan(u.size());
  const Challenge challenge = challenge_of(nonce_, position_.transfers, u);
  binding_ = challenge.binding;
  PointSums choice_sums;
  std::memcpy(&choice_sums, check.data(), sizeof choice_sums);
  const kernels::Kernel& kernel = kernels::active();
  std::vector<Block> columns(kCodeBits * blocks);
  Transcript rows("extension rows");
  for (std::size_t i = 0; i < kCodeBits; ++i) {
    const auto column = std::span(columns).subspan(i * blocks, blocks);
    streams_[i].next(bytes_of(column));
    const std::uint64_t take = 0 - static_cast<std::uint64_t>(choice_bits_[i]);
    for (std::size_t b = 0; b < blocks; ++b) {
      Block block;
      std::memcpy(&block, u.data() + i * bytes + b * sizeof block, sizeof block);
      column[b] ^= masked(block, take);
    }
    for (std::size_t p = 0; p < kPoints; ++p) {
      Block codeword;
      for (unsigned k = 0; k < kPlanes; ++k) {
        if (((code_point(i) >> k) & 1U) != 0) codeword ^= choice_sums[k][p];
      }
      rows.add(kernel.polynomial({}, challenge.points[p], column.data(), blocks) ^ masked(codeword, take));
    }
  }
  position_.blocks += blocks;
  const Sha256 digest = rows.digest();
  const bool consistent = CRYPTO_memcmp(digest.data(), check.data() + sizeof choice_sums, digest.size()) == 0;
  POPCORN_DECLASSIFY(consistent);  // a receiver that made it false learns it, and session and set-up end
  rows_ = rows_of(columns, blocks, count);
  if (!consistent) {
    OPENSSL_cleanse(rows_.data(), rows_.size() * sizeof(Block));
    rows_.clear();
    throw FailedCheck("ot.check", "the corrections of a request are not made of codewords");
  }
}

void ExtensionSender::send(std::span<const std::uint8_t> messages, unsigned choices, Bytes& out) {
  const unsigned bits_each = choices * kMessageBits;
  const std::size_t together = kHashedTogether / choices;
  std::vector<Block> pads;
  std::vector<Block> tweaks;
  const std::size_t start = out.size();
  out.resize(start + transfer_bytes(rows_.size(), choices));
  for (std::size_t first = 0; first < rows_.size(); first += together) {
    const std::size_t count = std::min(together, rows_.size() - first);
    pads.resize(count * choices);
    tweaks.resize(count * choices);
    for (std::size_t j = 0; j < count; ++j) {
      for (unsigned v = 0; v < choices; ++v) {
        pads[j * choices + v] = rows_[first + j] ^ differences_[v];
        tweaks[j * choices + v] = binding_ ^ Block { position_.transfers + first + j, 0 };
      }
    }
    hash_.hash(pads, tweaks);
    for (std::size_t j = 0; j < count; ++j) {
      std::uint32_t word = 0;
      for (unsigned v = 0; v < choices; ++v) {
        const std::uint64_t masked = messages[(first + j) * choices + v] ^ (pads[j * choices + v].low & 3U);
        word |= static_cast<std::uint32_t>(masked) << (kMessageBits * v);
      }
      std::memcpy(out.data() + start + (first + j) * bits_each / 8, &word, bits_each / 8);
    }
  }
  position_.transfers += rows_.size();
}

}  // namespace popcorn::protocols::ot
