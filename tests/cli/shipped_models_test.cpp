#include <catch2/catch.hpp>
#include <filesystem>

#include "tests/cli/command_line.h"

namespace popcorn::test {

namespace {

/// Beyond it a verification takes minutes; `popcorn verify NAME` does it by hand.
constexpr std::uint64_t kMostMultiplications = 10'000'000;

}  // namespace

TEST_CASE("Every shipped network of moderate cost computes the same under encryption", "[command_line]") {
  std::size_t verified = 0;
  for (const auto& entry : std::filesystem::directory_iterator("models")) {
    if (entry.path().extension() != ".popcorn") continue;
    const std::string name = entry.path().stem().string();
    INFO(name);
    const nlohmann::json cost = json_of(popcorn(with_test_key({"inspect", name, "--cost", "--json"})));
    if (cost.at("multiplications") > kMostMultiplications) {
      WARN(name << " is not verified here: it takes " << cost.at("multiplications") << " multiplications");
      continue;
    }
    const nlohmann::json report = json_of(popcorn(with_test_key({"verify", name, "--json"})));
    CHECK(report.at("equal") == true);
    CHECK(report.at("tensors") == cost.at("layers").size());
    ++verified;
  }
  CHECK(verified >= 5);
}

}  // namespace popcorn::test
