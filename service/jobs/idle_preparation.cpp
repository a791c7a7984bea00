#include "service/jobs/idle_preparation.h"

#include <algorithm>
#include <chrono>

namespace popcorn::service {

namespace {

constexpr std::size_t kTogether = 64;
/// Bounds the memory: 10 MB with a 2048-bit key.
constexpr std::uint64_t kMostPrepared = 16384;

}  // namespace

IdlePreparation::IdlePreparation(std::shared_ptr<const paillier::KeyOwner> owner, std::uint64_t wanted)
    : owner_(std::move(owner)), wanted_(wanted) {}

void IdlePreparation::start() {
  stop();
  if (!started_) encryptions_before_ = owner_->encryptions();
  started_ = true;
  if (!wants_more()) return;
  stopping_ = false;
  thread_ = std::thread([this] { work(); });
}

void IdlePreparation::stop() {
  stopping_ = true;
  if (thread_.joinable()) thread_.join();
}

bool IdlePreparation::wants_more() const {
  const std::uint64_t made = owner_->encryptions() - encryptions_before_;
  return owner_->prepared() < std::min(kMostPrepared, wanted_ - std::min(wanted_, made));
}

void IdlePreparation::work() {
  const auto start = std::chrono::steady_clock::now();
  while (!stopping_ && wants_more()) {
    owner_->prepare(kTogether);
    prepared_ += kTogether;
  }
  seconds_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace popcorn::service
