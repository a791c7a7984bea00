#include <catch2/catch.hpp>
#include <csignal>

#include "models/file/popcorn_file.h"
#include "tests/cli/command_line.h"
#include "tests/cli/small_network.h"

namespace popcorn::test {

TEST_CASE("The demo classifies the samples through a server process of its own", "[command_line]") {
  const TemporaryFolder folder;
  const std::string model = write_small_network(folder.path("small.popcorn"));
  const ProcessResult result = popcorn(with_test_key({"demo", "--model", model, "--images", "4", "--json"}));
  INFO(result.err);
  REQUIRE(result.exit_code == 0);
  const nlohmann::json report = json_of(result);
  CHECK(report.at("ok") == true);
  REQUIRE(report.at("results").size() == 4);
  for (const nlohmann::json& answer : report.at("results")) {
    CHECK(answer.at("equals_plaintext") == true);
    CHECK(answer.at("expected").get<std::string>() == answer.at("input").get<std::string>().substr(0, 1));
  }
  CHECK(report.at("server_saw").at("sessions_finished") == 4);
}

TEST_CASE("The demo of a shipped model runs on shares unless it is told otherwise", "[command_line]") {
  const std::vector<std::pair<std::string, std::string>> engines = {
      {"", "shares"}, {"shares-fast", "shares-fast"}, {"ciphertext", "ciphertext"}};
  for (const auto& [option, engine] : engines) {
    std::vector<std::string> arguments = {"demo", "--model", "mnist-mlp", "--images", "3", "--json"};
    if (!option.empty()) arguments.insert(arguments.end(), {"--engine", option});
    const ProcessResult result = popcorn(with_test_key(arguments));
    INFO(result.err);
    REQUIRE(result.exit_code == 0);
    const nlohmann::json report = json_of(result);
    CHECK(report.at("engine") == engine);
    CHECK(report.at("ok") == true);
  }
}

TEST_CASE("The demo shows a table, the key's story and what the server saw", "[command_line]") {
  const TemporaryFolder folder;
  const std::string model = write_small_network(folder.path("small.popcorn"));
  const ProcessResult result = popcorn(with_test_key({"demo", "--model", model, "--images", "2"}));
  INFO(result.err);
  CHECK(result.exit_code == 0);
  CHECK_THAT(result.out, Catch::Contains("0_1.png") && Catch::Contains("expected") &&
                             Catch::Contains("predicted") && Catch::Contains("temporary 768-bit key") &&
                             Catch::Contains("What the server saw"));
}

TEST_CASE("Ctrl-C ends the demo and its server", "[command_line]") {
  const TemporaryFolder folder;
  const std::string model = write_small_network(folder.path("small.popcorn"));
  Process demo(command({"demo", "--model", model}));
  std::string line;
  while (line.rfind("server: process ", 0) != 0) line = demo.read_line();
  const pid_t server = std::stoi(line.substr(std::string("server: process ").size()));
  for (int i = 0; i < 4; ++i) demo.read_line();
  demo.send_signal(SIGINT);
  CHECK(demo.wait().exit_code == 130);
  CHECK(::kill(server, 0) != 0);
}

}  // namespace popcorn::test
