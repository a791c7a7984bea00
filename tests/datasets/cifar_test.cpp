#include "models/datasets/cifar.h"

#include <catch2/catch.hpp>
#include <set>

#include "base/error.h"
#include "base/file.h"
#include "base/sha256.h"
#include "models/datasets/compressed_file.h"
#include "models/datasets/tar_archive.h"
#include "tests/support/data_folder.h"
#include "tests/support/seeded_rng.h"

using namespace popcorn;
using namespace popcorn::datasets;

namespace {

void put(Bytes& block, std::size_t at, const std::string& text) {
  std::copy(text.begin(), text.end(), block.begin() + static_cast<std::ptrdiff_t>(at));
}

std::string octal(std::uint64_t value, std::size_t digits) {
  std::string text(digits, '0');
  for (std::size_t k = digits; k-- > 0; value /= 8) text[k] = static_cast<char>('0' + value % 8);
  return text;
}

Bytes tar_member(const std::string& name, const Bytes& content, char type = '0') {
  Bytes block(512, 0);
  put(block, 0, name);
  put(block, 124, octal(content.size(), 11));
  block[156] = static_cast<std::uint8_t>(type);
  put(block, 257, "ustar");
  put(block, 148, "        ");
  std::uint64_t sum = 0;
  for (const std::uint8_t b : block) sum += b;
  put(block, 148, octal(sum, 6));
  block[154] = 0;
  block.insert(block.end(), content.begin(), content.end());
  block.resize((block.size() + 511) / 512 * 512);
  return block;
}

Bytes join(const std::vector<Bytes>& parts) {
  Bytes all;
  for (const Bytes& part : parts) all.insert(all.end(), part.begin(), part.end());
  return all;
}

const Bytes kEnd(1024, 0);

Bytes random_bytes(test::SeededRng& rng, std::size_t count) {
  Bytes bytes(count);
  rng.fill(bytes);
  return bytes;
}

}  // namespace

TEST_CASE("tar archives read back") {
  test::SeededRng rng(1);
  for (int round = 0; round < 20; ++round) {
    const Bytes a = random_bytes(rng, rng.below(2000)), b = random_bytes(rng, rng.below(600));
    const Bytes archive =
        join({tar_member("folder/", {}, '5'), tar_member("folder/a", a), tar_member("b", b), kEnd});
    const std::vector<TarMember> members = read_tar(archive, "archive");
    REQUIRE(members.size() == 2);
    CHECK(members[0].name == "folder/a");
    CHECK(Bytes(members[0].content.begin(), members[0].content.end()) == a);
    CHECK(Bytes(members[1].content.begin(), members[1].content.end()) == b);
  }
}

TEST_CASE("damaged tar archives are refused") {
  test::SeededRng rng(2);
  const Bytes good = join({tar_member("a", random_bytes(rng, 700)), kEnd});
  CHECK_NOTHROW(read_tar(good, "archive"));
  CHECK_THROWS_AS(read_tar({}, "archive"), InputError);
  for (std::size_t size :
       {std::size_t{1}, std::size_t{511}, std::size_t{512}, std::size_t{1000}, std::size_t{1536}}) {
    CHECK_THROWS_AS(read_tar(ByteView(good).first(size), "archive"), InputError);
  }
  Bytes huge = good;
  put(huge, 124, "77777777777");
  CHECK_THROWS_AS(read_tar(huge, "archive"), InputError);
  for (int round = 0; round < 300; ++round) {
    Bytes bad = good;
    bad[rng.below(512)] ^= static_cast<std::uint8_t>(1 + rng.below(255));
    try {
      read_tar(bad, "archive");
    } catch (const InputError&) {
    }
  }
}

TEST_CASE("binary records are checked") {
  test::SeededRng rng(3);
  Bytes records = random_bytes(rng, 2 * 3073);
  records[0] = 9;
  records[3073] = 0;
  const Dataset set = parse_cifar10(records, "file");
  CHECK(set.count() == 2);
  CHECK(set.classes == std::vector<std::uint16_t>{9, 0});
  CHECK(set.picture(1)[3071] == records.back());
  CHECK_THROWS_AS(parse_cifar10(ByteView(records).first(3072), "file"), InputError);
  CHECK_THROWS_AS(parse_cifar10({}, "file"), InputError);
  records[3073] = 10;
  CHECK_THROWS_AS(parse_cifar10(records, "file"), InputError);
}

TEST_CASE("pictures that are no JPEG, or no picture at all, are refused") {
  test::SeededRng rng(4);
  const Bytes noise = join({tar_member("x/test/00000_1.jpg", random_bytes(rng, 900)), kEnd});
  CHECK_THROWS_AS(parse_cifar10_archive(noise, Split::test, "file"), InputError);
  CHECK_THROWS_AS(parse_cifar10_archive(noise, Split::train, "file"), InputError);
  CHECK_THROWS_AS(parse_cifar10_archive(kEnd, Split::test, "file"), InputError);
}

TEST_CASE("the JPEG archive of the data folder agrees with its decoded records") {
  const auto archive = test::data_file("cifar10/cifar-10-jpeg.tar.xz");
  const auto decoded = test::data_file("cifar10/test_batch.bin.xz");
  if (!archive || !decoded) return;
  constexpr std::size_t kLimit = std::size_t{1} << 28;
  const Bytes tar = read_maybe_packed(*archive, kLimit);
  CHECK(read_tar(tar, "archive").size() >= 60000);
  const Dataset from_archive = parse_cifar10_archive(tar, Split::test, *archive);
  const Dataset records = parse_cifar10(read_maybe_packed(*decoded, kLimit), *decoded);
  REQUIRE(from_archive.count() == 10000);
  CHECK(from_archive.classes == records.classes);
  double difference = 0;
  for (std::size_t i = 0; i < records.pixels.size(); ++i) {
    difference +=
        std::abs(static_cast<double>(records.pixels[i]) - static_cast<double>(from_archive.pixels[i]));
  }
  CHECK(difference / static_cast<double>(records.pixels.size()) <
        1);  // grey levels: decoders differ a little
  CHECK_THROWS_AS(read_maybe_packed(*decoded, 1 << 20), InputError);
}
