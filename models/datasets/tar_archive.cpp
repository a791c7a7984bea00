#include "models/datasets/tar_archive.h"

#include <algorithm>

#include "base/error.h"

namespace popcorn::datasets {

namespace {

constexpr std::size_t kBlock = 512;

[[noreturn]] void fail(const std::string& source, const std::string& problem) {
  throw InputError("dataset.tar", source + ": " + problem);
}

/// An octal number that ends with a blank or a zero byte.
std::uint64_t octal(ByteView field, const std::string& source) {
  std::uint64_t value = 0;
  bool digits = false;
  for (const std::uint8_t c : field) {
    if (c == ' ' && !digits) continue;
    if (c == 0 || c == ' ') break;
    if (c < '0' || c > '7') fail(source, "a number in the archive is not octal");
    value = value * 8 + (c - '0');
    digits = true;
  }
  return value;
}

std::string text(ByteView field) {
  const auto end = std::find(field.begin(), field.end(), std::uint8_t{0});
  return {field.begin(), end};
}

void check_sum(ByteView header, const std::string& source) {
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < kBlock; ++i) sum += i >= 148 && i < 156 ? ' ' : header[i];
  if (sum != octal(header.subspan(148, 8), source)) fail(source, "a header of the archive is damaged");
}

}  // namespace

std::vector<TarMember> read_tar(ByteView archive, const std::string& source) {
  std::vector<TarMember> members;
  for (std::size_t at = 0; at < archive.size();) {
    if (archive.size() - at < kBlock) fail(source, "the archive is cut short");
    const ByteView header = archive.subspan(at, kBlock);
    if (std::all_of(header.begin(), header.end(), [](std::uint8_t b) { return b == 0; })) return members;
    check_sum(header, source);
    const std::uint64_t size = octal(header.subspan(124, 12), source);
    at += kBlock;
    if (size > archive.size() - at) fail(source, "the archive is cut short");
    const std::uint8_t type = header[156];
    if (type == '0' || type == 0) members.push_back({text(header.first(100)), archive.subspan(at, size)});
    const std::uint64_t padded = (size + kBlock - 1) / kBlock * kBlock;
    at += static_cast<std::size_t>(std::min<std::uint64_t>(padded, archive.size() - at));
  }
  fail(source, "the archive has no end mark");
}

}  // namespace popcorn::datasets
