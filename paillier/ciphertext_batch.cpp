#include "paillier/ciphertext_batch.h"

#include <array>
#include <cstring>
#include <new>

#include "paillier/kernels/modulus.h"

namespace popcorn::paillier {

namespace {

constexpr std::align_val_t kAlignment{64};

}  // namespace

void CiphertextBatch::AlignedFree::operator()(std::uint64_t* words) const noexcept {
  ::operator delete(words, kAlignment);
}

CiphertextBatch::CiphertextBatch(std::shared_ptr<const kernels::Modulus> modulus, std::size_t size)
    : modulus_(std::move(modulus)), size_(size) {
  if (size_ == 0) return;
  words_.reset(static_cast<std::uint64_t*>(::operator new(memory_bytes(), kAlignment)));
  if (size_ % modulus_->lanes() != 0) {
    std::memcpy(group(groups() - 1), modulus_->one(), modulus_->group_words() * sizeof(std::uint64_t));
  }
}

std::size_t CiphertextBatch::groups() const noexcept {
  return size_ == 0 ? 0 : (size_ + modulus_->lanes() - 1) / modulus_->lanes();
}

std::size_t CiphertextBatch::memory_bytes() const noexcept {
  return size_ == 0 ? 0 : groups() * modulus_->group_words() * sizeof(std::uint64_t);
}

std::uint64_t* CiphertextBatch::group(std::size_t g) noexcept {
  return words_.get() + g * modulus_->group_words();
}

const std::uint64_t* CiphertextBatch::group(std::size_t g) const noexcept {
  return words_.get() + g * modulus_->group_words();
}

CiphertextBatch CiphertextBatch::clone() const {
  CiphertextBatch copy(modulus_, size_);
  if (size_ != 0) std::memcpy(copy.words_.get(), words_.get(), memory_bytes());
  return copy;
}

CiphertextBatch CiphertextBatch::gather(std::span<const std::uint32_t> places) const {
  CiphertextBatch result(modulus_, places.size());
  std::array<const std::uint64_t*, kernels::kMaxLanes> operands{};
  const std::size_t lanes = places.empty() ? 1 : modulus_->lanes();
  for (std::size_t g = 0; g < result.groups(); ++g) {
    for (std::size_t lane = 0; lane < lanes; ++lane) {
      const std::size_t i = g * lanes + lane;
      operands[lane] = i < places.size() ? modulus_->operand(words_.get(), places[i]) : nullptr;
    }
    modulus_->kernel().gather(modulus_->view(), result.group(g), operands.data());
  }
  return result;
}

CiphertextBatch CiphertextBatch::slice(std::size_t first, std::size_t count) const {
  std::vector<std::uint32_t> places(count);
  for (std::size_t i = 0; i < count; ++i) places[i] = static_cast<std::uint32_t>(first + i);
  return gather(places);
}

CiphertextBatch CiphertextBatch::concat(std::span<const CiphertextBatch* const> parts) {
  std::size_t size = 0;
  std::shared_ptr<const kernels::Modulus> modulus;
  for (const CiphertextBatch* part : parts) {
    size += part->size();
    if (modulus == nullptr) modulus = part->modulus_;
  }
  if (size == 0) return {};
  CiphertextBatch result(modulus, size);
  std::vector<const std::uint64_t*> operands;
  const std::size_t lanes = modulus->lanes();
  operands.reserve(result.groups() * lanes);
  for (const CiphertextBatch* part : parts) {
    for (std::size_t i = 0; i < part->size(); ++i)
      operands.push_back(modulus->operand(part->words_.get(), i));
  }
  operands.resize(result.groups() * lanes, nullptr);
  for (std::size_t g = 0; g < result.groups(); ++g) {
    modulus->kernel().gather(modulus->view(), result.group(g), operands.data() + g * lanes);
  }
  return result;
}

}  // namespace popcorn::paillier
