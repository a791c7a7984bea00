#include "service/client/session_file.h"

#include <openssl/crypto.h>

#include <algorithm>

#include "base/error.h"
#include "base/file.h"
#include "service/client/short_text.h"

namespace popcorn::service {

namespace {

constexpr std::uint32_t kMagic = 0x46534350;  // "PCSF"
constexpr std::uint16_t kVersion = 1;
constexpr std::size_t kMaxText = 4096;
constexpr std::size_t kMaxFileBytes = std::size_t{1} << 34;
constexpr unsigned kOwnerOnly = 0600;

std::string read_text(ByteReader& in) {
  return service::read_text(in, kMaxText, "session_file.text", "a text in it is too long");
}

KeptSession parse(ByteView content) {
  ByteReader in(content, "session_file");
  if (in.u32() != kMagic || in.u16() != kVersion) {
    throw InputError("session_file.version", "it is no session file, or of another version");
  }
  KeptSession kept;
  kept.server = read_text(in);
  kept.id = read_text(in);
  if (kept.id.empty() || kept.id.find_first_not_of("0123456789abcdefABCDEF-") != std::string::npos) {
    throw InputError("session_file.id", "its session has no name that a server gives");
  }
  const ByteView digest = in.bytes(kept.input.size());
  std::copy(digest.begin(), digest.end(), kept.input.begin());
  kept.rounds = in.u64();
  kept.bytes_up = in.u64();
  kept.bytes_down = in.u64();
  const ByteView session = in.bytes(in.remaining());
  kept.session.assign(session.begin(), session.end());
  return kept;
}

}  // namespace

void write_session_file(const std::filesystem::path& path, const KeptSession& kept) {
  Bytes content;
  content.reserve(kept.session.size() + 2 * kMaxText);
  ByteWriter out(content);
  out.u32(kMagic);
  out.u16(kVersion);
  write_text(out, kept.server);
  write_text(out, kept.id);
  out.bytes(kept.input);
  out.u64(kept.rounds);
  out.u64(kept.bytes_up);
  out.u64(kept.bytes_down);
  out.bytes(kept.session);
  write_file(path, content, kOwnerOnly);
  OPENSSL_cleanse(content.data(), content.size());
}

std::optional<KeptSession> read_session_file(const std::filesystem::path& path) {
  const std::optional<SecretBytes> content =
      read_secret_file_if_any(path, {.what = "the session file",
                                     .code = "session_file.permissions",
                                     .max_bytes = kMaxFileBytes,
                                     .written_here = true});
  if (!content) {
    return std::nullopt;
  }
  try {
    return parse(content->view());
  } catch (const InputError& error) {
    throw InputError(error.code(), path.string() + ": " + error.what());
  }
}

}  // namespace popcorn::service
