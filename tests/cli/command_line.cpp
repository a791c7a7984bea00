#include "tests/cli/command_line.h"

#include <catch2/catch.hpp>

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
