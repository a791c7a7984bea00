#include "service/client/kept_set_ups.h"

#include <openssl/crypto.h>

#include <algorithm>

#include "base/error.h"
#include "base/file.h"
#include "service/client/short_text.h"

namespace popcorn::service {
namespace {

// u32 magic, u16 version, u16 count, then for each: text server, text kind, 32 key fingerprint, u32 length,
// the set-up; a text is u16 length and its characters.
constexpr std::uint32_t kMagic = 0x53554350;  // "PCUS"
constexpr std::uint16_t kVersion = 2;
/// With seeds that were transferred on Paillier: forgotten without a word, the next keep() replaces them.
constexpr std::uint16_t kForgottenVersion = 1;
/// Of set-ups: named after what they were first made for.
constexpr const char* kKind = "oblivious";
constexpr std::size_t kMaxText = 512;
constexpr std::size_t kMaxSetUpBytes = 65536;
constexpr std::size_t kMaxFileBytes = KeptSetUps::kMaxSetUps * (kMaxSetUpBytes + 2 * kMaxText + 64);

std::string read_text(ByteReader& in) {
  return service::read_text(in, kMaxText, "set_ups.text", "a name in it is too long");
}

/// For the owner's eyes only; `content` is wiped.
void write_secret(const std::string& file, Bytes content) {
  constexpr unsigned kOwnerOnly = 0600;
  write_file(file, content, kOwnerOnly);
  OPENSSL_cleanse(content.data(), content.size());
}

}  // namespace

KeptSetUps::KeptSetUps(std::string file) : file_(std::move(file)) {
  try {
    entries_ = read();
  } catch (const Error& error) {
    problem_ = "the kept set-ups of " + file_ + " are not used: " + error.what();
  }
}

std::vector<KeptSetUps::Entry> KeptSetUps::read() const {
  if (file_.empty()) {
    return {};
  }
  const std::optional<SecretBytes> content = read_secret_file_if_any(file_, {.what = "the file of set-ups",
                                                                             .code = "set_ups.permissions",
                                                                             .max_bytes = kMaxFileBytes,
                                                                             .written_here = true});
  return content ? parse(content->view()) : std::vector<Entry>();
}

std::vector<KeptSetUps::Entry> KeptSetUps::parse(ByteView content) {
  ByteReader in(content, "set_ups");
  const bool is_ours = in.u32() == kMagic;
  const std::uint16_t version = in.u16();
  if (is_ours && version == kForgottenVersion) {
    return {};
  }
  if (!is_ours || version != kVersion) {
    throw InputError("set_ups.version", "it is no such file, or of another version");
  }
  const std::size_t count = in.u16();
  if (count > kMaxSetUps) {
    throw InputError("set_ups.count", "it has too many entries");
  }
  std::vector<Entry> entries(count);
  for (Entry& entry : entries) {
    entry.server = read_text(in);
    if (read_text(in) != kKind) {
      throw InputError("set_ups.kind", "a set-up in it is of an unknown kind");
    }
    std::ranges::copy(in.bytes(entry.key.size()), entry.key.begin());
    const std::size_t size = in.u32();
    if (size > kMaxSetUpBytes) {
      throw InputError("set_ups.size", "a set-up in it is too large");
    }
    entry.set_up = protocols::ot::client_set_up(in.bytes(size));
  }
  in.expect_end();
  return entries;
}

Bytes KeptSetUps::serialise(const std::vector<Entry>& entries) {
  Bytes content;
  ByteWriter out(content);
  out.u32(kMagic);
  out.u16(kVersion);
  out.u16(static_cast<std::uint16_t>(entries.size()));
  for (const Entry& entry : entries) {
    write_text(out, entry.server);
    write_text(out, kKind);
    out.bytes(entry.key);
    Bytes set_up;
    entry.set_up->serialise(set_up);
    out.u32(static_cast<std::uint32_t>(set_up.size()));
    out.bytes(set_up);
    OPENSSL_cleanse(set_up.data(), set_up.size());
  }
  return content;
}

std::shared_ptr<const protocols::ot::KeptSetUp> KeptSetUps::find(const std::string& server,
                                                                 const Sha256& key) const {
  const std::lock_guard lock(mutex_);
  for (const Entry& entry : entries_) {
    if (entry.is(server, key)) {
      return entry.set_up;
    }
  }
  return nullptr;
}

void KeptSetUps::put(std::vector<Entry>& entries, Entry entry) {
  std::erase_if(entries, [&](const Entry& old) { return old.is(entry.server, entry.key); });
  if (entries.size() == kMaxSetUps) {
    entries.erase(entries.begin());
  }
  entries.push_back(std::move(entry));
}

void KeptSetUps::keep(const std::string& server, const Sha256& key,
                      std::shared_ptr<const protocols::ot::KeptSetUp> set_up) {
  const std::lock_guard lock(mutex_);
  try {
    for (Entry& entry : read()) {
      if (std::ranges::none_of(entries_, [&](const Entry& own) { return own.is(entry.server, entry.key); })) {
        put(entries_, std::move(entry));
      }
    }
  } catch (const Error&) {
    // It could not be used when it was opened either, and is replaced now.
  }
  put(entries_, {server, key, std::move(set_up)});
  if (file_.empty()) {
    return;
  }
  write_secret(file_, serialise(entries_));
}

void KeptSetUps::forget(const std::string& server, const Sha256& key) {
  const std::lock_guard lock(mutex_);
  std::erase_if(entries_, [&](const Entry& entry) { return entry.is(server, key); });
  if (file_.empty()) {
    return;
  }
  std::vector<Entry> on_disk;
  try {
    on_disk = read();
  } catch (const Error&) {
    return;  // not used either
  }
  if (std::erase_if(on_disk, [&](const Entry& entry) { return entry.is(server, key); }) == 0) {
    return;
  }
  write_secret(file_, serialise(on_disk));
}

}  // namespace popcorn::service
