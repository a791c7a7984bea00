#include "tests/support/freed_memory.h"

#include <malloc.h>

#include <cstdlib>
#include <cstring>
#include <new>

namespace {

std::atomic<popcorn::test::FreedMemory*> watcher{nullptr};

void* allocate(std::size_t size, std::size_t alignment) {
  void* block = nullptr;
  if (alignment <= alignof(std::max_align_t)) {
    block = std::malloc(size == 0 ? 1 : size);
  } else if (::posix_memalign(&block, alignment, size) != 0) {
    block = nullptr;
  }
  if (block == nullptr) throw std::bad_alloc();
  return block;
}

void release(void* block) noexcept {
  auto* const watching = watcher.load();
  if (watching != nullptr && block != nullptr) watching->inspect(block);
  std::free(block);
}

}  // namespace

void* operator new(std::size_t size) {
  return allocate(size, 1);
}
void* operator new(std::size_t size, std::align_val_t alignment) {
  return allocate(size, static_cast<std::size_t>(alignment));
}
void operator delete(void* block) noexcept {
  release(block);
}
void operator delete(void* block, std::size_t /*size*/) noexcept {
  release(block);
}
void operator delete(void* block, std::align_val_t /*alignment*/) noexcept {
  release(block);
}
void operator delete(void* block, std::size_t /*size*/, std::align_val_t /*alignment*/) noexcept {
  release(block);
}

namespace popcorn::test {

void FreedMemory::watch() noexcept {
  watcher = this;
}

FreedMemory::~FreedMemory() {
  watcher = nullptr;
}

void FreedMemory::inspect(const void* block) noexcept {
  ++blocks_;
  const std::size_t size = ::malloc_usable_size(const_cast<void*>(block));
  for (const Bytes& needle : needles_) {
    if (::memmem(block, size, needle.data(), needle.size()) != nullptr) ++findings_;
  }
}

}  // namespace popcorn::test
