#include "tests/cli/random_test_set.h"

#include "base/file.h"
#include "tests/support/seeded_rng.h"

namespace popcorn::test {

void write_random_test_set(const TemporaryFolder& folder, std::size_t count) {
  SeededRng rng(count);
  const auto big_endian = [](Bytes& out, std::uint32_t value) {
    for (int shift = 24; shift >= 0; shift -= 8) out.push_back(static_cast<std::uint8_t>(value >> shift));
  };
  Bytes images = {0, 0, 8, 3};
  Bytes labels = {0, 0, 8, 1};
  for (const std::uint32_t length : {static_cast<std::uint32_t>(count), 28U, 28U}) big_endian(images, length);
  big_endian(labels, static_cast<std::uint32_t>(count));
  for (std::size_t i = 0; i < count * 784; ++i) images.push_back(static_cast<std::uint8_t>(rng.below(256)));
  for (std::size_t i = 0; i < count; ++i) labels.push_back(static_cast<std::uint8_t>(rng.below(10)));
  write_file(folder.path("t10k-images-idx3-ubyte"), images);
  write_file(folder.path("t10k-labels-idx1-ubyte"), labels);
}

}  // namespace popcorn::test
