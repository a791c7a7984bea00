#include "protocols/ot/bits/block_array.h"

#include <sys/mman.h>

#include <map>
#include <mutex>
#include <new>
#include <utility>

#include "base/secret_bytes.h"

namespace popcorn::protocols::ot {

namespace {

constexpr std::size_t kPage = 4096;
constexpr std::size_t kHugePage = std::size_t{2} << 20;

/// `bytes` at a multiple of `unit`, both multiples of a page; what was mapped around it is given back.
void* aligned_pages(std::size_t bytes, std::size_t unit) {
  const std::size_t mapped = bytes + unit - kPage;
  void* const memory = ::mmap(nullptr, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  auto* const start = static_cast<std::uint8_t*>(memory);
  const std::size_t before = (unit - reinterpret_cast<std::uintptr_t>(memory) % unit) % unit;
  const std::size_t after = mapped - before - bytes;
  if (before > 0) ::munmap(start, before);
  if (after > 0) ::munmap(start + before + bytes, after);
  return start + before;
}

/// Mappings that arrays have left, wiped: a session's arrays have the sizes of the last one's, and to have
/// pages mapped and cleared again costs more than to fill them.
class LeftMappings {
 public:
  /// A mapping of exactly so many bytes, all zero, or null.
  void* take(std::size_t bytes) {
    const std::lock_guard lock(mutex_);
    const auto found = mappings_.find(bytes);
    if (found == mappings_.end()) return nullptr;
    void* const data = found->second;
    mappings_.erase(found);
    held_ -= bytes;
    return data;
  }
  /// Whether it is held; otherwise the caller unmaps it.
  bool leave(void* data, std::size_t bytes) noexcept {
    const std::lock_guard lock(mutex_);
    if (held_ + bytes > kMostHeld) return false;
    try {
      mappings_.emplace(bytes, data);
    } catch (const std::bad_alloc&) {
      return false;
    }
    held_ += bytes;
    return true;
  }

 private:
  static constexpr std::size_t kMostHeld = std::size_t{48} << 20;
  std::mutex mutex_;
  std::multimap<std::size_t, void*> mappings_;  ///< by size
  std::size_t held_ = 0;
};

/// Never destroyed: arrays of static lifetime may go after it.
LeftMappings& left_mappings() {
  static auto* const mappings = new LeftMappings;
  return *mappings;
}

}  // namespace

BlockArray::BlockArray(std::size_t count) : count_(count) {
  if (count == 0) return;
  const std::size_t unit = count * sizeof(Block) >= kHugePage ? kHugePage : kPage;
  bytes_ = (count * sizeof(Block) + unit - 1) / unit * unit;
  data_ = static_cast<Block*>(left_mappings().take(bytes_));
  if (data_ != nullptr) return;
  data_ = static_cast<Block*>(aligned_pages(bytes_, unit));
  // Only speed depends on it: the code's look-ups are spread over the whole array.
  if (unit == kHugePage) static_cast<void>(::madvise(data_, bytes_, MADV_HUGEPAGE));
}

BlockArray::~BlockArray() {
  if (data_ == nullptr) return;
  wipe({reinterpret_cast<std::uint8_t*>(data_), count_ * sizeof(Block)});
  if (!left_mappings().leave(data_, bytes_)) ::munmap(data_, bytes_);
}

BlockArray::BlockArray(BlockArray&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)),
      count_(std::exchange(other.count_, 0)),
      bytes_(std::exchange(other.bytes_, 0)) {}

BlockArray& BlockArray::operator=(BlockArray&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(count_, other.count_);
  std::swap(bytes_, other.bytes_);
  return *this;
}

}  // namespace popcorn::protocols::ot
