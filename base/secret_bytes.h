// Memory that is wiped before it is given back.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "base/bytes.h"

namespace popcorn {

/// Overwrites the bytes in a way that no optimiser leaves out.
void wipe(std::span<std::uint8_t> bytes) noexcept;

/// Overwrites what a container of plain values holds and leaves it empty; its storage stays allocated.
template <class Container>
void wipe_and_clear(Container& values) noexcept {
  wipe({reinterpret_cast<std::uint8_t*>(values.data()), values.size() * sizeof(*values.data())});
  values.clear();
}

/// Wipes what it frees, so that a container that grows leaves no copy behind either.
template <class T>
struct WipingAllocator {
  using value_type = T;
  WipingAllocator() = default;
  template <class Other>
  explicit WipingAllocator(const WipingAllocator<Other>&) noexcept {}

  T* allocate(std::size_t count) { return std::allocator<T>().allocate(count); }
  void deallocate(T* block, std::size_t count) noexcept {
    wipe({reinterpret_cast<std::uint8_t*>(block), count * sizeof(T)});
    std::allocator<T>().deallocate(block, count);
  }
  friend bool operator==(const WipingAllocator&, const WipingAllocator&) noexcept { return true; }
};

/// A vector of plain values that leaves nothing behind when it grows or goes away.
template <class T>
using SecretVector = std::vector<T, WipingAllocator<T>>;

/// A byte string that is wiped when it goes away and is never copied by accident.
class SecretBytes {
 public:
  SecretBytes() = default;
  explicit SecretBytes(Bytes bytes) : bytes_(std::move(bytes)) {}
  /// `size` zeros.
  explicit SecretBytes(std::size_t size) : bytes_(size) {}
  SecretBytes(SecretBytes&& other) noexcept;
  SecretBytes& operator=(SecretBytes&& other) noexcept;
  SecretBytes(const SecretBytes&) = delete;
  SecretBytes& operator=(const SecretBytes&) = delete;
  ~SecretBytes();
  ByteView view() const noexcept { return bytes_; }
  std::span<std::uint8_t> writable() noexcept { return bytes_; }
  std::size_t size() const noexcept { return bytes_.size(); }
  /// Keeps the first `size` bytes, which must be there.
  void shrink(std::size_t size) noexcept;

 private:
  Bytes bytes_;
};

}  // namespace popcorn
