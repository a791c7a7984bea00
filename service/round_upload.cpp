#include "service/round_upload.h"

#include <algorithm>
#include <utility>

namespace popcorn::service {
namespace {

/// What one piece holds, and what is worth a job: some milliseconds of work.
constexpr std::size_t kPieceBytes = 65536;

}  // namespace

RoundUpload::RoundUpload(Options options, JobQueue& queue, bool ahead, MemoryBudget::Lease lease)
    : options_(std::move(options)), queue_(queue), ahead_(ahead), lease_(std::move(lease)) {}

void RoundUpload::append(ByteView piece) {
  digest_.update(piece);
  const std::lock_guard lock(mutex_);
  waiting_bytes_ += piece.size();
  while (!piece.empty()) {
    if (waiting_.empty() || waiting_.back().size() == kPieceBytes) {
      waiting_.emplace_back().reserve(
          static_cast<std::size_t>(std::min<std::uint64_t>(kPieceBytes, options_.bytes)));
    }
    Bytes& last = waiting_.back();
    const ByteView part = piece.first(std::min(piece.size(), kPieceBytes - last.size()));
    last.insert(last.end(), part.begin(), part.end());
    piece = piece.subspan(part.size());
  }
  schedule_locked();
}

void RoundUpload::schedule_locked() {
  if (!ahead_ || job_queued_ || waiting_bytes_ < kPieceBytes) {
    return;
  }
  // A busy server does first what others wait for; this work is then done with the round.
  job_queued_ = queue_.try_submit(options_.caller, [self = shared_from_this()] { self->work_ahead(); });
}

Sha256 RoundUpload::end() {
  const std::lock_guard lock(mutex_);
  ended_ = true;
  ahead_ = false;
  return digest_.digest();
}

void RoundUpload::abandon() {
  const std::lock_guard lock(mutex_);
  ended_ = true;
  ahead_ = false;
  waiting_.clear();
  waiting_bytes_ = 0;
}

void RoundUpload::work_ahead() {
  const std::lock_guard work_lock(work_mutex_);
  {
    const std::lock_guard lock(mutex_);
    if (ended_) {
      return;
    }
  }
  if (!intake_ && !make_intake()) {
    const std::lock_guard lock(mutex_);
    ahead_ = false;
    return;
  }
  const std::uint64_t before = intake_->ciphertexts();
  try {
    take_all();
  } catch (...) {  // no memory, say; whoever answers the round hears of it
    failure_ = std::current_exception();
  }
  const std::lock_guard lock(mutex_);
  // Only now: a second job would make another worker wait for this one.
  job_queued_ = false;
  ahead_ = ahead_ && !failure_;
  if (!ended_) {
    options_.worked_ahead(intake_->ciphertexts() - before);
    schedule_locked();
  }
}

bool RoundUpload::make_intake() {
  try {
    if (auto key = options_.key()) {
      intake_ = std::make_unique<protocols::MessageIntake>(std::move(key), options_.bytes);
    }
  } catch (const std::exception&) {
    // The key was forgotten, or its store does not answer: the session has what it needs.
  }
  return intake_ != nullptr;
}

void RoundUpload::take_all() {
  for (;;) {
    Bytes piece;
    {
      const std::lock_guard lock(mutex_);
      if (waiting_.empty()) {
        lease_.resize(std::max<std::uint64_t>(options_.bytes, intake_->memory_bytes()));
        return;
      }
      piece = std::move(waiting_.front());
      waiting_.pop_front();
      waiting_bytes_ -= piece.size();
    }
    intake_->take(piece);
  }
}

MemoryBudget::Lease RoundUpload::take_lease() {
  const std::lock_guard lock(mutex_);
  return std::move(lease_);
}

protocols::MessageIntake& RoundUpload::finish(const std::shared_ptr<const paillier::PublicContext>& key) {
  const std::lock_guard work_lock(work_mutex_);
  if (failure_) {
    std::rethrow_exception(failure_);
  }
  if (!intake_) {
    intake_ = std::make_unique<protocols::MessageIntake>(key, options_.bytes);
  }
  take_all();
  return *intake_;
}

}  // namespace popcorn::service
