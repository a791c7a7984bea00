#include "protocols/ot/aes.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "base/sha256.h"

namespace popcorn::protocols::ot {

namespace {

struct FreeContext {
  void operator()(EVP_CIPHER_CTX* context) const noexcept { EVP_CIPHER_CTX_free(context); }
};
using CipherContext = std::unique_ptr<EVP_CIPHER_CTX, FreeContext>;

/// Public and fixed: the first 128 bits of the fractional part of π, so that nobody chose them.
constexpr std::array<std::uint8_t, 16> kFixedKey = {0x24, 0x3f, 0x6a, 0x88, 0x85, 0xa3, 0x08, 0xd3,
                                                    0x13, 0x19, 0x8a, 0x2e, 0x03, 0x70, 0x73, 0x44};

/// @param counter of the first block, for the counter mode
CipherContext make_context(const EVP_CIPHER* cipher, const std::uint8_t* key, std::uint64_t counter = 0) {
  CipherContext context(EVP_CIPHER_CTX_new());
  std::array<std::uint8_t, 16> start{};  // big-endian
  for (std::size_t i = 0; i < sizeof counter; ++i)
    start[15 - i] = static_cast<std::uint8_t>(counter >> (8 * i));
  if (context == nullptr || EVP_EncryptInit_ex(context.get(), cipher, nullptr, key, start.data()) != 1 ||
      EVP_CIPHER_CTX_set_padding(context.get(), 0) != 1) {
    throw Error("aes.unavailable", "OpenSSL could not set up AES-128");
  }
  return context;
}

void encrypt(EVP_CIPHER_CTX* context, std::uint8_t* out, const std::uint8_t* in, std::size_t count) {
  constexpr std::size_t kMaxRequest = std::size_t{1} << 30;  // EVP takes an int
  while (count > 0) {
    const std::size_t now = std::min(count, kMaxRequest);
    int written = 0;
    if (EVP_EncryptUpdate(context, out, &written, in, static_cast<int>(now)) != 1 ||
        written != static_cast<int>(now)) {
      throw Error("aes.failed", "OpenSSL could not encrypt with AES-128");
    }
    out += now;
    in += now;
    count -= now;
  }
}

}  // namespace

struct StreamGenerator::Context {
  CipherContext cipher;
};

StreamGenerator::StreamGenerator(Block seed, std::uint64_t position) : context_(std::make_unique<Context>()) {
  std::array<std::uint8_t, 16> key{};
  std::memcpy(key.data(), &seed, sizeof seed);
  context_->cipher = make_context(EVP_aes_128_ctr(), key.data(), position);
  OPENSSL_cleanse(key.data(), key.size());
}

StreamGenerator::~StreamGenerator() = default;
StreamGenerator::StreamGenerator(StreamGenerator&&) noexcept = default;
StreamGenerator& StreamGenerator::operator=(StreamGenerator&&) noexcept = default;

void StreamGenerator::next(std::span<std::uint8_t> out) {
  std::ranges::fill(out, 0);
  encrypt(context_->cipher.get(), out.data(), out.data(), out.size());
}

struct FixedKeyHash::Context {
  CipherContext cipher;
  std::vector<Block> images;
};

FixedKeyHash::FixedKeyHash() : context_(std::make_unique<Context>()) {
  context_->cipher = make_context(EVP_aes_128_ecb(), kFixedKey.data());
}

FixedKeyHash::~FixedKeyHash() = default;

void FixedKeyHash::permute(std::span<Block> blocks) {
  auto* const bytes = reinterpret_cast<std::uint8_t*>(blocks.data());
  encrypt(context_->cipher.get(), bytes, bytes, blocks.size_bytes());
}

void FixedKeyHash::hash(std::span<Block> blocks, std::span<const Block> tweaks) {
  permute(blocks);
  std::vector<Block>& images = context_->images;
  images.assign(blocks.begin(), blocks.end());
  for (std::size_t k = 0; k < blocks.size(); ++k) blocks[k] ^= tweaks[k];
  permute(blocks);
  for (std::size_t k = 0; k < blocks.size(); ++k) blocks[k] ^= images[k];
}

Block derive_seed(Block seed, std::span<const std::uint8_t> nonce) {
  Bytes input(sizeof seed + nonce.size());
  std::memcpy(input.data(), &seed, sizeof seed);
  std::ranges::copy(nonce, input.begin() + sizeof seed);
  Sha256 digest = sha256(input);
  Block derived;
  std::memcpy(&derived, digest.data(), sizeof derived);
  OPENSSL_cleanse(input.data(), input.size());
  OPENSSL_cleanse(digest.data(), digest.size());
  return derived;
}

}  // namespace popcorn::protocols::ot
