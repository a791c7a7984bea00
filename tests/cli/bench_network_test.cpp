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

TEST_CASE("ReLU between two processes over HTTP is right and sends what it sends in one", "[command_line]") {
  const std::vector<std::string> small = {"--source", "b10", "--transfers", "100000", "--json"};
  const auto bench = [&](const std::vector<std::string>& more) {
    std::vector<std::string> arguments = {"bench", "transfers"};
    arguments.insert(arguments.end(), small.begin(), small.end());
    arguments.insert(arguments.end(), more.begin(), more.end());
    return popcorn(arguments);
  };
  const nlohmann::json over_http = json_of(bench({"--http", "2"}));
  CHECK(over_http.at("wrong") == 0);
  CHECK(over_http.at("checked") == 4 * 32768);  // the first and the last batch of both pairs
  CHECK(over_http.at("values") == 4 * 32768);
  CHECK(over_http.at("values_per_second") > 0);
  for (const char* party : {"server", "client"}) {
    const nlohmann::json& time = over_http.at(party);
    CHECK(time.at("transfers_seconds").get<double>() > 0);
    CHECK(time.at("transfers_seconds").get<double>() + time.at("steps_seconds").get<double>() <
          time.at("user_seconds").get<double>() + time.at("system_seconds").get<double>());
  }
  const nlohmann::json here = json_of(bench({"--op", "relu", "--samples", "1"})).at("results").at(0);
  const double bytes = (over_http.at("bytes_up").get<double>() + over_http.at("bytes_down").get<double>()) /
                       over_http.at("values").get<double>();
  CHECK(bytes == Approx(here.at("bytes").get<double>()).epsilon(0.05));
  CHECK(bench({"--http", "2", "--op", "random"}).exit_code == 2);
  CHECK(bench({"--http", "2", "--op", "relu,maximum"}).exit_code == 2);
}

}  // namespace popcorn::test
