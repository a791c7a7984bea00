// A client's stock of preparations: sessions whose rounds without an input are done, one a file, each for one
// input. What is taken is never there again.
//
//   FOLDER/ID.preparation    sealed; readable for its owner alone
//   FOLDER/ID.used           the same, renamed before the server hears of it; removed after the answer
//
// A file holds shares and transfer seeds: whoever has it and what the server sees learns the input. The seal
// is AES-256-GCM under a key made of the private key's primes, so that a stolen folder is of no use, and a
// folder is read by the key pair that filled it alone.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "paillier/keys/key_owner.h"
#include "service/store/store_cipher.h"

namespace popcorn::service {

/// What stands in front of a preparation's file, in clear, and authenticated.
struct PreparationFacts {
  std::string server;  ///< URL
  std::string model;
  std::string config_id;  ///< of the model as it was
  std::string engine;
  std::string id;  ///< that the server gave
  std::chrono::sys_seconds expires_at;
  std::uint64_t rounds = 0, bytes_up = 0, bytes_down = 0;  ///< that it took
};

struct Preparation {
  PreparationFacts facts;
  Bytes session;  ///< what ClientSession::save() gave; secret
};

/// One thread at a time in a process; any number of processes may share a folder.
class Stock {
 public:
  using Clock = std::function<std::chrono::system_clock::time_point()>;
  /// Makes the folder, for its owner alone. @throws IoError, InputError "stock.permissions" for one that
  /// others may enter
  Stock(std::filesystem::path folder, const paillier::KeyOwner& owner,
        Clock now = &std::chrono::system_clock::now);

  const std::filesystem::path& folder() const noexcept { return folder_; }
  /// @throws IoError; nothing half-written is left
  void add(const Preparation& preparation) const;

  struct Listed {
    std::filesystem::path file;
    std::uint64_t bytes = 0;
    PreparationFacts facts;
    std::string problem;  ///< why it cannot be used; empty = it can
  };
  /// Every file, the one that ends first first. @param thorough also opens each seal
  std::vector<Listed> list(bool thorough = false) const;
  /// How many are good for this model of this server.
  std::size_t count(const std::string& server, const std::string& config_id) const;

  /// Takes one out, the one that ends first: its file has another name, for good, when this returns.
  /// Nothing when there is none. @throws IoError
  std::optional<Preparation> take(const std::string& server, const std::string& config_id) const;
  /// Removes what take() left of one.
  void forget(const PreparationFacts& facts) const;
  /// Removes what was made for other configurations of a model than the one that the server has now. Gives
  /// how many.
  std::size_t forget_other(const std::string& server, const std::string& model,
                           const std::string& config_id) const;
  /// Removes what expired more than a day ago or cannot be used, and what was taken, or left half written,
  /// more than a day ago. Gives how many.
  /// @param thorough also opens each seal
  std::size_t prune(bool thorough = true) const;

 private:
  std::filesystem::path path_of(const std::string& id, const char* extension) const;
  Listed look_at(const std::filesystem::path& file, bool thorough) const;

  std::filesystem::path folder_;
  StoreCipher cipher_;
  Clock now_;
};

}  // namespace popcorn::service
