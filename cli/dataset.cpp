#include "cli/dataset.h"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <limits>

#include "base/error.h"
#include "base/file.h"

namespace popcorn::cli {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t kMaxIdxBytes = std::size_t{256} << 20;
constexpr std::size_t kMaxIdxDimensions = 3;
constexpr std::int64_t kMnistSide = 28;

/// Ends inflation on every path.
class Inflater {
 public:
  explicit Inflater(ByteView input) {
    stream_.next_in = const_cast<Bytef*>(input.data());  // zlib's interface predates const; it only reads
    stream_.avail_in = static_cast<uInt>(input.size());
    constexpr int kGzipOnly = 16;
    ok_ = inflateInit2(&stream_, MAX_WBITS + kGzipOnly) == Z_OK;
  }
  ~Inflater() {
    if (ok_) inflateEnd(&stream_);
  }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;

  bool ok() const noexcept { return ok_; }
  z_stream& stream() noexcept { return stream_; }

 private:
  z_stream stream_{};
  bool ok_ = false;
};

/// Contents of the plain file, or of NAME.gz. @throws IoError that names both
Bytes read_idx_file(const fs::path& plain) {
  std::error_code ignored;
  if (fs::exists(plain, ignored)) return read_file(plain, kMaxIdxBytes);
  const fs::path packed = plain.string() + ".gz";
  if (fs::exists(packed, ignored))
    return gunzip(read_file(packed, kMaxIdxBytes), packed.string(), kMaxIdxBytes);
  throw IoError("data.not_found",
                "neither " + plain.string() + " nor " + packed.string() +
                    " is there; the folder should hold MNIST's idx files or a subfolder mnist/");
}

Dataset read_mnist_test_set(const fs::path& folder, std::size_t limit) {
  const fs::path images_path = folder / "t10k-images-idx3-ubyte";
  const fs::path labels_path = folder / "t10k-labels-idx1-ubyte";
  const Bytes images_file = read_idx_file(images_path);
  const Bytes labels_file = read_idx_file(labels_path);
  const IdxArray images = parse_idx(images_file, images_path.string());
  const IdxArray labels = parse_idx(labels_file, labels_path.string());
  if (images.dimensions.size() != 3 || images.dimensions[1] != kMnistSide ||
      images.dimensions[2] != kMnistSide) {
    throw InputError("data.idx", images_path.string() + ": images of 28x28 pixels were expected");
  }
  if (labels.dimensions.size() != 1 || labels.dimensions[0] != images.dimensions[0]) {
    throw InputError("data.idx", labels_path.string() + ": " + std::to_string(images.dimensions[0]) +
                                     " labels were expected, one an image");
  }
  Dataset set;
  set.name = "mnist";
  const std::size_t count = limit == 0 ? images.dimensions[0] : std::min(limit, images.dimensions[0]);
  constexpr std::size_t kPixels = kMnistSide * kMnistSide;
  for (std::size_t i = 0; i < count; ++i) {
    const ByteView pixels = images.samples.subspan(i * kPixels, kPixels);
    set.images.push_back({kMnistSide, kMnistSide, 1, {pixels.begin(), pixels.end()}});
  }
  set.labels.assign(labels.samples.begin(), labels.samples.begin() + static_cast<std::ptrdiff_t>(count));
  return set;
}

}  // namespace

Bytes gunzip(ByteView file, const std::string& name, std::size_t max_bytes) {
  if (file.size() > std::numeric_limits<uInt>::max())
    throw InputError("data.gzip", name + ": the file is too large");
  Inflater inflater(file);
  if (!inflater.ok()) throw Error("data.zlib", "zlib could not be started");
  Bytes out;
  std::array<std::uint8_t, 1 << 16> buffer;
  int state = Z_OK;
  while (state != Z_STREAM_END) {
    inflater.stream().next_out = buffer.data();
    inflater.stream().avail_out = static_cast<uInt>(buffer.size());
    state = inflate(&inflater.stream(), Z_NO_FLUSH);
    if (state != Z_OK && state != Z_STREAM_END) {
      throw InputError("data.gzip", name + ": the gzip data is damaged or ends early");
    }
    const std::size_t got = buffer.size() - inflater.stream().avail_out;
    if (got > max_bytes - out.size()) {
      throw InputError("data.gzip",
                       name + ": unpacks to more than " + std::to_string(max_bytes >> 20) + " MiB");
    }
    out.insert(out.end(), buffer.begin(), buffer.begin() + static_cast<std::ptrdiff_t>(got));
  }
  if (inflater.stream().avail_in != 0)
    throw InputError("data.gzip", name + ": goes on after the end of its data");
  return out;
}

IdxArray parse_idx(ByteView file, const std::string& name) {
  // Two zero bytes, the type (8 = unsigned byte), the number of dimensions, then each dimension, big-endian.
  constexpr std::uint8_t kUnsignedByte = 8;
  if (file.size() < 4 || file[0] != 0 || file[1] != 0 || file[2] != kUnsignedByte || file[3] < 1 ||
      file[3] > kMaxIdxDimensions) {
    throw InputError("data.idx", name + ": not an idx file of unsigned bytes");
  }
  const std::size_t dimensions = file[3];
  const std::size_t header = 4 + 4 * dimensions;
  if (file.size() < header) throw InputError("data.idx", name + ": the header ends early");
  IdxArray array;
  array.samples = file.subspan(header);
  std::size_t expected = 1;
  for (std::size_t d = 0; d < dimensions; ++d) {
    const ByteView bytes = file.subspan(4 + 4 * d, 4);
    const std::size_t length = std::size_t{bytes[0]} << 24 | std::size_t{bytes[1]} << 16 |
                               std::size_t{bytes[2]} << 8 | std::size_t{bytes[3]};
    array.dimensions.push_back(length);
    // Each factor is below 2^32 and the product is checked against the file after every step.
    if (length == 0 || expected > array.samples.size() / length) {
      throw InputError("data.idx", name + ": the header promises more samples than the file holds");
    }
    expected *= length;
  }
  if (expected != array.samples.size()) {
    throw InputError("data.idx", name + ": " + std::to_string(expected) + " samples were expected, " +
                                     std::to_string(array.samples.size()) + " are there");
  }
  return array;
}

Dataset read_test_set(const fs::path& folder, const models::InputEncoding& encoding, std::size_t limit) {
  std::error_code ignored;
  if (!fs::is_directory(folder, ignored)) {
    throw IoError("data.not_found", folder.string() + " is not a folder that can be read");
  }
  if (encoding.shape.channels != 1 || encoding.shape.height != kMnistSide ||
      encoding.shape.width != kMnistSide) {
    throw InputError("data.no_test_set", "no known test set fits a network with input " +
                                             encoding.shape.to_string() + "; MNIST's (1x28x28) is");
  }
  const fs::path subfolder = folder / "mnist";
  return read_mnist_test_set(fs::is_directory(subfolder, ignored) ? subfolder : folder, limit);
}

}  // namespace popcorn::cli
