// The engine "ciphertext": every neuron a ciphertext at the server, linear layers as weighted sums of them,
// the others by shares and sign tests (see protocols/README.md).
#pragma once

#include "protocols/engine.h"

namespace popcorn::protocols {

const Engine& ciphertext_engine();

}  // namespace popcorn::protocols
