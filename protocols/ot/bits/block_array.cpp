#include "protocols/ot/bits/block_array.h"

#include <openssl/crypto.h>
#include <sys/mman.h>

#include <new>
#include <utility>

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

}  // namespace

BlockArray::BlockArray(std::size_t count) : count_(count) {
  if (count == 0) return;
  const std::size_t unit = count * sizeof(Block) >= kHugePage ? kHugePage : kPage;
  bytes_ = (count * sizeof(Block) + unit - 1) / unit * unit;
  data_ = static_cast<Block*>(aligned_pages(bytes_, unit));
  // Only speed depends on it: the code's look-ups are spread over the whole array.
  if (unit == kHugePage) static_cast<void>(::madvise(data_, bytes_, MADV_HUGEPAGE));
}

BlockArray::~BlockArray() {
  if (data_ == nullptr) return;
  OPENSSL_cleanse(data_, count_ * sizeof(Block));
  ::munmap(data_, bytes_);
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
