#include <catch2/catch.hpp>
#include <csignal>
#include <sstream>

#include "tests/cli/command_line.h"

namespace popcorn::test {

namespace {

const std::vector<std::string> kSubcommands = {"demo",     "infer",   "serve",     "keygen", "inspect",
                                               "evaluate", "compare", "verify",    "bench",  "doctor",
                                               "version",  "man",     "completion"};

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

}  // namespace

TEST_CASE("Every example of every help is a command line that is understood", "[command_line]") {
  std::size_t examples = 0;
  for (const auto& [command, help] : commands_below({})) {
    const bool of_module =
        !command.empty() && (command[0] == "train" || command[0] == "compress" || command[0] == "export");
    if (of_module && !has_compression()) continue;
    INFO("popcorn " << joined(command));
    const std::size_t start = help.find("Example");
    REQUIRE(start != std::string::npos);
    std::size_t own = 0;
    for (const std::string& line : lines_of(help.substr(start))) {
      const std::size_t at = line.find_first_not_of(' ');
      if (at == std::string::npos || line.compare(at, 8, "popcorn ") != 0) continue;
      check_arguments(line);
      ++own;
    }
    CHECK(own >= 1);
    examples += own;
  }
  CHECK(examples >= 15);
}

TEST_CASE("Several models are served side by side", "[command_line]") {
  Process server(command({"serve", "mnist-mlp", "mnist-conv1", "--port", "0", "--json"}));
  const auto ready = nlohmann::json::parse(server.read_line());
  CHECK(ready.at("models") ==
        nlohmann::json{"mnist-mlp", "mnist-mlp.label", "mnist-conv1", "mnist-conv1.label"});
  server.send_signal(SIGTERM);
  CHECK(server.wait().exit_code == 0);
}

TEST_CASE("The help lists every subcommand", "[command_line]") {
  const ProcessResult help = popcorn({"--help"});
  CHECK(help.exit_code == 0);
  for (const std::string& subcommand : kSubcommands)
    CHECK_THAT(help.out, Catch::Contains("\n  " + subcommand));
  CHECK_THAT(help.out, Catch::Contains("\n  train") && Catch::Contains("\n  compress"));
  CHECK_THAT(help.out, Catch::Contains("Example"));
  CHECK(popcorn({}).exit_code == 0);
}

TEST_CASE("The help of every subcommand ends with an example of itself", "[command_line]") {
  for (const std::string& subcommand : kSubcommands) {
    INFO(subcommand);
    const ProcessResult help = popcorn({subcommand, "--help"});
    CHECK(help.exit_code == 0);
    CHECK(help.err.empty());
    const std::size_t example = help.out.find("Example");
    REQUIRE(example != std::string::npos);
    CHECK(help.out.find("popcorn " + subcommand, example) != std::string::npos);
  }
}

TEST_CASE("Unknown options, subcommands and missing arguments are usage errors", "[command_line]") {
  for (const std::string& subcommand : kSubcommands) {
    INFO(subcommand);
    const ProcessResult result = popcorn({subcommand, "--no-such-option"});
    CHECK(result.exit_code == 2);
    CHECK_FALSE(result.err.empty());
    CHECK(result.out.empty());
  }
  CHECK(popcorn({"no-such-command"}).exit_code == 2);
  CHECK(popcorn({"infer", "--model", "x", "y.png"}).exit_code == 2);
  CHECK(popcorn({"evaluate", "mnist-mlp", "--limit", "many"}).exit_code == 2);
  CHECK(popcorn({"keygen", "--bits", "1024", "-o", "/nonexistent/x"}).exit_code == 2);
  CHECK(popcorn({"keygen", "--kind", "other", "-o", "/nonexistent/x"}).exit_code == 2);
  CHECK(popcorn({"serve", "x", "--port", "70000"}).exit_code == 2);
}

TEST_CASE("The version is told to people and to programs", "[command_line]") {
  const ProcessResult text = popcorn({"version"});
  CHECK(text.exit_code == 0);
  const nlohmann::json json = json_of(popcorn({"version", "--json"}));
  CHECK_THAT(text.out, Catch::Contains(json.at("version").get<std::string>()));
  CHECK_THAT(text.out, Catch::Contains(json.at("kernel").get<std::string>()));
  CHECK(json.at("compression").is_boolean());
  CHECK_THAT(popcorn({"--version"}).out, Catch::Contains(json.at("version").get<std::string>()));
}

TEST_CASE("The kernel can be forced, and an unknown one is refused", "[command_line]") {
  const ProcessResult portable = run_process(command({"version", "--json"}), {"POPCORN_KERNEL=portable"});
  CHECK(json_of(portable).at("kernel") == "portable");
  CHECK(run_process(command({"version"}), {"POPCORN_KERNEL=abacus"}).exit_code == 2);
}

TEST_CASE("Training and compressing say what is missing, or show their own help", "[command_line]") {
  for (const char* subcommand : {"train", "compress"}) {
    const ProcessResult help = popcorn({subcommand, "--help"});
    if (has_compression()) {
      CHECK(help.exit_code == 0);
      CHECK_THAT(help.out,
                 Catch::Contains("Example") && Catch::Contains(std::string("popcorn ") + subcommand));
      CHECK(popcorn({subcommand, "--no-such-option"}).exit_code == 2);
    } else {
      CHECK(help.exit_code == 1);
      CHECK_THAT(help.err, Catch::Contains("libtorch-dev") && Catch::Contains("libonnx-dev"));
    }
  }
}

TEST_CASE("A closed standard output is an error, not a crash", "[command_line]") {
  const ProcessResult result =
      run_process({"/bin/sh", "-c", "\"$0\" version --json >/dev/full; echo $?", popcorn_executable()});
  CHECK_THAT(result.out, Catch::Contains("4"));
  CHECK_THAT(result.err, Catch::Contains("output.write"));
}

}  // namespace popcorn::test
