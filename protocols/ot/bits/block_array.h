// Memory for millions of blocks: aligned, on huge pages where the system has them, wiped when it goes.
#pragma once

#include <cstddef>
#include <memory>

#include "protocols/ot/bits/block.h"

namespace popcorn::protocols::ot {

class BlockArray {
 public:
  BlockArray() = default;
  /// `count` zero blocks. @throws std::bad_alloc
  explicit BlockArray(std::size_t count);
  ~BlockArray();
  BlockArray(BlockArray&& other) noexcept;
  BlockArray& operator=(BlockArray&& other) noexcept;
  BlockArray(const BlockArray&) = delete;
  BlockArray& operator=(const BlockArray&) = delete;

  Block* data() noexcept { return data_; }
  const Block* data() const noexcept { return data_; }
  std::size_t size() const noexcept { return count_; }
  std::size_t memory_bytes() const noexcept { return bytes_; }

 private:
  Block* data_ = nullptr;
  std::size_t count_ = 0;
  std::size_t bytes_ = 0;
};

}  // namespace popcorn::protocols::ot
