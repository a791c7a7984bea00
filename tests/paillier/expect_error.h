// Checks of what went wrong, not only that something did.
#pragma once

#include <catch2/catch.hpp>
#include <string>

#include "base/error.h"

namespace popcorn::test {

/// Runs `action`, which must throw an Expected error with this code; gives its message.
template <typename Expected = InputError, typename Action>
std::string expect_error(const std::string& code, const Action& action) {
  try {
    action();
  } catch (const Expected& error) {
    INFO(error.what());
    REQUIRE(error.code() == code);
    return error.what();
  }
  FAIL("expected the error " << code << ", got none");
  return {};
}

}  // namespace popcorn::test
