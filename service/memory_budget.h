// Bounds what all requests and sessions together hold in memory.
#pragma once

#include <atomic>
#include <cstdint>
#include <utility>

#include "service/refusal.h"

namespace popcorn::service {

/// Thread-safe. Must outlive its leases.
class MemoryBudget {
 public:
  explicit MemoryBudget(std::uint64_t limit_bytes) : limit_(limit_bytes) {}

  class Lease {
   public:
    Lease() = default;
    Lease(MemoryBudget& budget, std::uint64_t bytes) : budget_(&budget), bytes_(bytes) {}
    Lease(Lease&& other) noexcept
        : budget_(std::exchange(other.budget_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}
    Lease& operator=(Lease&& other) noexcept {
      std::swap(budget_, other.budget_);
      std::swap(bytes_, other.bytes_);
      return *this;
    }
    ~Lease() {
      if (budget_ != nullptr) {
        budget_->used_ -= bytes_;
      }
    }
    /// Changes the size of what is held already; never refused.
    void resize(std::uint64_t bytes) {
      if (budget_ != nullptr) {
        budget_->used_ += bytes - bytes_;
        bytes_ = bytes;
      }
    }

   private:
    MemoryBudget* budget_ = nullptr;
    std::uint64_t bytes_ = 0;
  };

  /// @throws Refusal unavailable "server.memory" when the rest is not enough
  Lease take(std::uint64_t bytes) {
    const std::uint64_t before = used_.fetch_add(bytes);
    if (before > limit_ || bytes > limit_ - before) {
      used_ -= bytes;
      throw Refusal(RefusalKind::unavailable, "server.memory",
                    "The server's memory is taken; ask again later", 5);
    }
    return {*this, bytes};
  }
  std::uint64_t used() const noexcept { return used_; }

 private:
  const std::uint64_t limit_;
  std::atomic<std::uint64_t> used_{0};
};

}  // namespace popcorn::service
