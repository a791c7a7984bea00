// The smallest engine there is, to show that nothing but its own file and the list of engines knows one: a
// round of preparation, then the input and the answer in the clear. It protects nobody.
#pragma once

#include "protocols/engine.h"

namespace popcorn::test {

const protocols::Engine& skeleton_engine();

}  // namespace popcorn::test
