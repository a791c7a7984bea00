#include <catch2/catch.hpp>

#include "tests/cli/command_line.h"

namespace popcorn::test {

TEST_CASE("bench network counts what was predicted and tells where the time went", "[command_line]") {
  for (const char* sign_test : {"oblivious", "blinded"}) {
    INFO(sign_test);
    const nlohmann::json report = json_of(
        popcorn(with_test_key({"bench", "network", "mnist-mlp", "--runs", "1", "--baseline", "none",
                               "--image", "models/samples/3_1.png", "--sign-test", sign_test, "--json"})));
    for (const char* quantity : {"bytes_up", "bytes_down", "multiplications"}) {
      INFO(quantity);
      CHECK(report.at(quantity) == report.at("predicted_" + std::string(quantity)));
    }
    CHECK(report.at("predicted_seconds") > 0);
    std::vector<std::string> names;
    double seconds = 0;
    for (const auto& step : report.at("steps")) {
      names.push_back(step.at("name"));
      seconds += step.at("seconds").get<double>();
    }
    CHECK(names == std::vector<std::string>{"input", "relu1", "relu2"});
    CHECK(seconds > 0);
    CHECK(seconds <= report.at("seconds"));
  }
  CHECK(popcorn(with_test_key({"bench", "network", "mnist-mlp", "--image", "absent.png"})).exit_code == 4);
}

}  // namespace popcorn::test
