// Spreading independent work over the cores.
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

namespace popcorn::paillier {

#ifdef POPCORN_THREAD_SANITIZER
/// oneTBB is not compiled with ThreadSanitizer, which therefore does not see that all pieces of a loop follow
/// what was before it and come before what is after it: this says so.
class LoopOrder {
 public:
  LoopOrder() { __tsan_release(&begin_); }
  ~LoopOrder() { __tsan_acquire(&end_); }
  void enter() const { __tsan_acquire(&begin_); }
  void leave() const { __tsan_release(&end_); }

 private:
  mutable char begin_ = 0, end_ = 0;
};
#else
struct LoopOrder {
  void enter() const {}
  void leave() const {}
};
#endif

/// body(begin, end) over [0, count) in pieces of at most `grain`, on all cores of the current oneTBB arena.
template <typename Body>
void parallel_ranges(std::size_t count, std::size_t grain, const Body& body) {
  const LoopOrder order{};
  tbb::parallel_for(
      tbb::blocked_range<std::size_t>(0, count, grain),
      [&](const tbb::blocked_range<std::size_t>& range) {
        order.enter();
        body(range.begin(), range.end());
        order.leave();
      },
      tbb::simple_partitioner());
}

}  // namespace popcorn::paillier
