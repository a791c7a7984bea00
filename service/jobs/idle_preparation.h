// Encryption randomness that the client makes ahead while it waits for the server.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <thread>

#include "paillier/keys/key_owner.h"

namespace popcorn::service {

/// Works in a thread of its own (on all cores) between start() and stop().
class IdlePreparation {
 public:
  /// @param wanted encryptions that will be made after the first start(), in all
  IdlePreparation(std::shared_ptr<const paillier::KeyOwner> owner, std::uint64_t wanted);
  ~IdlePreparation() { stop(); }
  IdlePreparation(const IdlePreparation&) = delete;
  IdlePreparation& operator=(const IdlePreparation&) = delete;

  void start();
  /// Returns after the batch in progress, a few milliseconds at most.
  void stop();
  /// Wall seconds that went into it, and encryptions prepared; only while stopped.
  double seconds() const noexcept { return seconds_; }
  std::uint64_t prepared() const noexcept { return prepared_; }

 private:
  void work();
  bool wants_more() const;

  const std::shared_ptr<const paillier::KeyOwner> owner_;
  const std::uint64_t wanted_;
  std::uint64_t encryptions_before_ = 0;
  bool started_ = false;
  double seconds_ = 0;
  std::uint64_t prepared_ = 0;
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

}  // namespace popcorn::service
