// What the README says to type is typed.
#include <catch2/catch.hpp>
#include <filesystem>

#include "base/file.h"
#include "tests/cli/command_line.h"
#include "tests/support/free_port.h"
#include "tests/support/prometheus_text.h"

namespace popcorn::test {

namespace {

/// The shell blocks between a heading and the next one, each followed by a line that tells them apart.
std::string shell_blocks(const std::string& heading) {
  const std::string text = read_text_file("README.md");
  const std::size_t begin = text.find("\n" + heading + "\n");
  REQUIRE(begin != std::string::npos);
  const std::size_t end = text.find("\n## ", begin);
  const std::string fence = "```sh\n";
  std::string script;
  for (std::size_t at = text.find(fence, begin); at < end; at = text.find(fence, at)) {
    at += fence.size();
    const std::size_t close = text.find("```", at);
    REQUIRE(close < end);
    script += text.substr(at, close - at) + "echo; echo --- end of block\n";
    at = close;
  }
  return script;
}

void replace_all(std::string& text, const std::string& what, const std::string& instead) {
  REQUIRE(text.find(what) != std::string::npos);
  for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + instead.size()))
    text.replace(at, what.size(), instead);
}

std::vector<std::string> split(const std::string& text, const std::string& separator) {
  std::vector<std::string> parts;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find(separator, at), text.size());
    parts.push_back(text.substr(at, end - at));
    at = end + separator.size();
  }
  return parts;
}

}  // namespace

TEST_CASE("The README's curl examples work as written", "[command_line]") {
  const TemporaryFolder folder;
  std::filesystem::create_directory_symlink(std::filesystem::absolute("samples"), folder.path("samples"));
  std::filesystem::create_directory_symlink(std::filesystem::path(popcorn_executable()).parent_path(),
                                            folder.path("build"));
  std::string script = shell_blocks("### With curl");
  replace_all(script, "8443", std::to_string(free_port()));
  replace_all(script, "9090", std::to_string(free_port()));
  script = "set -euo pipefail\ntrap 'kill $(jobs -p)' EXIT\ncd " + folder.path(".") + "\n" + script;
  const ProcessResult result = run_process({"/bin/bash", "-c", script});
  INFO(result.out);
  INFO(result.err);
  REQUIRE(result.exit_code == 0);

  const std::vector<std::string> outputs = split(result.out, "--- end of block\n");
  REQUIRE(outputs.size() >= 5);
  CHECK_THAT(outputs[1], Catch::Contains(R"({"ready":true})") && Catch::Contains("\"mnist-mlp.label\"") &&
                             Catch::Contains("\"expected_traffic\""));
  CHECK_THAT(outputs[2], Catch::Contains("\"key_id\"") && Catch::Contains("\"bits\":3072"));
  CHECK_THAT(outputs[3], Catch::Contains("samples/7_1.png") && Catch::Contains(" 7 "));
  const std::size_t after_metrics = outputs[4].rfind("{\"draining\":true");
  REQUIRE(after_metrics != std::string::npos);
  const auto values = parse_prometheus_text(outputs[4].substr(0, after_metrics));
  CHECK(values.at("popcorn_sessions_total{outcome=\"finished\"}") == 1);
  CHECK(values.at("popcorn_ciphertexts_received_total") > 784);
}

}  // namespace popcorn::test
