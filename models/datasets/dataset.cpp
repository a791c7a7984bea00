#include "models/datasets/dataset.h"

#include <algorithm>

#include "base/error.h"
#include "models/datasets/cifar.h"
#include "models/datasets/compressed_file.h"

namespace popcorn::datasets {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t kMaxFileBytes = std::size_t{1} << 30;
constexpr std::int64_t kMaxSide = 4096;

std::uint32_t big_endian(ByteView bytes, std::size_t at) {
  return (std::uint32_t{bytes[at]} << 24) | (std::uint32_t{bytes[at + 1]} << 16) |
         (std::uint32_t{bytes[at + 2]} << 8) | std::uint32_t{bytes[at + 3]};
}

[[noreturn]] void fail(const char* code, const fs::path& path, const std::string& problem) {
  throw InputError(code, path.string() + ": " + problem);
}

/// Header of an idx file of unsigned bytes: the sizes of its dimensions. The content follows it exactly.
std::vector<std::int64_t> idx_header(ByteView file, std::size_t dimensions, const fs::path& path) {
  const std::size_t header = 4 + 4 * dimensions;
  if (file.size() < header) fail("dataset.truncated", path, "too short for an idx header");
  const std::uint32_t expected = 0x800U | static_cast<std::uint32_t>(dimensions);
  if (big_endian(file, 0) != expected) {
    fail("dataset.magic", path,
         "not an idx file of unsigned bytes with " + std::to_string(dimensions) + " dimensions");
  }
  std::vector<std::int64_t> sizes;
  std::uint64_t total = 1;
  for (std::size_t k = 0; k < dimensions; ++k) {
    sizes.push_back(big_endian(file, 4 + 4 * k));
    if (sizes.back() < 1 || (k > 0 && sizes.back() > kMaxSide)) {
      fail("dataset.size", path, "dimension " + std::to_string(k) + " is " + std::to_string(sizes.back()));
    }
    total *= static_cast<std::uint64_t>(sizes.back());  // at most 2^32 · 2^12 · 2^12
  }
  if (total != file.size() - header) {
    fail("dataset.length", path,
         "holds " + std::to_string(file.size() - header) + " bytes after its header, expected " +
             std::to_string(total));
  }
  return sizes;
}

/// The set's folder: `folder` itself or the one named after the set inside it.
fs::path find_file(const fs::path& folder, const std::string& set, const std::string& file) {
  for (const fs::path& place : {folder / set, folder}) {
    for (const char* suffix : {".gz", ""}) {
      std::error_code ignored;
      if (fs::is_regular_file(place / (file + suffix), ignored)) return place / (file + suffix);
    }
  }
  throw IoError("dataset.missing",
                "no " + file + " (or .gz) in " + (folder / set).string() + " nor in " + folder.string());
}

}  // namespace

Dataset Dataset::first(std::size_t limit) const {
  const std::size_t kept = std::min(limit, count());
  const auto size = static_cast<std::size_t>(shape.size());
  return {shape,
          {pixels.begin(), pixels.begin() + static_cast<std::ptrdiff_t>(kept * size)},
          {classes.begin(), classes.begin() + static_cast<std::ptrdiff_t>(kept)}};
}

Dataset read_idx(const fs::path& images, const fs::path& labels) {
  const Bytes pictures = read_maybe_packed(images, kMaxFileBytes);
  const std::vector<std::int64_t> sizes = idx_header(pictures, 3, images);
  const Bytes classes = read_maybe_packed(labels, kMaxFileBytes);
  const std::int64_t count = idx_header(classes, 1, labels).front();
  if (count != sizes[0]) {
    fail("dataset.count", labels,
         "has " + std::to_string(count) + " labels for " + std::to_string(sizes[0]) + " pictures");
  }
  return {
      {1, sizes[1], sizes[2]}, {pictures.begin() + 16, pictures.end()}, {classes.begin() + 8, classes.end()}};
}

Dataset read_dataset(const std::string& name, const fs::path& folder, Split split) {
  if (name == "mnist") {
    const std::string prefix = split == Split::train ? "train" : "t10k";
    const fs::path images = find_file(folder, name, prefix + "-images-idx3-ubyte");  // the first to be missed
    const fs::path labels = find_file(folder, name, prefix + "-labels-idx1-ubyte");
    return read_idx(images, labels);
  }
  if (name == "cifar10") return read_cifar10(folder, split);
  throw UsageError("dataset.unknown", "unknown data set \"" + name + "\"; known: mnist, cifar10, folder");
}

}  // namespace popcorn::datasets
