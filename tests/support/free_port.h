// Ports for programs that cannot choose one by themselves.
#pragma once

#include <cstdint>

namespace popcorn::test {

/// A TCP port of 127.0.0.1 that nobody listens on now. @throws std::runtime_error
std::uint16_t free_port();

}  // namespace popcorn::test
