#include "models/datasets/dataset.h"

#include <unistd.h>
#include <zlib.h>

#include <catch2/catch.hpp>

#include "base/error.h"
#include "base/file.h"
#include "models/datasets/compressed_file.h"
#include "tests/support/data_folder.h"
#include "tests/support/seeded_rng.h"

using namespace popcorn;
using namespace popcorn::datasets;

namespace {

class Folder {
 public:
  Folder()
      : path_(std::filesystem::temp_directory_path() / ("popcorn-dataset-" + std::to_string(::getpid()))) {
    std::filesystem::create_directories(path_);
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  std::filesystem::path write(const std::string& name, const Bytes& content) const {
    write_file(path_ / name, content);
    return path_ / name;
  }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

void big_endian(Bytes& out, std::uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8) out.push_back(static_cast<std::uint8_t>(value >> shift));
}

Bytes idx(std::uint32_t magic, const std::vector<std::uint32_t>& sizes, const Bytes& content) {
  Bytes file;
  big_endian(file, magic);
  for (const std::uint32_t s : sizes) big_endian(file, s);
  file.insert(file.end(), content.begin(), content.end());
  return file;
}

Bytes gzip(const Bytes& plain) {
  z_stream stream{};
  REQUIRE(deflateInit2(&stream, 6, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY) == Z_OK);
  Bytes packed(deflateBound(&stream, static_cast<uLong>(plain.size())) + 64);
  stream.next_in = const_cast<Bytef*>(plain.data());
  stream.avail_in = static_cast<uInt>(plain.size());
  stream.next_out = packed.data();
  stream.avail_out = static_cast<uInt>(packed.size());
  REQUIRE(deflate(&stream, Z_FINISH) == Z_STREAM_END);
  packed.resize(stream.total_out);
  deflateEnd(&stream);
  return packed;
}

Bytes random_bytes(test::SeededRng& rng, std::size_t count) {
  Bytes bytes(count);
  rng.fill(bytes);
  return bytes;
}

std::string code_of(const std::filesystem::path& images, const std::filesystem::path& labels) {
  try {
    read_idx(images, labels);
  } catch (const InputError& error) {
    CHECK(std::string(error.what()).find("popcorn-dataset") != std::string::npos);  // names the file
    return error.code();
  }
  return "none";
}

}  // namespace

TEST_CASE("idx files read back, packed or not") {
  test::SeededRng rng(1);
  const Folder folder;
  for (int round = 0; round < 10; ++round) {
    const auto count = static_cast<std::uint32_t>(rng.between(1, 20));
    const auto height = static_cast<std::uint32_t>(rng.between(1, 9)),
               width = static_cast<std::uint32_t>(rng.between(1, 9));
    const Bytes pixels = random_bytes(rng, count * height * width), classes = random_bytes(rng, count);
    const Bytes images = idx(0x803, {count, height, width}, pixels), labels = idx(0x801, {count}, classes);
    const Dataset plain = read_idx(folder.write("i", images), folder.write("l", labels));
    const Dataset packed = read_idx(folder.write("i", gzip(images)), folder.write("l", gzip(labels)));
    for (const Dataset* set : {&plain, &packed}) {
      CHECK(set->shape == models::Shape{1, height, width});
      CHECK(set->pixels == pixels);
      CHECK(std::equal(set->classes.begin(), set->classes.end(), classes.begin(), classes.end()));
    }
    const Dataset few = plain.first(3);
    CHECK(few.count() == std::min<std::size_t>(3, count));
    CHECK(few.pixels.size() == few.count() * height * width);
  }
}

TEST_CASE("damaged idx files are refused with their name") {
  test::SeededRng rng(2);
  const Folder folder;
  const Bytes images = idx(0x803, {4, 3, 2}, random_bytes(rng, 24)),
              labels = idx(0x801, {4}, random_bytes(rng, 4));
  const auto good_labels = folder.write("labels", labels);
  const auto with = [&](const Bytes& file) { return code_of(folder.write("images", file), good_labels); };
  CHECK(with(images) == "none");
  CHECK(with({}) == "dataset.truncated");
  CHECK(with(Bytes(images.begin(), images.begin() + 15)) == "dataset.truncated");
  CHECK(with(idx(0x801, {4, 3, 2}, random_bytes(rng, 24))) == "dataset.magic");
  CHECK(with(idx(0x803, {4, 0, 2}, {})) == "dataset.size");
  CHECK(with(idx(0x803, {4, 3, 0xffffffff}, random_bytes(rng, 24))) == "dataset.size");
  CHECK(with(idx(0x803, {0xffffffff, 3, 2}, random_bytes(rng, 24))) == "dataset.length");
  CHECK(with(idx(0x803, {4, 3, 2}, random_bytes(rng, 23))) == "dataset.length");
  CHECK(with(idx(0x803, {4, 3, 2}, random_bytes(rng, 25))) == "dataset.length");
  CHECK(with(idx(0x803, {5, 3, 2}, random_bytes(rng, 30))) == "dataset.count");
  const Bytes packed = gzip(images);
  CHECK(with(Bytes(packed.begin(), packed.end() - 9)) == "dataset.packed");
  Bytes flipped = packed;
  flipped[packed.size() - 6] ^= 0x40;  // the checksum
  CHECK(with(flipped) == "dataset.packed");
  Bytes longer = packed;
  longer.push_back(0);
  CHECK(with(longer) == "dataset.trailing_bytes");
}

TEST_CASE("a gzip file never unpacks to more than the limit") {
  const Folder folder;
  const auto path = folder.write("bomb", gzip(Bytes(1 << 20, 0)));
  CHECK(read_maybe_packed(path, 1 << 20).size() == 1 << 20);
  CHECK_THROWS_AS(read_maybe_packed(path, (1 << 20) - 1), InputError);
}

TEST_CASE("a data set is found in its own folder and in the one above") {
  test::SeededRng rng(3);
  const Folder folder;
  std::filesystem::create_directories(folder.path() / "mnist");
  folder.write("mnist/t10k-images-idx3-ubyte", idx(0x803, {2, 2, 2}, random_bytes(rng, 8)));
  folder.write("mnist/t10k-labels-idx1-ubyte.gz", gzip(idx(0x801, {2}, {7, 1})));
  CHECK(read_dataset("mnist", folder.path(), Split::test).classes == std::vector<std::uint16_t>{7, 1});
  CHECK(read_dataset("mnist", folder.path() / "mnist", Split::test).count() == 2);
  CHECK_THROWS_AS(read_dataset("mnist", folder.path(), Split::train), IoError);
  CHECK_THROWS_AS(read_dataset("no-such-set", folder.path(), Split::test), UsageError);
}

TEST_CASE("the MNIST files of the data folder") {
  const auto folder = test::data_file("mnist");
  if (!folder) return;
  const Dataset set = read_dataset("mnist", folder->parent_path(), Split::test);
  CHECK(set.count() == 10000);
  CHECK(set.shape == models::Shape{1, 28, 28});
  CHECK(std::vector<std::uint16_t>(set.classes.begin(), set.classes.begin() + 5) ==
        std::vector<std::uint16_t>{7, 2, 1, 0, 4});
}
