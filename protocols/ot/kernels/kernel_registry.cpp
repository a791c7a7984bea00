#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <vector>

#include "base/sha256.h"
#include "protocols/ot/kernels/kernel.h"

namespace popcorn::protocols::ot::kernels {

namespace {

/// SHA-256 of what known_answers() gives: of the portable kernel, whose parts have known answers of their own
/// in the tests.
constexpr Sha256 kKnownDigest = {0x07, 0x99, 0x84, 0xaf, 0xe8, 0x1a, 0xa5, 0xf9, 0x10, 0xba, 0x53,
                                 0xdb, 0x44, 0x23, 0xab, 0x53, 0x7b, 0x82, 0x15, 0x2a, 0x94, 0x8b,
                                 0x1a, 0xbb, 0xc5, 0x19, 0xe9, 0x49, 0xa8, 0x93, 0x50, 0xdc};

/// Every operation on a public stream of blocks, with counts that fill no vector.
Bytes known_answers(const Kernel& kernel) {
  constexpr std::size_t kCount = 71;
  constexpr std::size_t kOutputs = 96;
  constexpr std::uint32_t kMask = 63;
  const auto key = kernel.key({0x13198a2e03707344, 0x243f6a8885a308d3});
  std::vector<Block> input(kCount);
  kernel.stream(*key, 5, input.data(), input.size());
  std::vector<Block> blocks = input;
  kernel.encrypt(*key, blocks.data(), blocks.size());
  for (std::size_t n = 2; n <= 32; n *= 2) {
    for (const bool last : {false, true}) {
      std::vector<Block> nodes(2 * n);
      std::copy_n(input.begin(), n, nodes.begin());
      blocks.push_back(kernel.expand_level(*key, nodes.data(), n, last, last));
      blocks.insert(blocks.end(), nodes.begin(), nodes.end());
    }
  }
  std::vector<Block> coded(kOutputs, input[7]);
  kernel.encode(*key, 3, coded.data(), input.data(), kMask, kOutputs);
  blocks.insert(blocks.end(), coded.begin(), coded.end());
  blocks.push_back(kernel.polynomial(input[1], input[2], input.data(), input.size()));
  std::vector<std::uint32_t> words(kCount);
  kernel.pads(*key, input.data(), input[9], 1000, kCount, words.data());
  Bytes bytes(blocks.size() * sizeof(Block) + words.size() * sizeof(std::uint32_t));
  std::memcpy(bytes.data(), blocks.data(), blocks.size() * sizeof(Block));
  std::memcpy(bytes.data() + blocks.size() * sizeof(Block), words.data(),
              words.size() * sizeof(std::uint32_t));
  return bytes;
}

/// Also POPCORN_TRANSFER_KERNEL names one: vaes512, vaes256, aesni, portable. One that is not supported, or
/// gives other bytes than the others, is left out: the next one serves.
const Kernel& choose() {
  const char* variable = std::getenv("POPCORN_TRANSFER_KERNEL");
  if (variable == nullptr) variable = std::getenv("POPCORN_KERNEL");
  const std::string_view wanted = variable != nullptr ? variable : "";
  const auto serves = [](const Kernel* kernel) { return kernel->supported() && self_test(*kernel); };
  const auto named = std::ranges::find(all(), wanted, &Kernel::name);
  if (named != all().end() && serves(*named)) return **named;
  const auto first = std::ranges::find_if(all(), serves);
  return first != all().end() ? **first : portable();
}

}  // namespace

std::span<const Kernel* const> all() {
#if defined(POPCORN_HAVE_TRANSFER_KERNELS)
  static const std::array<const Kernel*, 4> kernels = {&vaes512(), &vaes256(), &aesni(), &portable()};
#else
  static const std::array<const Kernel*, 1> kernels = {&portable()};
#endif
  return kernels;
}

bool self_test(const Kernel& kernel) {
  return sha256(known_answers(kernel)) == kKnownDigest;
}

const Kernel& active() {
  static const Kernel& chosen = choose();
  return chosen;
}

}  // namespace popcorn::protocols::ot::kernels
