// The order of a parallel loop, for ThreadSanitizer; nothing in other builds.
//
// oneTBB is not compiled with ThreadSanitizer, which therefore does not see that all pieces of a loop come after
// what was before it and before what is after it.
#pragma once

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

/// Lives as long as the loop; each call of the loop's body begins with a Piece of it.
class LoopOrder {
 public:
#ifdef POPCORN_THREAD_SANITIZER
  LoopOrder() { __tsan_release(&begin_); }
  ~LoopOrder() { __tsan_acquire(&end_); }
  LoopOrder(const LoopOrder&) = delete;
  LoopOrder& operator=(const LoopOrder&) = delete;

  class Piece {
   public:
    explicit Piece(const LoopOrder& loop) : loop_(loop) { __tsan_acquire(&loop_.begin_); }
    ~Piece() { __tsan_release(&loop_.end_); }
    Piece(const Piece&) = delete;
    Piece& operator=(const Piece&) = delete;

   private:
    const LoopOrder& loop_;
  };

 private:
  mutable char begin_ = 0, end_ = 0;
#else
  LoopOrder() {}
  struct Piece {
    explicit Piece(const LoopOrder&) {}
  };
#endif
};

}  // namespace popcorn
