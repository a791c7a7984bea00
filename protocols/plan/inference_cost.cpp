#include "protocols/plan/inference_cost.h"

namespace popcorn::protocols {

void InferenceCost::add_up() {
  multiplications = naive_multiplications = ciphertexts_up = ciphertexts_down = bytes_up = bytes_down = 0;
  for (const Layer& layer : layers) {
    multiplications += layer.multiplications;
    naive_multiplications += layer.naive_multiplications;
    ciphertexts_up += layer.ciphertexts_up;
    ciphertexts_down += layer.ciphertexts_down;
    bytes_up += layer.bytes_up;
    bytes_down += layer.bytes_down;
  }
}

}  // namespace popcorn::protocols
