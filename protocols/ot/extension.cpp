#include "protocols/ot/extension.h"

#include <openssl/crypto.h>

#include <algorithm>
#include <cstring>
#include <string>

#include "base/error.h"
#include "protocols/ot/bit_matrix.h"

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

/// Streams are read in whole blocks, so that both sides stay at the same place whatever `count` is.
void next_column(StreamGenerator& stream, std::span<std::uint8_t> block_padded) {
  stream.next(block_padded);
}

std::size_t padded(std::size_t bytes) {
  return (bytes + sizeof(Block) - 1) / sizeof(Block) * sizeof(Block);
}

/// Columns of the codewords of all choices, one for each of the 16 points.
std::vector<std::uint8_t> code_columns(std::span<const std::uint8_t> choices, std::size_t bytes) {
  std::vector<std::uint8_t> planes(4 * bytes);
  for (std::size_t j = 0; j < choices.size(); ++j) {
    for (unsigned bit = 0; bit < 4; ++bit) {
      planes[bit * bytes + j / 8] |= static_cast<std::uint8_t>(((choices[j] >> bit) & 1U) << (j % 8));
    }
  }
  std::vector<std::uint8_t> columns(16 * bytes);
  for (unsigned point = 0; point < 16; ++point) {
    for (unsigned bit = 0; bit < 4; ++bit) {
      if (((point >> bit) & 1U) == 0) continue;
      for (std::size_t byte = 0; byte < bytes; ++byte)
        columns[point * bytes + byte] ^= planes[bit * bytes + byte];
    }
  }
  OPENSSL_cleanse(planes.data(), planes.size());
  return columns;
}

}  // namespace

ReceiverSeeds ReceiverSeeds::draw(Rng& rng) {
  ReceiverSeeds seeds;
  rng.fill({reinterpret_cast<std::uint8_t*>(&seeds.pairs), sizeof seeds.pairs});
  return seeds;
}

std::size_t correction_bytes(std::size_t count) {
  return kCodeBits * column_bytes(count);
}

std::size_t transfer_bytes(std::size_t count, unsigned choices) {
  return count * choices * kMessageBits / 8;
}

ExtensionReceiver::ExtensionReceiver(const ReceiverSeeds& seeds, ByteView nonce, ExtensionPosition position)
    : position_(position) {
  streams_.reserve(kCodeBits);
  for (const auto& pair : seeds.pairs) {
    streams_.push_back({StreamGenerator(derive_seed(pair[0], nonce), position.blocks),
                        StreamGenerator(derive_seed(pair[1], nonce), position.blocks)});
  }
}

void ExtensionReceiver::request(std::span<const std::uint8_t> choices, Bytes& out) {
  const std::size_t bytes = column_bytes(choices.size());
  const std::vector<std::uint8_t> code = code_columns(choices, bytes);
  std::vector<std::uint8_t> columns(kCodeBits * bytes);
  std::vector<std::uint8_t> zero(padded(bytes));
  std::vector<std::uint8_t> one(padded(bytes));
  const std::size_t start = out.size();
  out.resize(start + kCodeBits * bytes);
  for (std::size_t i = 0; i < kCodeBits; ++i) {
    next_column(streams_[i][0], zero);
    next_column(streams_[i][1], one);
    std::copy_n(zero.begin(), bytes, columns.begin() + static_cast<std::ptrdiff_t>(i * bytes));
    const std::uint8_t* const codeword = code.data() + code_point(i) * bytes;
    std::uint8_t* const u = out.data() + start + i * bytes;
    for (std::size_t byte = 0; byte < bytes; ++byte) {
      u[byte] = static_cast<std::uint8_t>(zero[byte] ^ one[byte] ^ codeword[byte]);
    }
  }
  fold_columns(columns, bytes);
  rows_ = transpose(std::span(columns).first(kRowBits * bytes), bytes);
  choices_.assign(choices.begin(), choices.end());
  blocks_ = zero.size() / sizeof(Block);
}

void ExtensionReceiver::receive(ByteView transfers, unsigned choices, std::span<std::uint8_t> messages) {
  expect_length(transfers, transfer_bytes(choices_.size(), choices));
  const unsigned bits_each = choices * kMessageBits;  // 8, 16 or 32
  std::vector<Block> pads;
  std::vector<std::uint64_t> tweaks;
  for (std::size_t first = 0; first < choices_.size(); first += kHashedTogether) {
    const std::size_t count = std::min(kHashedTogether, choices_.size() - first);
    pads.assign(rows_.begin() + static_cast<std::ptrdiff_t>(first),
                rows_.begin() + static_cast<std::ptrdiff_t>(first + count));
    tweaks.resize(count);
    for (std::size_t j = 0; j < count; ++j) tweaks[j] = position_.transfers + first + j;
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
    : choice_bits_(seeds.choices), differences_(folded_differences(seeds.choices)), position_(position) {
  streams_.reserve(kCodeBits);
  for (const Block& seed : seeds.chosen) streams_.emplace_back(derive_seed(seed, nonce), position.blocks);
}

void ExtensionSender::take_request(ByteView correction, std::size_t count) {
  expect_length(correction, correction_bytes(count));
  const std::size_t bytes = column_bytes(count);
  std::vector<std::uint8_t> columns(kCodeBits * bytes);
  std::vector<std::uint8_t> stream(padded(bytes));
  for (std::size_t i = 0; i < kCodeBits; ++i) {
    next_column(streams_[i], stream);
    const auto take = static_cast<std::uint8_t>(0 - choice_bits_[i]);
    const std::uint8_t* const u = correction.data() + i * bytes;
    std::uint8_t* const q = columns.data() + i * bytes;
    for (std::size_t byte = 0; byte < bytes; ++byte)
      q[byte] = static_cast<std::uint8_t>(stream[byte] ^ (u[byte] & take));
  }
  position_.blocks += stream.size() / sizeof(Block);
  fold_columns(columns, bytes);
  rows_ = transpose(std::span(columns).first(kRowBits * bytes), bytes);
  rows_.resize(count);
}

void ExtensionSender::send(std::span<const std::uint8_t> messages, unsigned choices, Bytes& out) {
  const unsigned bits_each = choices * kMessageBits;
  const std::size_t together = kHashedTogether / choices;
  std::vector<Block> pads;
  std::vector<std::uint64_t> tweaks;
  const std::size_t start = out.size();
  out.resize(start + transfer_bytes(rows_.size(), choices));
  for (std::size_t first = 0; first < rows_.size(); first += together) {
    const std::size_t count = std::min(together, rows_.size() - first);
    pads.resize(count * choices);
    tweaks.resize(count * choices);
    for (std::size_t j = 0; j < count; ++j) {
      for (unsigned v = 0; v < choices; ++v) {
        pads[j * choices + v] = rows_[first + j] ^ differences_[v];
        tweaks[j * choices + v] = position_.transfers + first + j;
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
