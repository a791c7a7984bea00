#include "models/datasets/compressed_file.h"

#include <lzma.h>
#include <zlib.h>

#include <array>

#include "base/error.h"
#include "base/file.h"

namespace popcorn::datasets {

namespace {

constexpr std::size_t kBlock = 1 << 16;
constexpr std::uint64_t kXzMemory = std::uint64_t{1} << 28;  // dictionaries of xz -9 need 65 MiB

[[noreturn]] void fail(const char* code, const std::filesystem::path& path, const std::string& problem) {
  throw InputError(code, path.string() + ": " + problem);
}

enum class Step { more, end, damaged };

/// Unpacks with `step`, which fills a block and says how far it came, until the end; refuses what grows too
/// large.
template <typename Fill>
Bytes unpack(const std::filesystem::path& path, std::size_t max_bytes, Fill fill) {
  Bytes result;
  std::array<std::uint8_t, kBlock> block{};
  for (Step step = Step::more; step == Step::more;) {
    std::size_t made = 0;
    step = fill(block, made);
    if (step == Step::damaged || result.size() + made > max_bytes) {
      fail("dataset.packed", path, "the packed data are damaged, cut short or too large");
    }
    result.insert(result.end(), block.begin(), block.begin() + static_cast<std::ptrdiff_t>(made));
  }
  return result;
}

struct GzipStream {
  z_stream stream{};
  GzipStream() {
    if (inflateInit2(&stream, 16 + MAX_WBITS) != Z_OK) throw Error("dataset.gzip", "zlib does not start");
  }
  ~GzipStream() { inflateEnd(&stream); }
  GzipStream(const GzipStream&) = delete;
  GzipStream& operator=(const GzipStream&) = delete;
};

struct XzStream {
  lzma_stream stream = LZMA_STREAM_INIT;
  XzStream() {
    if (lzma_stream_decoder(&stream, kXzMemory, LZMA_CONCATENATED) != LZMA_OK) {
      throw Error("dataset.xz", "liblzma does not start");
    }
  }
  ~XzStream() { lzma_end(&stream); }
  XzStream(const XzStream&) = delete;
  XzStream& operator=(const XzStream&) = delete;
};

Bytes unpack_gzip(Bytes& packed, const std::filesystem::path& path, std::size_t max_bytes) {
  GzipStream gzip;
  z_stream& stream = gzip.stream;
  stream.next_in = packed.data();
  stream.avail_in = static_cast<uInt>(packed.size());
  Bytes result = unpack(path, max_bytes, [&](std::array<std::uint8_t, kBlock>& block, std::size_t& made) {
    stream.next_out = block.data();
    stream.avail_out = kBlock;
    const int status = inflate(&stream, Z_NO_FLUSH);
    made = kBlock - stream.avail_out;
    if (status == Z_STREAM_END) return Step::end;
    return status == Z_OK && (made > 0 || stream.avail_in > 0) ? Step::more : Step::damaged;
  });
  if (stream.avail_in != 0) fail("dataset.trailing_bytes", path, "bytes follow the packed data");
  return result;
}

Bytes unpack_xz(const Bytes& packed, const std::filesystem::path& path, std::size_t max_bytes) {
  XzStream xz;
  lzma_stream& stream = xz.stream;
  stream.next_in = packed.data();
  stream.avail_in = packed.size();
  return unpack(path, max_bytes, [&](std::array<std::uint8_t, kBlock>& block, std::size_t& made) {
    stream.next_out = block.data();
    stream.avail_out = kBlock;
    const lzma_ret status = lzma_code(&stream, LZMA_FINISH);
    made = kBlock - stream.avail_out;
    if (status == LZMA_STREAM_END) return Step::end;
    return status == LZMA_OK ? Step::more : Step::damaged;
  });
}

}  // namespace

Bytes read_maybe_packed(const std::filesystem::path& path, std::size_t max_bytes) {
  constexpr std::array<std::uint8_t, 6> kXzMagic{0xfd, '7', 'z', 'X', 'Z', 0};
  Bytes file = read_file(path, max_bytes);
  if (file.size() >= 2 && file[0] == 0x1f && file[1] == 0x8b) return unpack_gzip(file, path, max_bytes);
  if (file.size() >= 6 && std::equal(kXzMagic.begin(), kXzMagic.end(), file.begin())) {
    return unpack_xz(file, path, max_bytes);
  }
  return file;
}

}  // namespace popcorn::datasets
