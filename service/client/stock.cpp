#include "service/client/stock.h"

#include <openssl/crypto.h>

#include <algorithm>

#include "base/error.h"
#include "base/file.h"
#include "base/private_files.h"
#include "service/client/short_text.h"
#include "service/store/shared_secret.h"

namespace popcorn::service {

namespace {

constexpr std::uint32_t kMagic = 0x53504350;  // "PCPS"
constexpr std::uint16_t kVersion = 1;
constexpr std::size_t kMaxText = 4096;
constexpr std::size_t kMaxHead = 6 * kMaxText;
constexpr std::size_t kMaxFileBytes = std::size_t{1} << 31;
constexpr unsigned kOwnerOnly = 0600;
constexpr const char* kReady = ".preparation";
constexpr const char* kUsed = ".used";
constexpr const char* kExpired = "expired";
constexpr std::chrono::hours kUsedLifetime{24};
/// After its end, by this machine's clock: a clock that jumped may come back.
constexpr std::chrono::hours kGrace{24};

StoreCipher cipher_of(const paillier::KeyOwner& owner) {
  const paillier::PrivateKey& key = owner.private_key();
  Bytes primes(key.p().begin(), key.p().end());
  primes.insert(primes.end(), key.q().begin(), key.q().end());
  Sha256 seal = hmac_sha256(primes, as_bytes("popcorn stock of preparations"));
  StoreCipher cipher = StoreCipher::from_key(seal);
  OPENSSL_cleanse(primes.data(), primes.size());
  OPENSSL_cleanse(seal.data(), seal.size());
  return cipher;
}

Bytes head_of(const PreparationFacts& facts) {
  Bytes head;
  ByteWriter out(head);
  out.u32(kMagic);
  out.u16(kVersion);
  for (const std::string* text : {&facts.server, &facts.model, &facts.config_id, &facts.engine, &facts.id})
    write_text(out, *text);
  out.u64(static_cast<std::uint64_t>(facts.expires_at.time_since_epoch().count()));
  for (const std::uint64_t number : {facts.rounds, facts.bytes_up, facts.bytes_down}) out.u64(number);
  return head;
}

bool is_session_id(const std::string& id) {
  return !id.empty() && id.size() <= 128 &&
         id.find_first_not_of("0123456789abcdefABCDEF-") == std::string::npos;
}

/// @throws InputError "stock.*"
PreparationFacts read_head(ByteReader& in) {
  if (in.u32() != kMagic) throw InputError("stock.file", "it is no preparation");
  if (in.u16() != kVersion) {
    throw InputError("stock.version", "another version of popcorn made it; prepare anew with this one");
  }
  PreparationFacts facts;
  for (std::string* text : {&facts.server, &facts.model, &facts.config_id, &facts.engine, &facts.id})
    *text = read_text(in, kMaxText, "stock.text", "a text in it is too long");
  if (!is_session_id(facts.id)) throw InputError("stock.id", "its session has no name that a server gives");
  facts.expires_at = std::chrono::sys_seconds(std::chrono::seconds(in.u64()));
  for (std::uint64_t* number : {&facts.rounds, &facts.bytes_up, &facts.bytes_down}) *number = in.u64();
  return facts;
}

SecretFileRules rules() {
  return {
      .what = "a preparation", .code = "stock.permissions", .max_bytes = kMaxFileBytes, .written_here = true};
}

std::string context_of(ByteView head) {
  return "preparation " + to_hex(sha256(head));
}

/// @throws InputError "stock.*", "file.*"
Preparation parse(ByteView content, const StoreCipher& cipher) {
  ByteReader in(content, "stock");
  Preparation preparation{read_head(in), {}};
  const ByteView sealed = content.last(in.remaining());
  try {
    preparation.session = cipher.open(sealed, context_of(content.first(content.size() - sealed.size())));
  } catch (const Error&) {
    throw InputError("stock.sealed", "it is damaged, or another key pair made it");
  }
  return preparation;
}

}  // namespace

Stock::Stock(std::filesystem::path folder, const paillier::KeyOwner& owner, Clock now)
    : folder_(std::move(folder)), cipher_(cipher_of(owner)), now_(std::move(now)) {
  make_private_folder(folder_, "this stock of preparations", "stock");
}

std::filesystem::path Stock::path_of(const std::string& id, const char* extension) const {
  return folder_ / (id + extension);
}

void Stock::add(const Preparation& preparation) const {
  Bytes content = head_of(preparation.facts);
  const Bytes sealed = cipher_.seal(preparation.session, context_of(content));
  content.insert(content.end(), sealed.begin(), sealed.end());
  write_file(path_of(preparation.facts.id, kReady), content, kOwnerOnly);
}

Stock::Listed Stock::look_at(const std::filesystem::path& file, bool thorough) const {
  Listed listed;
  listed.file = file;
  std::error_code unknown;
  listed.bytes = std::filesystem::file_size(file, unknown);
  try {
    const Bytes head = read_beginning(file, kMaxHead);
    ByteReader in(head, "stock");
    listed.facts = read_head(in);
    if (thorough) {
      Preparation preparation = parse(read_secret_file(file, rules()).view(), cipher_);
      OPENSSL_cleanse(preparation.session.data(), preparation.session.size());
    }
    if (file.stem() != listed.facts.id) throw InputError("stock.id", "its name is not that of its session");
    if (listed.facts.expires_at <= now_()) listed.problem = kExpired;
  } catch (const Error& error) {
    listed.problem = error.what();
  }
  return listed;
}

std::vector<Stock::Listed> Stock::list(bool thorough) const {
  std::vector<Listed> all;
  for (const auto& entry : std::filesystem::directory_iterator(folder_)) {
    if (entry.path().extension() == kReady) all.push_back(look_at(entry.path(), thorough));
  }
  std::ranges::sort(all, {}, [](const Listed& one) { return one.facts.expires_at; });
  return all;
}

std::size_t Stock::count(const std::string& server, const std::string& config_id) const {
  const std::vector<Listed> all = list();
  return static_cast<std::size_t>(std::ranges::count_if(all, [&](const Listed& one) {
    return one.problem.empty() && one.facts.server == server && one.facts.config_id == config_id;
  }));
}

std::optional<Preparation> Stock::take(const std::string& server, const std::string& config_id) const {
  for (const Listed& one : list()) {
    if (!one.problem.empty() || one.facts.server != server || one.facts.config_id != config_id) continue;
    const std::filesystem::path used = path_of(one.facts.id, kUsed);
    // Of two processes one renames it; a name that was used before is never used again.
    if (!rename_new_file(one.file, used)) continue;
    std::error_code ignored;
    std::filesystem::last_write_time(used, std::filesystem::file_time_type::clock::now(), ignored);
    try {
      return parse(read_secret_file(used, rules()).view(), cipher_);
    } catch (const InputError&) {  // damaged: `popcorn stock --check` says so
      continue;
    }
  }
  return std::nullopt;
}

void Stock::forget(const PreparationFacts& facts) const {
  std::error_code ignored;
  std::filesystem::remove(path_of(facts.id, kUsed), ignored);
}

std::size_t Stock::forget_other(const std::string& server, const std::string& model,
                                const std::string& config_id) const {
  std::size_t removed = 0;
  for (const Listed& one : list()) {
    const PreparationFacts& facts = one.facts;
    if (facts.server != server || facts.model != model || facts.config_id == config_id) continue;
    remove_file(one.file);
    ++removed;
  }
  return removed;
}

std::size_t Stock::prune(bool thorough) const {
  std::size_t removed = 0;
  std::error_code ignored;
  for (const Listed& one : list(thorough)) {
    const bool may_be_good = one.problem == kExpired && one.facts.expires_at + kGrace > now_();
    if (!one.problem.empty() && !may_be_good) removed += std::filesystem::remove(one.file, ignored) ? 1 : 0;
  }
  const auto oldest = std::filesystem::file_time_type::clock::now() - kUsedLifetime;
  for (const auto& entry : std::filesystem::directory_iterator(folder_)) {
    // What a process was killed over while it wrote has more after the extension.
    const bool is_over = entry.path().extension() != kReady;
    if (is_over && entry.last_write_time(ignored) < oldest)
      removed += std::filesystem::remove(entry.path(), ignored) ? 1 : 0;
  }
  return removed;
}

}  // namespace popcorn::service
