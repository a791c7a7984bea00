#include "tests/docs/shell_script.h"

#include <chrono>
#include <filesystem>
#include <regex>

#include "tests/cli/command_line.h"
#include "tests/docs/markdown.h"
#include "tests/support/data_folder.h"
#include "tests/support/free_port.h"

namespace popcorn::test {

namespace fs = std::filesystem;

namespace {

constexpr const char* kDefaultPort = "8080";

bool serves(const std::string& line) {
  static const std::regex serve("^(build/)?popcorn serve ");
  return std::regex_search(line, serve) && line.find("--print-config") == std::string::npos;
}

}  // namespace

ProjectFolder::ProjectFolder() {
  for (const char* name : {"models", "scripts", "docs", "tests"})
    fs::create_directory_symlink(fs::absolute(name), folder_.path(name));
  fs::create_directory_symlink(fs::path(popcorn_executable()).parent_path(), folder_.path("build"));
  if (const auto mnist = data_file("mnist"))
    fs::create_directory_symlink(fs::absolute(*mnist).parent_path(), folder_.path("data"));
}

std::string ShellScript::with_free_ports(const std::string& line) {
  static const std::regex port("(--port |--admin-port |127\\.0\\.0\\.1:|localhost:)([0-9]{4,5})");
  std::string result;
  std::size_t done = 0;
  for (std::sregex_iterator at(line.begin(), line.end(), port), end; at != end; ++at) {
    const auto place = static_cast<std::size_t>(at->position(2));
    std::string& chosen = ports_[(*at)[2]];
    if (chosen.empty()) chosen = std::to_string(free_port());
    result += line.substr(done, place - done) + chosen;
    done = place + static_cast<std::size_t>(at->length(2));
  }
  return result + line.substr(done);
}

std::string ShellScript::in_background(std::string line) {
  line = line.substr(0, line.find(" #"));
  line = line.substr(0, line.find_last_not_of(" &") + 1);
  if (line.find("--port ") == std::string::npos) line += std::string(" --port ") + kDefaultPort;
  line = with_free_ports(line);
  static const std::regex port("--port ([0-9]+)");
  std::smatch found;
  std::regex_search(line, found, port);
  const std::string scheme = line.find("--tls-certificate") != std::string::npos ? "https" : "http";
  const std::string log = "server-" + std::to_string(++servers_) + ".log";
  return line + " >" + log + " 2>&1 &\n" +
         "curl --silent --insecure --noproxy '*' --retry 60 --retry-connrefused --retry-delay 1 " + scheme +
         "://127.0.0.1:" + found[1].str() + "/v2/health/ready >&2 || { cat " + log + " >&2; exit 1; }\ncat " +
         log + "\n";
}

void ShellScript::add(const std::string& block) {
  for (const std::string& line : shell_lines(block))
    text_ += serves(line) ? in_background(line) : with_free_ports(line) + "\n";
}

ProcessResult ShellScript::run() {
  const std::string head = "set -euo pipefail\ntrap 'kill $(jobs -p) 2>/dev/null || true; wait' EXIT\ncd " +
                           folder_ + "\nexport PATH=$PWD/build:$PATH\n";
  Process shell({"/bin/bash", "-c", head + text_});
  return shell.wait(std::chrono::minutes(10));
}

}  // namespace popcorn::test
