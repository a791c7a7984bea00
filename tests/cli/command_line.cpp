#include "tests/cli/command_line.h"

#include <catch2/catch.hpp>
#include <filesystem>
#include <sstream>

namespace popcorn::test {

namespace {

std::vector<std::string> serve_arguments(const std::string& model, const std::vector<std::string>& options) {
  std::vector<std::string> arguments = {"serve", model, "--port", "0", "--json", "--insecure-test-key"};
  arguments.insert(arguments.end(), options.begin(), options.end());
  return command(arguments);
}

}  // namespace

std::string popcorn_executable() {
  return POPCORN_EXECUTABLE;
}

std::vector<std::string> command(const std::vector<std::string>& arguments) {
  std::vector<std::string> argv = {popcorn_executable()};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  return argv;
}

ProcessResult popcorn(const std::vector<std::string>& arguments,
                      const std::vector<std::string>& environment) {
  return run_process(command(arguments), environment);
}

nlohmann::json json_of(const ProcessResult& result) {
  INFO(result.out);
  INFO(result.err);
  nlohmann::json document = nlohmann::json::parse(result.out, nullptr, false);
  REQUIRE_FALSE(document.is_discarded());
  return document;
}

bool has_compression() {
  static const bool has = json_of(popcorn({"version", "--json"})).at("compression").get<bool>();
  return has;
}

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : " ") + word;
  return text;
}

std::vector<CommandHelp> commands_below(const std::vector<std::string>& command) {
  std::vector<std::string> arguments = command;
  arguments.push_back("--help");
  std::vector<CommandHelp> all = {{command, popcorn(arguments).out}};
  bool listing = false;
  std::istringstream help(all.front().help);
  for (std::string line; std::getline(help, line);) {
    if (line.empty()) listing = false;
    if (line == "Subcommands:") {
      listing = true;
    } else if (listing && line.size() > 2 && line[0] == ' ' && line[1] == ' ' && line[2] != ' ') {
      std::vector<std::string> below = command;
      below.push_back(line.substr(2, line.find(' ', 2) - 2));
      for (auto& found : commands_below(below)) all.push_back(std::move(found));
    }
  }
  return all;
}

void check_arguments(const std::string& line) {
  INFO(line);
  const std::string folder = std::filesystem::path(popcorn_executable()).parent_path().string();
  const ProcessResult result =
      run_process({"/bin/bash", "-c", "PATH=\"" + folder + ":$PATH\"\n" + line + "\nwait"},
                  {"POPCORN_CHECK_ARGUMENTS=1"});
  INFO(result.err);
  CHECK(result.exit_code == 0);
  CHECK(result.out.empty());
}

std::vector<std::string> with_test_key(std::vector<std::string> arguments) {
  arguments.insert(arguments.end(), kTestKey.begin(), kTestKey.end());
  return arguments;
}

RunningServer::RunningServer(const std::string& model, const std::vector<std::string>& options,
                             const std::vector<std::string>& environment)
    : process_(serve_arguments(model, options), environment),
      ready_(nlohmann::json::parse(process_.read_line())) {
  url_ = ready_.at("url").get<std::string>();
}

}  // namespace popcorn::test
