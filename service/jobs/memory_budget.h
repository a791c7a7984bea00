// Bounds what all requests and sessions together hold in memory.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <utility>

#include "base/bytes.h"
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

/// Deletes bytes and gives their lease back, with them or before.
class LeasedDelete {
 public:
  explicit LeasedDelete(MemoryBudget::Lease lease) : lease_(std::make_shared<Slot>()) {
    lease_->lease = std::move(lease);
  }
  void operator()(const Bytes* bytes) {
    delete bytes;
    give_back();
  }
  void give_back() {
    const std::lock_guard lock(lease_->mutex);
    lease_->lease = {};
  }

 private:
  struct Slot {
    std::mutex mutex;
    MemoryBudget::Lease lease;
  };
  std::shared_ptr<Slot> lease_;
};

/// Bytes that wait for somebody to fetch them, under a lease of their size.
inline std::shared_ptr<const Bytes> leased(Bytes bytes, MemoryBudget::Lease lease) {
  lease.resize(bytes.size());
  return {new Bytes(std::move(bytes)), LeasedDelete(std::move(lease))};
}

/// They were fetched. Bytes without a lease are as good.
inline void give_lease_back(const std::shared_ptr<const Bytes>& bytes) {
  if (auto* held = std::get_deleter<LeasedDelete>(bytes)) {
    held->give_back();
  }
}

}  // namespace popcorn::service
