// What people see on a terminal and what they can keep away: colours and notes.
#include <catch2/catch.hpp>
#include <iostream>

#include "tests/cli/command_line.h"
#include "tests/cli/small_network.h"

namespace popcorn::test {

namespace {

/// The output of a command line of popcorn on a pseudo-terminal.
std::string on_terminal(const std::string& arguments, const std::string& environment) {
  const std::string line = environment + " " + popcorn_executable() + " " + arguments;
  return run_process({"/usr/bin/script", "--quiet", "--command", line, "/dev/null"}).out;
}

}  // namespace

TEST_CASE("Colours are for terminals only, and NO_COLOR keeps them away", "[command_line]") {
  if (run_process({"/bin/sh", "-c", "command -v script"}).exit_code != 0) {
    std::cerr << "\n*** SKIPPED: script (util-linux) is not installed ***\n";
    return;
  }
  const std::string wrong = "inspect no-such-model";
  CHECK_THAT(on_terminal(wrong, "NO_COLOR= TERM=xterm"),
             Catch::Contains("popcorn: \033[31merror:\033[0m there"));
  CHECK_THAT(on_terminal(wrong, "NO_COLOR=1 TERM=xterm"),
             Catch::Contains("popcorn: error: there") && !Catch::Contains("\033"));
  CHECK_THAT(on_terminal(wrong, "NO_COLOR= TERM=dumb"), !Catch::Contains("\033"));
  CHECK_THAT(popcorn({"inspect", "no-such-model"}, {"NO_COLOR="}).err, !Catch::Contains("\033"));
  const std::string doctor = on_terminal("doctor --no-speed --port 0", "NO_COLOR= TERM=xterm");
  CHECK_THAT(doctor, Catch::Contains("\033[32mok\033[0m"));
  CHECK_THAT(on_terminal("doctor --no-speed --port 0", "NO_COLOR=1 TERM=xterm"), !Catch::Contains("\033"));
}

TEST_CASE("--quiet leaves the answer, warnings and errors", "[command_line]") {
  const TemporaryFolder folder;
  const RunningServer server(write_small_network(folder.path("small.popcorn")));
  const std::vector<std::string> infer =
      with_test_key({"infer", "--server", server.url(), "--model", "small", "models/samples/3_1.png"});
  const ProcessResult loud = popcorn(infer);
  CHECK_THAT(loud.err, Catch::Contains("temporary 768-bit key"));
  for (const char* flag : {"-q", "--quiet"}) {
    std::vector<std::string> arguments = infer;
    arguments.emplace_back(flag);
    const ProcessResult quiet = popcorn(arguments);
    CHECK(quiet.exit_code == 0);
    CHECK(quiet.err.empty());
    CHECK_THAT(quiet.out, Catch::Contains("models/samples/3_1.png"));
  }
  std::vector<std::string> unsafe = infer;
  unsafe.insert(unsafe.end(), {"-q", "--insecure-skip-verify"});
  CHECK_THAT(popcorn(unsafe).err, Catch::Contains("warning:"));
  const ProcessResult failed = popcorn({"inspect", "no-such-model", "--quiet"});
  CHECK(failed.exit_code == 3);
  CHECK_THAT(failed.err, Catch::Contains("[model.not_found]"));
}

}  // namespace popcorn::test
