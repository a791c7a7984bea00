// popcorn doctor, and suggestions for mistyped names.
#include <catch2/catch.hpp>

#include "tests/cli/command_line.h"
#include "tests/cli/small_network.h"
#include "tests/support/free_port.h"

namespace popcorn::test {

namespace {

/// Verdict and sentence of what was looked at; empty when it was not.
std::pair<std::string, std::string> found(const nlohmann::json& report, const std::string& subject) {
  for (const nlohmann::json& finding : report.at("findings")) {
    if (finding.at("subject") == subject) return {finding.at("verdict"), finding.at("found")};
  }
  return {};
}

}  // namespace

TEST_CASE("The doctor looks at machine, server and port", "[command_line]") {
  const TemporaryFolder folder;
  const RunningServer server(write_small_network(folder.path("small.popcorn")));
  const std::string port = server.url().substr(server.url().rfind(':') + 1);
  const ProcessResult result =
      popcorn({"doctor", "--no-speed", "--json", "--server", server.url(), "--port", port});
  INFO(result.err);
  REQUIRE(result.exit_code == 0);
  const nlohmann::json report = json_of(result);
  CHECK(report.at("problems") == 0);
  for (const char* subject :
       {"arithmetic", "transfers", "memory", "open files", "clock", "libraries", "models"}) {
    INFO(subject);
    CHECK_FALSE(found(report, subject).second.empty());
  }
  CHECK_THAT(found(report, "arithmetic").second, Catch::Contains("self-test passed"));
  CHECK(found(report, "server").first == "ok");
  CHECK_THAT(found(report, "server").second, Catch::Contains("it serves small"));
  CHECK(found(report, "port " + port).first == "advice");
  CHECK_THAT(found(report, "port " + port).second, Catch::Contains("in use"));
}

TEST_CASE("The doctor calls what will not work a problem", "[command_line]") {
  const std::string nobody = "http://127.0.0.1:" + std::to_string(free_port());
  const ProcessResult result =
      popcorn({"doctor", "--no-speed", "--json", "--server", nobody, "--store",
               "redis://127.0.0.1:" + std::to_string(free_port()) + "/0", "--data", "/no/such/folder"});
  CHECK(result.exit_code == 8);
  const nlohmann::json report = json_of(result);
  CHECK(report.at("problems") == 3);
  for (const char* subject : {"server", "store", "data sets"})
    CHECK(found(report, subject).first == "PROBLEM");
  CHECK_THAT(found(report, "server").second, Catch::Contains(nobody));
}

TEST_CASE("The doctor measures this machine's speed", "[command_line]") {
  const ProcessResult result = popcorn({"doctor", "--port", "0"}, {"POPCORN_DATA="});
  INFO(result.err);
  CHECK(result.exit_code == 0);
  CHECK_THAT(result.out, Catch::Contains("µs a multiplication modulo N²") &&
                             Catch::Contains("a decryption") && Catch::Contains("no problem was found"));
}

TEST_CASE("Mistyped names get a suggestion", "[command_line]") {
  const std::vector<std::pair<std::vector<std::string>, std::string>> cases = {
      {{"infre"}, "Did you mean infer?"},
      {{"evalute", "mnist-mlp"}, "Did you mean evaluate?"},
      {{"inspect", "mnist-mlp", "--csot"}, "Did you mean --cost?"},
      {{"bench", "pailler"}, "Did you mean paillier?"},
      {{"bench", "paillier", "--smaples=3"}, "Did you mean --samples?"}};
  for (const auto& [arguments, expected] : cases) {
    const ProcessResult result = popcorn(arguments);
    INFO(result.err);
    CHECK(result.exit_code == 2);
    CHECK_THAT(result.err, Catch::Contains(expected));
  }
  CHECK_THAT(popcorn({"frobnicate"}).err, !Catch::Contains("Did you mean"));
}

}  // namespace popcorn::test
