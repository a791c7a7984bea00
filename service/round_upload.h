// The body of a round while it arrives. Its digest is made as it comes, and as soon as enough of it is there
// a worker validates its ciphertexts: when the last byte arrives little is left to do, and of what was taken
// only the kernel's form is held. Nothing is decided here: the round is claimed with the digest of the whole
// body, and no mask is drawn before.
#pragma once

#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "base/sha256_stream.h"
#include "protocols/session/message_intake.h"
#include "service/jobs/job_queue.h"
#include "service/jobs/memory_budget.h"

namespace popcorn::service {

/// append() and end() from the thread that reads, finish() from the worker that answers.
class RoundUpload : public std::enable_shared_from_this<RoundUpload> {
 public:
  struct Options {
    std::uint64_t bytes = 0;  ///< of the whole body
    std::string caller;
    /// Tables of the session's key, or null when they are not at hand; called by a worker. May throw.
    std::function<std::shared_ptr<const paillier::PublicContext>()> key;
    /// Called with the ciphertexts that were made ready while the rest of the body was awaited.
    std::function<void(std::uint64_t ciphertexts)> worked_ahead;
  };
  /// @param ahead whether to work before the end: not for what is probably a repetition
  RoundUpload(Options options, JobQueue& queue, bool ahead, MemoryBudget::Lease lease);

  void append(ByteView piece);
  /// No more comes. The digest of all pieces.
  Sha256 end();
  /// No more comes, and what has come is not wanted.
  void abandon();
  std::uint64_t bytes() const noexcept { return options_.bytes; }

  /// The message, for a session under `key`; takes in what no worker has taken yet.
  /// @throws what went wrong before, other than the message's own faults
  protocols::MessageIntake& finish(const std::shared_ptr<const paillier::PublicContext>& key);
  /// For whoever holds the memory from now on; otherwise it is given back with this object.
  MemoryBudget::Lease take_lease();

 private:
  void schedule_locked();
  void work_ahead();
  bool make_intake();
  void take_all();

  const Options options_;
  JobQueue& queue_;
  Sha256Stream digest_;

  std::mutex mutex_;  ///< of the following; held briefly
  std::deque<Bytes> waiting_;
  std::uint64_t waiting_bytes_ = 0;
  bool ahead_;
  bool job_queued_ = false;
  bool ended_ = false;
  MemoryBudget::Lease lease_;

  std::mutex work_mutex_;  ///< of the intake; held while ciphertexts are parsed
  std::unique_ptr<protocols::MessageIntake> intake_;
  std::exception_ptr failure_;
};

}  // namespace popcorn::service
