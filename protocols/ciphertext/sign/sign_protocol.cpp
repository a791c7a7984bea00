#include "protocols/ciphertext/sign/sign_protocol.h"

#include <array>
#include <string>

#include "base/error.h"
#include "protocols/ciphertext/sign/blinded_sign_protocol.h"
#include "protocols/ciphertext/sign/oblivious_sign_protocol.h"

namespace popcorn::protocols {

namespace {

std::span<const SignTest* const> all_sign_tests() {
  static const std::array<const SignTest*, 2> tests{&oblivious_sign_test(), &blinded_sign_test()};
  return tests;
}

}  // namespace

std::vector<std::string_view> sign_test_names() {
  std::vector<std::string_view> names;
  for (const SignTest* test : all_sign_tests()) names.push_back(test->name());
  return names;
}

const SignTest& sign_test_named(std::string_view name) {
  std::string known;
  for (const SignTest* test : all_sign_tests()) {
    if (test->name() == name) return *test;
    known += (known.empty() ? "" : ", ") + std::string(test->name());
  }
  throw RefusedError("sign_test.unknown",
                     "there is no sign test \"" + std::string(name) + "\"; known are: " + known);
}

}  // namespace popcorn::protocols
