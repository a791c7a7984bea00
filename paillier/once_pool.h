// Values made ahead of their use, each of them handed out once.
#pragma once

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <mutex>
#include <utility>
#include <vector>

namespace popcorn::paillier {

/// Thread-safe. Holds its lock only while values move in or out; a value that is taken is not in the pool any
/// more. Secret values wipe themselves when they are destroyed.
template <typename Value>
class OncePool {
 public:
  void put(std::vector<Value> values) {
    const std::lock_guard lock(mutex_);
    values_.insert(values_.end(), std::make_move_iterator(values.begin()),
                   std::make_move_iterator(values.end()));
  }

  /// At most `count` values: as many as there are.
  std::vector<Value> take(std::size_t count) {
    const std::lock_guard lock(mutex_);
    const std::size_t taken = std::min(count, values_.size());
    std::vector<Value> values;
    values.reserve(taken);
    for (std::size_t i = 0; i < taken; ++i) {
      values.push_back(std::move(values_.back()));
      values_.pop_back();
    }
    return values;
  }

  std::size_t size() const {
    const std::lock_guard lock(mutex_);
    return values_.size();
  }

 private:
  mutable std::mutex mutex_;
  std::vector<Value> values_;
};

}  // namespace popcorn::paillier
