// How many claims of preparations a server has seen in a shared store, where its next process finds it.
//
// It is what tells that the store was put back to an earlier time (redis_scripts.h). So it must not be put
// back itself: the file holds its own inode and time of birth and the name of the machine's boot, and is as
// good as none when they are others. It needs no disk; a folder of /run is the right place.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

namespace popcorn::service {

/// A name of the machine's run since it was started. @throws IoError
std::string boot_name();

/// One process at a time. Not thread-safe.
class ClaimLog {
 public:
  /// Makes the file, for its owner alone, or begins it anew. @throws IoError
  explicit ClaimLog(const std::filesystem::path& file, const std::string& boot = boot_name());
  ~ClaimLog();
  ClaimLog(const ClaimLog&) = delete;
  ClaimLog& operator=(const ClaimLog&) = delete;

  /// Nothing before note() was called for the first time.
  std::optional<std::uint64_t> seen() const noexcept { return seen_; }
  /// Whatever becomes of this process, the next one has it. @throws IoError
  void note(std::uint64_t seen);

 private:
  int fd_ = -1;
  std::optional<std::uint64_t> seen_;
};

}  // namespace popcorn::service
