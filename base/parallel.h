// Spreading independent work over the cores. Whoever includes this links oneTBB.
#pragma once

#include <tbb/blocked_range.h>
#include <tbb/parallel_for.h>

#include <cstddef>

#if defined(__SANITIZE_THREAD__)
#define POPCORN_THREAD_SANITIZER
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define POPCORN_THREAD_SANITIZER
#endif
#endif
#ifdef POPCORN_THREAD_SANITIZER
#include <sanitizer/tsan_interface.h>
#endif

namespace popcorn {

/// oneTBB is not compiled with ThreadSanitizer, which therefore does not see that all pieces of a loop come
/// after what was before it and before what is after it: this says so. Nothing in other builds.
class LoopOrder {
 public:
#ifdef POPCORN_THREAD_SANITIZER
  LoopOrder() {
    __tsan_release(&begin_);
  }
  ~LoopOrder() {
    __tsan_acquire(&end_);
  }
  LoopOrder(const LoopOrder&) = delete;
  LoopOrder& operator=(const LoopOrder&) = delete;
  void enter() const {
    __tsan_acquire(&begin_);
  }
  void leave() const {
    __tsan_release(&end_);
  }

 private:
  mutable char begin_ = 0, end_ = 0;
#else
  LoopOrder() {}
  void enter() const {}
  void leave() const {}
#endif
};

/// body(begin, end) over [0, count) in pieces of at most `grain`, on all cores of the current oneTBB arena.
template <typename Body>
void parallel_ranges(std::size_t count, std::size_t grain, const Body& body) {
  const LoopOrder order;
  tbb::parallel_for(
      tbb::blocked_range<std::size_t>(0, count, grain),
      [&](const tbb::blocked_range<std::size_t>& range) {
        order.enter();
        body(range.begin(), range.end());
        order.leave();
      },
      tbb::simple_partitioner());
}

/// body(i) for every i below count, in pieces of one.
template <typename Body>
void parallel_indices(std::size_t count, const Body& body) {
  parallel_ranges(count, 1, [&](std::size_t i, std::size_t) { body(i); });
}

}  // namespace popcorn
