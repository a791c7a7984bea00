// What the README says to type is typed.
#include <catch2/catch.hpp>
#include <filesystem>

#include "base/file.h"
#include "cli/terminal/output.h"
#include "models/datasets/table_file.h"
#include "models/evaluation/plaintext_evaluator.h"
#include "models/file/popcorn_file.h"
#include "models/input/input_encoding.h"
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
  std::filesystem::create_directory_symlink(std::filesystem::absolute("models"), folder.path("models"));
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
  CHECK_THAT(outputs[3], Catch::Contains("models/samples/7_1.png") && Catch::Contains(" 7 "));
  const std::size_t after_metrics = outputs[4].rfind("{\"draining\":true");
  REQUIRE(after_metrics != std::string::npos);
  const auto values = parse_prometheus_text(outputs[4].substr(0, after_metrics));
  CHECK(values.at("popcorn_sessions_total{outcome=\"finished\"}") == 1);
  CHECK(values.at("popcorn_ciphertexts_received_total") > 100);
}

TEST_CASE("A table goes from file to private answer by the README's five commands", "[command_line]") {
  if (!json_of(popcorn({"version", "--json"})).at("compression").get<bool>()) {
    WARN("this build has no compression toolchain: not tested");
    return;
  }
  const TemporaryFolder folder;
  std::filesystem::create_directory_symlink(std::filesystem::absolute("models"), folder.path("models"));
  std::filesystem::create_directory_symlink(std::filesystem::path(popcorn_executable()).parent_path(),
                                            folder.path("build"));
  std::string script = shell_blocks("### Rows of numbers");
  script.erase(script.find("echo; echo --- end of block"));
  const std::string port = std::to_string(free_port());
  replace_all(script, "8444", port);
  // The server runs beside the rest, in a terminal of its own.
  replace_all(script, "--port " + port,
              "--port " + port +
                  " >serve.log 2>&1 &\ncurl --silent --retry 20 --retry-connrefused --retry-delay 1 "
                  "http://127.0.0.1:" +
                  port + "/v2/health/ready >&2");
  replace_all(script, "models/samples/new_applicants.csv",
              "models/samples/new_applicants.csv --bits 2048 --json");
  const ProcessResult result =
      run_process({"/bin/bash", "-c",
                   "set -euo pipefail\ntrap 'kill $(jobs -p)' EXIT\ncd " + folder.path(".") + "\n" + script});
  INFO(result.out);
  INFO(result.err);
  REQUIRE(result.exit_code == 0);
  CHECK_THAT(result.out, Catch::Contains("rows of 5 numbers") && Catch::Contains("late_payments: 0 to"));
  const auto answers = nlohmann::json::parse(result.out.substr(result.out.rfind("{\n  \"model\"")));
  REQUIRE(answers.at("results").size() == 6);
  const ProcessResult measured = popcorn({"evaluate", folder.path("applicants.popcorn"), "--data",
                                          "models/samples/applicants.csv", "--label", "approved", "--json"});
  INFO(measured.err);
  REQUIRE(measured.exit_code == 0);
  CHECK(json_of(measured).at("accuracy") > 0.75);
  // Each row's answer is the plaintext network's, whatever column stands where.
  const models::IntegerNetwork network = models::read_network(folder.path("applicants.popcorn"));
  std::vector<std::string> names;
  for (const models::InputColumn& column : network.encoding.columns) names.push_back(column.name);
  const datasets::NumberTable rows = datasets::read_rows("models/samples/new_applicants.csv", names);
  for (std::size_t row = 0; row < rows.rows(); ++row) {
    const WideVector logits = models::evaluate(
        network,
        models::encode_row(network.encoding, {rows.values.data() + row * rows.columns, rows.columns}));
    const auto& answer = answers.at("results").at(row);
    CHECK(answer.at("input") == "models/samples/new_applicants.csv:" + std::to_string(row + 1));
    for (std::size_t k = 0; k < logits.size(); ++k) CHECK(answer.at("logits").at(k) == logits.to_int64(k));
    CHECK((answer.at("label") == "yes" || answer.at("label") == "no"));
  }
}

TEST_CASE("The README's figures on shares are what the service announces", "[command_line]") {
  const std::vector<std::string> names = {"mnist-mlp", "mnist-conv2", "cifar10-conv7"};
  Process server(command({"serve", names[0], names[1], names[2], "--engine", "shares", "--output", "logits",
                          "--port", "0", "--json"}));
  const std::string url = nlohmann::json::parse(server.read_line()).at("url");
  const std::string text = read_text_file("README.md");
  const std::string table = text.substr(text.find("The same on shares"));
  for (const std::string& name : names) {
    const ProcessResult got = run_process(
        {"/bin/bash", "-c", "curl --silent --show-error --noproxy '*' " + url + "/v2/models/" + name});
    INFO(got.err);
    const nlohmann::json model = nlohmann::json::parse(got.out);
    std::string rows;
    for (const nlohmann::json& traffic : model.at("expected_traffic")) {
      if (traffic.at("key_bits") == 4096) continue;
      rows += (rows.empty() ? "| " : "| | | ") + traffic.at("key_bits").dump() + " | " +
              cli::human_bytes(traffic.at("bytes_up")) + " | " + cli::human_bytes(traffic.at("bytes_down")) +
              " | " + traffic.at("rounds").dump() + " | " + cli::grouped(traffic.at("multiplications")) +
              " |\n";
    }
    INFO(name << '\n' << rows);
    const std::size_t at = table.find("| `" + name + "` |");
    REQUIRE(at != std::string::npos);
    const std::size_t figures = table.find("% | ", at) + 2;
    CHECK(table.substr(figures, rows.size()) == rows);
  }
}

}  // namespace popcorn::test
