// Runs the real popcorn executable.
#pragma once

#include <initializer_list>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/support/process.h"

namespace popcorn::test {

/// Path of the executable that was built with these tests.
std::string popcorn_executable();
/// popcorn ARGUMENTS…
std::vector<std::string> command(const std::vector<std::string>& arguments);
/// Runs popcorn ARGUMENTS… to its end. @param environment "NAME=value", added to that of the tests
ProcessResult popcorn(const std::vector<std::string>& arguments,
                      const std::vector<std::string>& environment = {});
/// Standard output as JSON; fails the test when it is none.
nlohmann::json json_of(const ProcessResult& result);

/// Whether this build has the compression toolchain.
bool has_compression();

/// The words of a command with blanks between them.
std::string joined(const std::vector<std::string>& words);
struct CommandHelp {
  std::vector<std::string> command;  ///< its words
  std::string help;
};
/// A command and all below it, by what their helps list under "Subcommands".
std::vector<CommandHelp> commands_below(const std::vector<std::string>& command);
/// Parses a line "popcorn …" as a shell would give it, without running it; fails the test when it is not
/// understood. Redirections and jobs of the line stay.
void check_arguments(const std::string& line);

/// Key options for quick tests.
inline const std::vector<std::string> kTestKey = {"--insecure-test-key", "--bits", "768"};
/// `arguments` and kTestKey.
std::vector<std::string> with_test_key(std::vector<std::string> arguments);

/// `popcorn serve MODEL` on a free port, ready to be asked.
class RunningServer {
 public:
  explicit RunningServer(const std::string& model, const std::vector<std::string>& options = {},
                         const std::vector<std::string>& environment = {});
  const std::string& url() const noexcept { return url_; }
  const nlohmann::json& ready() const noexcept { return ready_; }
  Process& process() noexcept { return process_; }

 private:
  Process process_;
  nlohmann::json ready_;
  std::string url_;
};

}  // namespace popcorn::test
