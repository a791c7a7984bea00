#include "protocols/shares/run/clear_sums_loop.h"

namespace popcorn::protocols::shares {

const ClearLoops& clear_loops_avx512() {
  static const ClearLoops loops{"avx512", add_scaled_loop, product_loop};
  return loops;
}

}  // namespace popcorn::protocols::shares
