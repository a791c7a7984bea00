#include "models/datasets/cifar.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "base/error.h"
#include "models/datasets/compressed_file.h"
#include "models/datasets/image_reading.h"
#include "models/datasets/tar_archive.h"

namespace popcorn::datasets {

namespace fs = std::filesystem;

namespace {

const models::Shape kShape{3, 32, 32};
constexpr std::size_t kPixels = 3072;
constexpr std::size_t kRecord = 1 + kPixels;
constexpr std::uint8_t kClasses = 10;
constexpr std::size_t kMaxBytes = std::size_t{1} << 29;

std::optional<fs::path> find(const fs::path& folder, const std::string& name) {
  for (const fs::path& place : {folder / "cifar10", folder}) {
    for (const char* suffix : {"", ".xz", ".gz"}) {
      std::error_code ignored;
      if (fs::is_regular_file(place / (name + suffix), ignored)) return place / (name + suffix);
    }
  }
  return std::nullopt;
}

void append(Dataset& to, const Dataset& from) {
  to.shape = from.shape;
  to.pixels.insert(to.pixels.end(), from.pixels.begin(), from.pixels.end());
  to.classes.insert(to.classes.end(), from.classes.begin(), from.classes.end());
}

/// "cifar-10-jpeg/test/00017_3.jpg" → 17 and 3 when it is of this split.
struct PictureName {
  unsigned number = 0;
  std::uint8_t label = 0;
};

std::optional<PictureName> parse_name(const std::string& name, Split split) {
  const fs::path path(name);
  if (path.extension() != ".jpg" ||
      path.parent_path().filename() != (split == Split::train ? "train" : "test")) {
    return std::nullopt;
  }
  const std::string stem = path.stem().string();
  const std::size_t line = stem.find('_');
  PictureName result;
  const char* begin = stem.data();
  if (line == std::string::npos || line + 2 != stem.size() || stem.back() < '0' || stem.back() > '9')
    return std::nullopt;
  const auto parsed = std::from_chars(begin, begin + line, result.number);
  if (parsed.ec != std::errc{} || parsed.ptr != begin + line) return std::nullopt;
  result.label = static_cast<std::uint8_t>(stem.back() - '0');
  return result;
}

std::vector<std::uint8_t> decode_record(ByteView file, const std::string& name) {
  const models::Image image = decode_image(file, name);
  if (image.width != kShape.width || image.height != kShape.height || image.channels != kShape.channels)
    throw InputError("dataset.jpeg", name + ": not a colour picture of 32×32");
  return planar(image);
}

}  // namespace

Dataset parse_cifar10(ByteView records, const fs::path& file) {
  if (records.empty() || records.size() % kRecord != 0) {
    throw InputError("dataset.length", file.string() + ": " + std::to_string(records.size()) +
                                           " bytes are no whole number of records of " +
                                           std::to_string(kRecord));
  }
  Dataset set;
  set.shape = kShape;
  for (std::size_t at = 0; at < records.size(); at += kRecord) {
    if (records[at] >= kClasses) {
      throw InputError("dataset.label", file.string() + ": record " + std::to_string(at / kRecord) +
                                            " has class " + std::to_string(records[at]) +
                                            ", at most 9 is expected");
    }
    set.classes.push_back(records[at]);
    const ByteView pixels = records.subspan(at + 1, kPixels);
    set.pixels.insert(set.pixels.end(), pixels.begin(), pixels.end());
  }
  return set;
}

Dataset parse_cifar10_archive(ByteView tar, Split split, const fs::path& file) {
  std::vector<std::pair<PictureName, TarMember>> pictures;
  for (const TarMember& member : read_tar(tar, file.string())) {
    if (const std::optional<PictureName> name = parse_name(member.name, split))
      pictures.emplace_back(*name, member);
  }
  if (pictures.empty()) throw InputError("dataset.empty", file.string() + ": no pictures of this split");
  std::sort(pictures.begin(), pictures.end(),
            [](const auto& a, const auto& b) { return a.first.number < b.first.number; });
  Dataset set;
  set.shape = kShape;
  for (const auto& [name, member] : pictures) {
    const std::vector<std::uint8_t> pixels =
        decode_record(member.content, file.string() + ": " + member.name);
    set.pixels.insert(set.pixels.end(), pixels.begin(), pixels.end());
    set.classes.push_back(name.label);
  }
  return set;
}

Dataset read_cifar10(const fs::path& folder, Split split) {
  std::vector<fs::path> parts;
  const int count = split == Split::train ? 5 : 1;
  for (int k = 1; k <= count; ++k) {
    const std::string name =
        split == Split::train ? "data_batch_" + std::to_string(k) : std::string("test_batch");
    if (const auto path = find(folder, name + ".bin")) parts.push_back(*path);
  }
  if (parts.size() == static_cast<std::size_t>(count)) {
    Dataset set;
    for (const fs::path& path : parts) append(set, parse_cifar10(read_maybe_packed(path, kMaxBytes), path));
    return set;
  }
  const auto archive = find(folder, "cifar-10-jpeg.tar");
  if (!archive) {
    throw IoError(
        "dataset.missing",
        "neither the binary files of CIFAR-10 nor cifar-10-jpeg.tar (packed or not) in " + folder.string());
  }
  return parse_cifar10_archive(read_maybe_packed(*archive, kMaxBytes), split, *archive);
}

}  // namespace popcorn::datasets
