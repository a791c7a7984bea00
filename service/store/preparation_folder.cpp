#include "service/store/preparation_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>

#include "base/error.h"
#include "base/file.h"
#include "base/file_identity.h"
#include "base/private_files.h"
#include "base/random.h"
#include "service/store/claim_log.h"
#include "service/store/session_record.h"
#include "service/store/shared_secret.h"

namespace popcorn::service {

namespace {

constexpr unsigned kOwnerOnly = 0600;
constexpr std::size_t kMaxHead = 1U << 20;
constexpr std::size_t kMaxFileBytes = std::size_t{1} << 31;
constexpr const char* kExtension = ".preparation";

SecretFileRules rules() {
  return {.what = "a preparation",
          .code = "preparation_store.permissions",
          .max_bytes = kMaxFileBytes,
          .written_here = true};
}

/// Held until the descriptor is closed, also by a SIGKILL.
int lock_folder(const std::filesystem::path& folder) {
  const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd >= 0 && ::flock(fd, LOCK_EX | LOCK_NB) == 0) return fd;
  if (fd >= 0) ::close(fd);
  throw UsageError("preparation_store.busy",
                   folder.string() + " is another server's: a preparation store has one, several take Redis");
}

SecretBytes secret_of(const PreparationFolderOptions& options) {
  if (!options.store_key_file.empty())
    return read_shared_secret(options.store_key_file, "the store key", "store_key");
  const std::filesystem::path own = options.folder / "key";
  std::error_code ignored;
  if (!std::filesystem::exists(own, ignored)) {
    Bytes fresh(kSharedSecretBytes);
    system_rng().fill(fresh);
    const std::string digits = to_hex(fresh);
    wipe_and_clear(fresh);
    write_file(own, as_bytes(digits), kOwnerOnly);
  }
  return read_shared_secret(own.string(), "the key of the preparation store", "preparation_store");
}

std::string mark_of(const FileIdentity& identity) {
  return std::to_string(identity.inode) + " " + std::to_string(identity.born);
}

std::string boot_of(const PreparationFolderOptions& options) {
  return options.boot ? options.boot() : boot_name();
}

void write_piece(ByteWriter& out, ByteView piece) {
  out.u32(static_cast<std::uint32_t>(piece.size()));
  out.bytes(piece);
}

ByteView read_piece(ByteReader& in) {
  const std::size_t size = in.u32();
  return in.bytes(size);
}

Bytes head_of(const PreparationFolder::Kept& kept) {
  Bytes head;
  ByteWriter out(head);
  out.u64(static_cast<std::uint64_t>(kept.deadline.time_since_epoch().count()));
  write_piece(out, as_bytes(kept.info.account));
  write_piece(out, serialise_session(kept.info));
  return head;
}

PreparationFolder::Kept read_head(ByteView head) {
  ByteReader in(head, "preparation_store");
  PreparationFolder::Kept kept;
  const auto ticks = static_cast<std::chrono::steady_clock::rep>(in.u64());
  kept.deadline = std::chrono::steady_clock::time_point(std::chrono::steady_clock::duration(ticks));
  const ByteView account = read_piece(in);
  kept.info = parse_session(read_piece(in));
  in.expect_end();
  kept.info.account.assign(account.begin(), account.end());
  kept.info.phase = SessionPhase::prepared;
  kept.info.next_round = kept.info.preparation_rounds;
  return kept;
}

}  // namespace

struct PreparationFolder::Opened {
  Kept kept;
  Bytes state;
};

PreparationFolder::PreparationFolder(PreparationFolderOptions options)
    : options_(std::move(options)), boot_(boot_of(options_)) {
  make_private_folder(options_.folder, "this store of preparations", "preparation_store");
  lock_ = lock_folder(options_.folder);
  try {
    identity_of(options_.folder);
    secret_ = secret_of(options_);
    cipher_ = StoreCipher::from_key(derived_secret("preparations"));
  } catch (...) {
    ::close(lock_);
    throw;
  }
}

PreparationFolder::~PreparationFolder() {
  ::close(lock_);
}

Sha256 PreparationFolder::derived_secret(std::string_view purpose) const {
  return hmac_sha256(secret_.view(), as_bytes("popcorn preparation store: " + std::string(purpose)));
}

std::filesystem::path PreparationFolder::path_of(const std::string& id) const {
  return options_.folder / (id + kExtension);
}

std::string PreparationFolder::context_of(const std::string& id, const char* part,
                                          const std::string& mark) const {
  return std::string(part) + " of " + id + " " + mark + " " + boot_;
}

PreparationFolder::Opened PreparationFolder::open(const std::filesystem::path& file, bool with_state) const {
  const std::string id = file.stem();
  SecretBytes content =
      with_state ? read_secret_file(file, rules()) : SecretBytes(read_beginning(file, kMaxHead));
  const std::string mark = mark_of(identity_of(file));
  ByteReader in(content.view(), "preparation_store");
  const ByteView head = read_piece(in);
  Opened opened{read_head(cipher_.open(head, context_of(id, "head", mark))), {}};
  if (opened.kept.info.id != id)
    throw InputError("preparation_store.id", "a preparation has the name of another");
  if (with_state) opened.state = cipher_.open(in.bytes(in.remaining()), context_of(id, "state", mark));
  return opened;
}

std::vector<PreparationFolder::Kept> PreparationFolder::load() {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(options_.folder)) {
    // Also those that a server was killed over.
    if (entry.path().filename().string().find(kExtension) != std::string::npos) files.push_back(entry.path());
  }
  std::vector<Kept> good;
  for (const std::filesystem::path& file : files) {
    try {
      Opened opened = open(file, false);
      if (file.extension() == kExtension && opened.kept.deadline > options_.now()) {
        good.push_back(std::move(opened.kept));
        continue;
      }
    } catch (const Error&) {  // of an earlier boot, from a backup, of another key or version, or half written
    }
    remove_file(file);
  }
  return good;
}

void PreparationFolder::keep(const Kept& kept, ByteView state) {
  const std::string& id = kept.info.id;
  write_identified_file(
      path_of(id),
      [&](const FileIdentity& identity) {
        const std::string mark = mark_of(identity);
        Bytes content;
        ByteWriter out(content);
        write_piece(out, cipher_.seal(head_of(kept), context_of(id, "head", mark)));
        out.bytes(cipher_.seal(state, context_of(id, "state", mark)));
        return content;
      },
      kOwnerOnly);
}

std::optional<Bytes> PreparationFolder::claim(const std::string& id) {
  std::optional<Bytes> state;
  try {
    state = open(path_of(id), true).state;
  } catch (const Error&) {  // not there, or put there by somebody
  }
  remove_file(path_of(id));
  return state;
}

void PreparationFolder::remove(const std::string& id) {
  remove_file(path_of(id));
}

}  // namespace popcorn::service
