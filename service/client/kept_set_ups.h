// The client's halves of the transfers' set-ups, one for each server and key: kept between inferences, in
// memory or in a file beside the key.
//
// A lost or stale set-up costs time only: the server says that it does not know it and the session makes a
// new one. A copy that comes back does no harm either, since every session adds fresh nonces of both parties.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/sha256.h"
#include "protocols/ot/set_up.h"

namespace popcorn::service {

/// Thread-safe.
class KeptSetUps {
 public:
  /// In memory only.
  KeptSetUps() = default;
  /// Reads the file if there is one. What cannot be used (damaged, readable by others) is left out, see
  /// problem(), and replaced by the next keep().
  explicit KeptSetUps(std::string file);

  /// Null when there is none.
  std::shared_ptr<const protocols::ot::KeptSetUp> find(const std::string& server, const Sha256& key) const;
  /// Replaces what there was. Writes the file, readable for its owner only, as a whole or not at all,
  /// together with what other processes have written there meanwhile. @throws IoError
  void keep(const std::string& server, const Sha256& key,
            std::shared_ptr<const protocols::ot::KeptSetUp> set_up);
  /// Also in the file. @throws IoError
  void forget(const std::string& server, const Sha256& key);
  /// Why the file's content was left out; empty when all is well.
  const std::string& problem() const noexcept { return problem_; }

  /// More servers than that: the oldest is forgotten.
  static constexpr std::size_t kMaxSetUps = 16;

 private:
  struct Entry {
    std::string server;
    Sha256 key{};
    std::shared_ptr<const protocols::ot::KeptSetUp> set_up;

    bool is(const std::string& other_server, const Sha256& other_key) const {
      return server == other_server && key == other_key;
    }
  };

  /// @throws InputError "set_ups.*"
  static std::vector<Entry> parse(ByteView content);
  static Bytes serialise(const std::vector<Entry>& entries);
  /// Nothing when there is no file. @throws InputError, IoError
  std::vector<Entry> read() const;
  static void put(std::vector<Entry>& entries, Entry entry);

  const std::string file_;
  std::string problem_;
  mutable std::mutex mutex_;
  std::vector<Entry> entries_;  ///< oldest first
};

}  // namespace popcorn::service
