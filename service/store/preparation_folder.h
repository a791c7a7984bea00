// Preparations of a single server in files, so that they are there again when it has been restarted.
//
//   FOLDER/key               seals the rest, where the server has no store key
//   FOLDER/ID.preparation    sealed: what the session is, when it ends; then its state
//
// Once-only: a claim removes the file, and the folder is flushed to the disk, before it is granted. What a
// backup puts back is of no use: a file opens where its own inode and time of birth are those it was sealed
// with, and as long as the machine has not been started again; an image of a disk needs that. (A file system
// that is rolled back under a running machine, or a virtual machine that is put back while it runs, is beyond
// what a server can see: whoever does that removes the files first.) Lifetimes are measured by the clock that
// nobody can set, which counts from the machine's start.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/secret_bytes.h"
#include "base/sha256.h"
#include "service/store/session_store.h"
#include "service/store/store_cipher.h"

namespace popcorn::service {

struct PreparationFolderOptions {
  std::filesystem::path folder;
  std::string store_key_file;  ///< empty = a key of its own in the folder
  std::function<std::chrono::steady_clock::time_point()> now = &std::chrono::steady_clock::now;
  /// A name of the machine's run since it was started.
  std::function<std::string()> boot;
};

/// Every preparation has one user at a time; otherwise thread-safe. One process at a time.
class PreparationFolder {
 public:
  /// Makes the folder, for its owner alone. @throws IoError, also "file.identity"; InputError
  /// "preparation_store.permissions", "store_key.*"; UsageError "preparation_store.busy" when another server
  /// uses it
  explicit PreparationFolder(PreparationFolderOptions options);
  ~PreparationFolder();
  PreparationFolder(const PreparationFolder&) = delete;
  PreparationFolder& operator=(const PreparationFolder&) = delete;

  struct Kept {
    SessionInfo info;
    std::chrono::steady_clock::time_point deadline;
  };
  /// Those that may be claimed, in phase `prepared`. What is over or does not open is removed.
  std::vector<Kept> load();
  /// On the disk when it returns. @throws IoError; then nothing is left of it
  void keep(const Kept& kept, ByteView state);
  /// The state of one that is there, which it is not any more, for good. Nothing when there is none that
  /// opens. @throws IoError when it could not be removed; then nothing was given out
  std::optional<Bytes> claim(const std::string& id);
  /// One that nobody will claim. @throws IoError
  void remove(const std::string& id);
  /// A secret of the folder, for what has to stay the same when the server is restarted.
  Sha256 derived_secret(std::string_view purpose) const;

 private:
  struct Opened;

  std::filesystem::path path_of(const std::string& id) const;
  std::string context_of(const std::string& id, const char* part, const std::string& mark) const;
  Opened open(const std::filesystem::path& file, bool with_state) const;

  const PreparationFolderOptions options_;
  const std::string boot_;
  int lock_ = -1;
  SecretBytes secret_;
  StoreCipher cipher_;
};

}  // namespace popcorn::service
