// What the README says to type is typed.
#include <catch2/catch.hpp>
#include <filesystem>
#include <iostream>
#include <map>

#include "base/file.h"
#include "cli/terminal/output.h"
#include "models/datasets/table_file.h"
#include "models/evaluation/plaintext_evaluator.h"
#include "models/file/popcorn_file.h"
#include "models/input/input_encoding.h"
#include "tests/cli/command_line.h"
#include "tests/docs/markdown.h"
#include "tests/docs/shell_script.h"
#include "tests/support/prometheus_text.h"

namespace popcorn::test {

namespace {

/// The shell blocks under a heading.
std::vector<std::string> shell_blocks(const std::string& heading) {
  std::vector<std::string> blocks;
  for (const MarkdownBlock& block : read_markdown("README.md").blocks) {
    if (block.heading == heading && block.language == "sh") blocks.push_back(block.text);
  }
  REQUIRE_FALSE(blocks.empty());
  return blocks;
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

/// The cells of a line of a table, without blanks around them.
std::vector<std::string> cells_of(const std::string& line) {
  std::vector<std::string> cells;
  for (std::string cell : split(line.substr(1), "|")) {
    const std::size_t first = cell.find_first_not_of(' ');
    cells.push_back(first == std::string::npos ? ""
                                               : cell.substr(first, cell.find_last_not_of(' ') + 1 - first));
  }
  return cells;
}

/// Lines of the first table behind `start` that begin with a model's name, and those that go on with it.
std::map<std::string, std::vector<std::vector<std::string>>> rows_by_model(const std::string& file,
                                                                           const std::string& start) {
  std::map<std::string, std::vector<std::vector<std::string>>> rows;
  const std::string text = read_text_file(file);
  const std::size_t begin = text.find(start);
  REQUIRE(begin != std::string::npos);
  std::string model;
  bool in_table = false;
  for (const std::string& line : split(text.substr(begin), "\n")) {
    if (line.empty() || line[0] != '|') {
      if (in_table) break;
      continue;
    }
    in_table = true;
    const std::vector<std::string> cells = cells_of(line);
    if (cells[0].rfind('`', 0) == 0) model = cells[0].substr(1, cells[0].size() - 2);
    if (!model.empty()) rows[model].push_back(cells);
  }
  return rows;
}

double fact(const nlohmann::json& report, const char* name) {
  return std::stod(report.at("facts").at(name).get<std::string>());
}

std::string shown_density(const nlohmann::json& report) {
  return report.at("density") == 1.0 ? "100 %, ±1" : cli::human_percent(report.at("density"), 1);
}

}  // namespace

TEST_CASE("The README's curl examples work as written", "[documentation]") {
  const ProjectFolder folder;
  ShellScript script(folder.path());
  for (const std::string& block : shell_blocks("### With curl")) {
    script.add(block);
    script.add("echo; echo --- end of block");
  }
  const ProcessResult result = script.run();
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

TEST_CASE("A table goes from file to private answer by the README's five commands", "[documentation]") {
  if (!has_compression()) {
    std::cerr << "SKIPPED: this build has no compression toolchain\n";
    return;
  }
  const ProjectFolder folder;
  ShellScript script(folder.path());
  for (std::string block : shell_blocks("### Rows of numbers")) {
    replace_all(block, "models/samples/new_applicants.csv",
                "models/samples/new_applicants.csv --bits 2048 --json");
    script.add(block);
  }
  const ProcessResult result = script.run();
  INFO(result.out);
  INFO(result.err);
  REQUIRE(result.exit_code == 0);
  CHECK_THAT(result.out, Catch::Contains("rows of 5 numbers") && Catch::Contains("late_payments: 0 to"));
  const auto answers = nlohmann::json::parse(result.out.substr(result.out.rfind("{\n  \"model\"")));
  REQUIRE(answers.at("results").size() == 6);
  const ProcessResult measured = popcorn({"evaluate", folder.path() + "/applicants.popcorn", "--data",
                                          "models/samples/applicants.csv", "--label", "approved", "--json"});
  INFO(measured.err);
  REQUIRE(measured.exit_code == 0);
  CHECK(json_of(measured).at("accuracy") > 0.75);
  // Each row's answer is the plaintext network's, whatever column stands where.
  const models::IntegerNetwork network = models::read_network(folder.path() + "/applicants.popcorn");
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

TEST_CASE("The README's figures on shares are what the service announces", "[documentation]") {
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

TEST_CASE("The README's figures on ciphertexts are what popcorn inspect counts", "[documentation]") {
  const auto rows = rows_by_model("README.md", "One inference with the oblivious sign test.");
  CHECK(rows.size() == 8);
  for (const auto& [model, lines] : rows) {
    REQUIRE(lines.size() == 2);
    for (std::size_t k = 0; k < lines.size(); ++k) {
      const nlohmann::json report = json_of(
          popcorn({"inspect", model, "--cost", "--no-time", "--json", "--bits", k == 0 ? "2048" : "3072"}));
      INFO(model);
      const std::vector<std::string> figures(lines[k].begin() + 3, lines[k].end());
      CHECK(figures ==
            std::vector<std::string>{report.at("key_bits").dump(), cli::human_bytes(report.at("bytes_up")),
                                     cli::human_bytes(report.at("bytes_down")), report.at("rounds").dump(),
                                     cli::grouped(report.at("multiplications"))});
      if (k > 0) continue;
      CHECK(lines[k][1] == cli::human_percent(fact(report, "integer_accuracy"), 2));
      CHECK(lines[k][2] == shown_density(report));
    }
  }
}

TEST_CASE("The table of shipped networks says what their files say", "[documentation]") {
  const auto rows = rows_by_model("models/README.md", "## Shipped networks");
  CHECK(rows.size() == 8);
  for (const auto& [model, lines] : rows) {
    INFO(model);
    const nlohmann::json report = json_of(popcorn({"inspect", model, "--json"}));
    const std::vector<std::string>& cells = lines.front();
    CHECK(cells[1] == cli::human_percent(fact(report, "float_accuracy"), 2));
    CHECK(cells[2] == cli::human_percent(fact(report, "integer_accuracy"), 2));
    const bool binary = shown_density(report) != cli::human_percent(report.at("density"), 1);
    CHECK(cells[3] == (binary ? "100 %" : shown_density(report)));
    CHECK(cells[4] == (binary ? "±1" : report.at("weight_bits").dump()));
    CHECK(cells[5] == cli::human_bytes(std::filesystem::file_size("models/" + model + ".popcorn")));
  }
}

}  // namespace popcorn::test
