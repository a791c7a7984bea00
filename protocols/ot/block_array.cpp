#include "protocols/ot/block_array.h"

#include <openssl/crypto.h>
#include <sys/mman.h>

#include <new>
#include <utility>

namespace popcorn::protocols::ot {

namespace {

constexpr std::size_t kPage = 4096;
constexpr std::size_t kHugePage = std::size_t{2} << 20;

}  // namespace

BlockArray::BlockArray(std::size_t count) : count_(count) {
  if (count == 0) return;
  const std::size_t unit = count * sizeof(Block) >= kHugePage ? kHugePage : kPage;
  bytes_ = (count * sizeof(Block) + unit - 1) / unit * unit;
  void* const memory = ::mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  // Only speed depends on it: the code's look-ups are spread over the whole array.
  if (unit == kHugePage) static_cast<void>(::madvise(memory, bytes_, MADV_HUGEPAGE));
  data_ = static_cast<Block*>(memory);
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
