// Linking this file puts the skeleton on the list, at its end.
#include "protocols/engines.h"
#include "tests/engines/skeleton_engine.h"

namespace {

const bool is_registered = [] {
  popcorn::protocols::register_engine(popcorn::test::skeleton_engine());
  return true;
}();

}  // namespace
