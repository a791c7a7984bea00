// Looks for secrets in memory that is given back with operator delete.
#pragma once

#include <atomic>
#include <cstddef>
#include <utility>
#include <vector>

#include "base/bytes.h"

namespace popcorn::test {

/// From watch() on as long as it exists, every block that any thread deletes is searched for the needles. One
/// at a time. A test that uses it lists freed_memory.cpp, which replaces operator new and delete, in its
/// sources.
class FreedMemory {
 public:
  explicit FreedMemory(std::vector<Bytes> needles) : needles_(std::move(needles)) {}
  ~FreedMemory();
  FreedMemory(const FreedMemory&) = delete;
  FreedMemory& operator=(const FreedMemory&) = delete;

  /// A step of its own, since a constructor's temporaries go away after it.
  void watch() noexcept;
  std::size_t blocks() const noexcept { return blocks_; }
  /// Blocks in which a needle stood when they were freed.
  std::size_t findings() const noexcept { return findings_; }
  /// Called by operator delete.
  void inspect(const void* block) noexcept;

 private:
  const std::vector<Bytes> needles_;
  std::atomic<std::size_t> blocks_{0}, findings_{0};
};

}  // namespace popcorn::test
