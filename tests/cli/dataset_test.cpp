#include "cli/dataset.h"

#include <zlib.h>

#include <catch2/catch.hpp>
#include <string>

#include "base/error.h"
#include "base/file.h"
#include "tests/support/data_folder.h"
#include "tests/support/process.h"
#include "tests/support/seeded_rng.h"

namespace popcorn::cli {

namespace {

constexpr std::size_t kLargeEnough = std::size_t{1} << 20;

Bytes gzip(ByteView data) {
  z_stream stream{};
  REQUIRE(deflateInit2(&stream, Z_BEST_COMPRESSION, Z_DEFLATED, MAX_WBITS + 16, 9, Z_DEFAULT_STRATEGY) ==
          Z_OK);
  Bytes out(deflateBound(&stream, data.size()));
  stream.next_in = const_cast<Bytef*>(data.data());
  stream.avail_in = static_cast<uInt>(data.size());
  stream.next_out = out.data();
  stream.avail_out = static_cast<uInt>(out.size());
  REQUIRE(deflate(&stream, Z_FINISH) == Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

Bytes idx(const std::vector<std::uint32_t>& dimensions, std::size_t samples) {
  Bytes file = {0, 0, 8, static_cast<std::uint8_t>(dimensions.size())};
  for (const std::uint32_t length : dimensions) {
    for (int shift = 24; shift >= 0; shift -= 8) file.push_back(static_cast<std::uint8_t>(length >> shift));
  }
  for (std::size_t i = 0; i < samples; ++i) file.push_back(static_cast<std::uint8_t>(i));
  return file;
}

models::InputEncoding mnist_encoding() {
  models::InputEncoding encoding;
  encoding.shape = {1, 28, 28};
  encoding.offset = {0};
  return encoding;
}

}  // namespace

TEST_CASE("gunzip undoes gzip", "[cli]") {
  test::SeededRng rng(1);
  for (const std::size_t size : {0, 1, 65535, 65536, 300000}) {
    Bytes data(size);
    rng.fill(data);
    CHECK(gunzip(gzip(data), "x", kLargeEnough) == data);
  }
}

TEST_CASE("Damaged, cut and oversized gzip data is refused", "[cli]") {
  const Bytes packed = gzip(Bytes(200000, 7));
  for (std::size_t size = 0; size < packed.size(); ++size) {
    REQUIRE_THROWS_AS(gunzip(ByteView(packed).first(size), "x", kLargeEnough), InputError);
  }
  Bytes longer = packed;
  longer.push_back(0);
  CHECK_THROWS_AS(gunzip(longer, "x", kLargeEnough), InputError);
  CHECK_THROWS_AS(gunzip(packed, "x", 199999), InputError);
  CHECK(gunzip(packed, "x", 200000).size() == 200000);
  Bytes wrong_sum = packed;
  wrong_sum[wrong_sum.size() - 6] ^= 1;
  CHECK_THROWS_AS(gunzip(wrong_sum, "x", kLargeEnough), InputError);
}

TEST_CASE("An idx file gives its dimensions and samples", "[cli]") {
  const Bytes file = idx({2, 3, 4}, 24);
  const IdxArray array = parse_idx(file, "x");
  CHECK(array.dimensions == std::vector<std::size_t>{2, 3, 4});
  CHECK(array.samples.size() == 24);
  CHECK(array.samples[23] == 23);
}

TEST_CASE("Headers of idx files that do not fit the file are refused", "[cli]") {
  CHECK_THROWS_AS(parse_idx(idx({2, 3, 4}, 23), "x"), InputError);
  CHECK_THROWS_AS(parse_idx(idx({2, 3, 4}, 25), "x"), InputError);
  CHECK_THROWS_AS(parse_idx(idx({0, 3, 4}, 0), "x"), InputError);
  // 2^32 · 2^32 would wrap around to a small product.
  CHECK_THROWS_AS(parse_idx(idx({0xffffffff, 0xffffffff, 0xffffffff}, 10), "x"), InputError);
  CHECK_THROWS_AS(parse_idx(idx({1, 1, 1, 1}, 1), "x"), InputError);
  Bytes floats = idx({4}, 4);
  floats[2] = 0x0d;
  CHECK_THROWS_AS(parse_idx(floats, "x"), InputError);
  const Bytes whole = idx({2, 2}, 4);
  for (std::size_t size = 0; size < whole.size(); ++size) {
    REQUIRE_THROWS_AS(parse_idx(ByteView(whole).first(size), "x"), InputError);
  }
}

TEST_CASE("A test set is read plain or gzipped, from its folder or the one above, up to a limit", "[cli]") {
  const test::TemporaryFolder folder;
  std::filesystem::create_directory(folder.path("mnist"));
  write_file(folder.path("mnist/t10k-images-idx3-ubyte.gz"), gzip(idx({5, 28, 28}, 5 * 784)));
  write_file(folder.path("mnist/t10k-labels-idx1-ubyte"), idx({5}, 5));
  for (const std::string& path : {folder.path(""), folder.path("mnist")}) {
    const Dataset all = read_test_set(path, mnist_encoding(), 0);
    CHECK(all.images.size() == 5);
    CHECK(all.labels == std::vector<std::uint8_t>{0, 1, 2, 3, 4});
    CHECK(all.images[1].samples[0] == 784 % 256);
    CHECK(read_test_set(path, mnist_encoding(), 2).images.size() == 2);
  }
  write_file(folder.path("mnist/t10k-labels-idx1-ubyte"), idx({4}, 4));
  CHECK_THROWS_AS(read_test_set(folder.path(""), mnist_encoding(), 0), InputError);
}

TEST_CASE("Absent test sets and networks without one are told apart", "[cli]") {
  const test::TemporaryFolder folder;
  CHECK_THROWS_AS(read_test_set(folder.path(""), mnist_encoding(), 0), IoError);
  CHECK_THROWS_AS(read_test_set(folder.path("absent"), mnist_encoding(), 0), IoError);
  models::InputEncoding other = mnist_encoding();
  other.shape = {3, 224, 224};
  CHECK_THROWS_AS(read_test_set(folder.path(""), other, 0), InputError);
}

TEST_CASE("MNIST's test set has 10,000 images", "[cli]") {
  const auto images = test::data_file("mnist/t10k-images-idx3-ubyte.gz");
  if (!images) return;
  const Dataset data = read_test_set(images->parent_path(), mnist_encoding(), 0);
  CHECK(data.images.size() == 10000);
  CHECK(data.labels.size() == 10000);
  CHECK(data.labels[0] == 7);
}

}  // namespace popcorn::cli
