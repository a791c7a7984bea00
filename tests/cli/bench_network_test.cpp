#include <catch2/catch.hpp>

#include "base/file.h"
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

TEST_CASE("bench network tells the time over a network, and how it knows", "[command_line]") {
  const nlohmann::json report = json_of(popcorn(with_test_key(
      {"bench", "network", "mnist-mlp", "--runs", "1", "--engine", "shares", "--network", "wan", "--json"})));
  const nlohmann::json& network = report.at("network");
  CHECK(network.at("name") == "wan");
  const double seconds = report.at("seconds"), over = network.at("seconds");
  const double rounds = report.at("rounds"), online_rounds = report.at("online_rounds");
  CHECK(rounds > online_rounds);
  CHECK(report.at("online_bytes") <
        report.at("bytes_up").get<double>() + report.at("bytes_down").get<double>());
  CHECK(report.at("transfers") > 1000);
  if (network.at("how") == "computed") {
    const double bytes = report.at("bytes_up").get<double>() + report.at("bytes_down").get<double>();
    CHECK(over == Approx(seconds + 0.04 * rounds + 8 * bytes / 400e6));
    CHECK(network.at("online_seconds").get<double>() > 0.04 * online_rounds);
  } else {
    CHECK(network.at("how") == "emulated");
    CHECK(seconds > 0.04 * rounds);  // it really takes that long
    CHECK(over == seconds);
  }
}

TEST_CASE("bench network compares exact networks alone with the textbook", "[command_line]") {
  const ProcessResult result = popcorn(
      with_test_key({"bench", "network", "mnist-mlp", "--engine", "shares", "--baseline", "textbook"}));
  CHECK(result.exit_code == 2);
  CHECK_THAT(result.err, Catch::Contains("bench.baseline"));
}

TEST_CASE("a suite is measured once, kept, and reported", "[command_line]") {
  const TemporaryFolder folder;
  const std::string results = folder.path("results");
  const std::vector<std::string> suite = {
      "bench",  "suite", "--quick",   "--only", "inference/mnist-mlp/shares",
      "--runs", "1",     "--results", results};
  const ProcessResult first = popcorn(suite);
  INFO(first.out << first.err);
  REQUIRE(first.exit_code == 0);
  CHECK_THAT(first.out, Catch::Contains("[2/2] inference/mnist-mlp/shares-fast") && !Catch::Contains("kept"));
  const std::string written = read_text_file(results + "/suite.json");
  const nlohmann::json document = nlohmann::json::parse(written);
  REQUIRE(document.at("cells").size() == 2);
  CHECK(document.at("cells")[0].at("report").at("engine") == "shares");
  CHECK(document.at("command") == "popcorn bench suite --quick --runs 1 --only inference/mnist-mlp/shares");

  std::vector<std::string> again = suite;
  again.emplace_back("--resume");
  const ProcessResult second = popcorn(again);
  CHECK_THAT(second.out, Catch::Contains("[1/2] inference/mnist-mlp/shares: kept") &&
                             Catch::Contains("[2/2] inference/mnist-mlp/shares-fast: kept"));
  CHECK(read_text_file(results + "/suite.json") == written);

  const ProcessResult table = popcorn({"bench", "report", results});
  CHECK_THAT(table.out, Catch::Contains("| `mnist-mlp` | shares |"));
  CHECK(popcorn({"bench", "report", results, "--html", folder.path("again.html")}).exit_code == 0);
  CHECK(read_text_file(folder.path("again.html")) == read_text_file(results + "/report.html"));
}

TEST_CASE("the tables of docs/benchmarks.md are those of docs/results", "[command_line]") {
  const ProcessResult result = popcorn({"bench", "report", "docs/results", "--check", "docs/benchmarks.md"});
  INFO(result.err);
  CHECK(result.exit_code == 0);
  const TemporaryFolder folder;
  std::string text = read_text_file("docs/benchmarks.md");
  const std::size_t at = text.find("| `mnist-conv2` |");
  REQUIRE(at != std::string::npos);
  text.insert(at + 3, "x");
  write_file(folder.path("changed.md"), as_bytes(text));
  CHECK(popcorn({"bench", "report", "docs/results", "--check", folder.path("changed.md")}).exit_code == 8);
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
