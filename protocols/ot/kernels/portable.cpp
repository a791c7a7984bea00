// AES by OpenSSL, which brings a constant-time one for every processor; the rest in plain C++.
#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

#include "base/error.h"
#include "protocols/ot/kernels/kernel.h"

namespace popcorn::protocols::ot::kernels {

namespace {

constexpr std::size_t kTogether = 512;  // blocks, 8 KiB

class PortableKey final : public AesKey {
 public:
  explicit PortableKey(Block key) : context_(EVP_CIPHER_CTX_new()) {
    std::array<std::uint8_t, sizeof key> bytes;
    std::memcpy(bytes.data(), &key, sizeof key);
    const bool ready = context_ != nullptr &&
                       EVP_EncryptInit_ex(context_, EVP_aes_128_ecb(), nullptr, bytes.data(), nullptr) == 1 &&
                       EVP_CIPHER_CTX_set_padding(context_, 0) == 1;
    OPENSSL_cleanse(bytes.data(), bytes.size());
    if (!ready) {
      EVP_CIPHER_CTX_free(context_);
      throw Error("aes.unavailable", "OpenSSL could not set up AES-128");
    }
  }
  ~PortableKey() override { EVP_CIPHER_CTX_free(context_); }

  void encrypt(Block* blocks, std::size_t count) const {
    while (count > 0) {
      const std::size_t now = std::min<std::size_t>(count, std::size_t{1} << 20);
      auto* const bytes = reinterpret_cast<unsigned char*>(blocks);
      int written = 0;
      if (EVP_EncryptUpdate(context_, bytes, &written, bytes, static_cast<int>(now * sizeof(Block))) != 1) {
        throw Error("aes.failed", "OpenSSL could not encrypt with AES-128");
      }
      blocks += now;
      count -= now;
    }
  }

 private:
  EVP_CIPHER_CTX* context_;
};

void run(const AesKey& key, Block* blocks, std::size_t count) {
  static_cast<const PortableKey&>(key).encrypt(blocks, count);
}

Block sigma(Block x) {
  return {x.high, x.high ^ x.low};
}

class Portable final : public Kernel {
 public:
  std::string_view name() const noexcept override { return "portable"; }
  bool supported() const noexcept override { return true; }

  std::unique_ptr<AesKey> key(Block key) const override { return std::make_unique<PortableKey>(key); }

  void encrypt(const AesKey& key, Block* blocks, std::size_t count) const override {
    run(key, blocks, count);
  }

  void stream(const AesKey& key, std::uint64_t counter, Block* out, std::size_t count) const override {
    for (std::size_t i = 0; i < count; ++i) out[i] = {counter + i, 0};
    run(key, out, count);
  }

  Block expand_level(const AesKey& key, Block* nodes, std::size_t n, bool right_sum,
                     bool last) const override {
    const std::uint64_t keep = last ? ~std::uint64_t{1} : ~std::uint64_t{0};
    std::array<Block, kTogether> hashed;
    Block left_sum;
    Block both_sum;
    for (std::size_t first = 0; first < n; first += kTogether) {
      const std::size_t count = std::min(kTogether, n - first);
      for (std::size_t i = 0; i < count; ++i) hashed[i] = sigma(nodes[first + i]);
      run(key, hashed.data(), count);
      for (std::size_t i = 0; i < count; ++i) {
        const Block parent = nodes[first + i];
        Block left = hashed[i] ^ sigma(parent);
        Block right = parent ^ left;
        left.low &= keep;
        right.low &= keep;
        nodes[first + i] = left;
        nodes[n + first + i] = right;
        left_sum ^= left;
        both_sum ^= left ^ right;
      }
    }
    const std::uint64_t side = 0 - static_cast<std::uint64_t>(right_sum);
    return left_sum ^ Block { both_sum.low &side, both_sum.high &side };
  }

  void encode(const AesKey& key, std::uint64_t counter, Block* out, const Block* secret, std::uint32_t mask,
              std::size_t count) const override {
    constexpr std::size_t kOutputs = 32;
    constexpr std::size_t kPlaces = 10;
    constexpr std::size_t kBlocks = kOutputs * kPlaces / 4;
    std::array<Block, kBlocks> drawn;
    std::array<std::uint32_t, kOutputs * kPlaces> places;
    for (std::size_t first = 0; first < count; first += kOutputs, counter += kBlocks) {
      stream(key, counter, drawn.data(), kBlocks);
      std::memcpy(places.data(), drawn.data(), sizeof places);
      for (std::size_t i = 0; i < kOutputs; ++i) {
        Block sum = out[first + i];
        for (std::size_t j = 0; j < kPlaces; ++j) sum ^= secret[places[kPlaces * i + j] & mask];
        out[first + i] = sum;
      }
    }
  }

  void pads(const AesKey& key, const Block* rows, Block offset, std::uint64_t first, std::size_t count,
            std::uint32_t* out) const override {
    std::array<Block, kTogether> once;
    std::array<Block, kTogether> twice;
    for (std::size_t at = 0; at < count; at += kTogether) {
      const std::size_t now = std::min(kTogether, count - at);
      for (std::size_t i = 0; i < now; ++i) once[i] = rows[at + i] ^ offset;
      run(key, once.data(), now);
      for (std::size_t i = 0; i < now; ++i) twice[i] = once[i] ^ Block { first + at + i, 0 };
      run(key, twice.data(), now);
      for (std::size_t i = 0; i < now; ++i)
        out[at + i] = static_cast<std::uint32_t>(twice[i].low ^ once[i].low);
    }
    OPENSSL_cleanse(once.data(), sizeof once);
    OPENSSL_cleanse(twice.data(), sizeof twice);
  }

  Block polynomial(Block state, Block r, const Block* blocks, std::size_t count) const override {
    for (std::size_t i = 0; i < count; ++i) state = gf_multiply(state ^ blocks[i], r);
    return state;
  }
};

}  // namespace

Block gf_multiply(Block a, Block b) noexcept {
  // Nibbles of the public b select multiples of a, from the top.
  std::array<Block, 16> multiples;
  const auto doubled = [](Block x) {
    const std::uint64_t carry = 0 - (x.high >> 63);
    return Block{(x.low << 1) ^ (carry & 0x87), (x.high << 1) | (x.low >> 63)};
  };
  multiples[0] = {};
  multiples[1] = a;
  for (std::size_t i = 2; i < 16; i += 2) {
    multiples[i] = doubled(multiples[i / 2]);
    multiples[i + 1] = multiples[i] ^ a;
  }
  Block product;
  for (int nibble = 31; nibble >= 0; --nibble) {
    const std::uint64_t top = product.high >> 60;
    // x^128 = x^7 + x^2 + x + 1
    const std::uint64_t folded = top ^ (top << 1) ^ (top << 2) ^ (top << 7);
    product = {(product.low << 4) ^ folded, (product.high << 4) | (product.low >> 60)};
    const std::uint64_t word = nibble < 16 ? b.low : b.high;
    product ^= multiples[(word >> (4 * (nibble % 16))) & 15U];
  }
  return product;
}

const Kernel& portable() {
  static const Portable kernel;
  return kernel;
}

}  // namespace popcorn::protocols::ot::kernels
