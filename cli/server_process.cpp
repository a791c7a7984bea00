#include "cli/server_process.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "cli/shipped_files.h"

namespace popcorn::cli {

ServerProcess::ServerProcess(const std::vector<std::string>& serve_arguments) {
  start(serve_arguments);
  const auto ready = nlohmann::json::parse(read_line(), nullptr, false);
  const auto url = ready.is_object() ? ready.find("url") : ready.end();
  if (!ready.is_object() || url == ready.end() || !url->is_string()) {
    throw Error("demo.server", "the server process ended before it was ready (exit code " +
                                   std::to_string(wait_for_end()) + ")");
  }
  url_ = url->get<std::string>();
}

std::vector<std::string> ServerProcess::open_doors(const std::string& model) {
  return {model, "--sign-test",        "any", "--subgroup-keys",   "--sessions-per-token",
          "0",   "--sessions-per-day", "0",   "--keys-per-minute", "0"};
}

ServerProcess::~ServerProcess() {
  if (pid_ > 0) {
    ::kill(pid_, SIGKILL);
    wait_for_end();
  }
  if (out_fd_ >= 0) ::close(out_fd_);
}

std::string ServerProcess::stop() {
  ::kill(pid_, SIGTERM);
  std::string last;
  for (std::string line = read_line(); !line.empty(); line = read_line()) last = std::move(line);
  const int code = wait_for_end();
  if (code != 0)
    throw Error("demo.server", "the server process ended with exit code " + std::to_string(code));
  return last;
}

void ServerProcess::start(const std::vector<std::string>& arguments) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) throw Error("demo.server", "the operating system gave no pipe");
  // All that the child needs is made before fork(): between fork() and exec() only async-signal-safe calls
  // are allowed.
  const std::string executable = own_executable().string();
  std::vector<std::string> texts = {executable, "serve"};
  texts.insert(texts.end(), arguments.begin(), arguments.end());
  for (const char* text : {"--json", "--host", "127.0.0.1", "--port", "0"}) texts.emplace_back(text);
  std::vector<char*> argv;
  argv.reserve(texts.size() + 1);
  for (std::string& text : texts) argv.push_back(text.data());
  argv.push_back(nullptr);

  // Settings of a server that the person who calls us runs for others are none of this one's.
  std::vector<char*> environment;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    if (!std::string_view(*entry).starts_with("POPCORN_SERVE_")) environment.push_back(*entry);
  }
  environment.push_back(nullptr);

  const pid_t parent = ::getpid();
  pid_ = ::fork();
  if (pid_ == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (::getppid() != parent) ::_exit(1);  // the parent was gone before the line above
    ::dup2(ends[1], STDOUT_FILENO);
    // Ctrl-C reaches the whole foreground group: the parent decides what becomes of its server.
    ::setpgid(0, 0);
    ::execve(executable.c_str(), argv.data(), environment.data());
    ::_exit(1);
  }
  ::close(ends[1]);
  out_fd_ = ends[0];
  if (pid_ < 0) throw Error("demo.server", "the operating system gave no process for the server");
}

std::string ServerProcess::read_line() {
  std::size_t end = buffer_.find('\n');
  while (end == std::string::npos) {
    std::array<char, 4096> chunk{};
    const ssize_t count = ::read(out_fd_, chunk.data(), chunk.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return std::exchange(buffer_, {});
    buffer_.append(chunk.data(), static_cast<std::size_t>(count));
    end = buffer_.find('\n');
  }
  std::string line = buffer_.substr(0, end);
  buffer_.erase(0, end + 1);
  return line;
}

int ServerProcess::wait_for_end() {
  int status = 0;
  while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  pid_ = -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace popcorn::cli
