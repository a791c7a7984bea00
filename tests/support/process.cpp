#include "tests/support/process.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <stdexcept>

extern char** environ;

namespace popcorn::test {

namespace {

struct Pipe {
  int read_end = -1;
  int write_end = -1;
};

Pipe make_pipe() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) throw std::runtime_error("no pipe");
  return {ends[0], ends[1]};
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> result;
  for (std::string& text : texts) result.push_back(text.data());
  result.push_back(nullptr);
  return result;
}

/// Appends what can be read now; closes and forgets the descriptor at its end.
void drain(int& fd, std::string& into) {
  std::array<char, 16384> chunk{};
  const ssize_t count = ::read(fd, chunk.data(), chunk.size());
  if (count > 0) {
    into.append(chunk.data(), static_cast<std::size_t>(count));
  } else if (count == 0 || errno != EINTR) {
    ::close(fd);
    fd = -1;
  }
}

}  // namespace

Process::Process(const std::vector<std::string>& argv, const std::vector<std::string>& environment) {
  std::vector<std::string> arguments = argv;
  for (const std::string& argument : arguments) command_ += (command_.empty() ? "" : " ") + argument;
  std::vector<std::string> variables;
  // A name given here replaces the inherited one: with both, the child would see the first.
  const auto is_replaced = [&](const std::string& inherited) {
    const std::string name = inherited.substr(0, inherited.find('=') + 1);
    return std::any_of(environment.begin(), environment.end(),
                       [&](const std::string& given) { return given.starts_with(name); });
  };
  for (char** variable = environ; *variable != nullptr; ++variable) {
    if (!is_replaced(*variable)) variables.emplace_back(*variable);
  }
  variables.insert(variables.end(), environment.begin(), environment.end());
  const std::vector<char*> argument_pointers = pointers(arguments);
  const std::vector<char*> variable_pointers = pointers(variables);

  const Pipe out = make_pipe();
  const Pipe err = make_pipe();
  pid_ = ::fork();
  if (pid_ == 0) {
    const int nothing = ::open("/dev/null", O_RDONLY);
    ::dup2(nothing, STDIN_FILENO);
    ::dup2(out.write_end, STDOUT_FILENO);
    ::dup2(err.write_end, STDERR_FILENO);
    ::execve(argument_pointers[0], argument_pointers.data(), variable_pointers.data());
    ::_exit(127);
  }
  ::close(out.write_end);
  ::close(err.write_end);
  out_fd_ = out.read_end;
  err_fd_ = err.read_end;
  if (pid_ < 0) throw std::runtime_error("no process for " + command_);
}

Process::~Process() {
  if (pid_ > 0) {
    ::kill(pid_, SIGKILL);
    finish();
  }
  if (out_fd_ >= 0) ::close(out_fd_);
  if (err_fd_ >= 0) ::close(err_fd_);
}

void Process::send_signal(int number) const {
  ::kill(pid_, number);
}

std::string Process::read_line(Seconds limit) {
  const Deadline deadline = std::chrono::steady_clock::now() + limit;
  for (;;) {
    const std::size_t end = result_.out.find('\n', lines_taken_);
    if (end != std::string::npos) {
      std::string line = result_.out.substr(lines_taken_, end - lines_taken_);
      lines_taken_ = end + 1;
      return line;
    }
    if (!pump(deadline))
      throw std::runtime_error(command_ + " ended before its next line; it said: " + result_.err);
  }
}

void Process::wait_for_error_text(const std::string& text, Seconds limit) {
  const Deadline deadline = std::chrono::steady_clock::now() + limit;
  while (result_.err.find(text) == std::string::npos) {
    if (!pump(deadline)) throw std::runtime_error(command_ + " ended before it said \"" + text + "\"");
  }
}

ProcessResult Process::wait(Seconds limit) {
  const Deadline deadline = std::chrono::steady_clock::now() + limit;
  while (pump(deadline)) {
  }
  finish();
  return result_;
}

bool Process::pump(Deadline deadline) {
  if (out_fd_ < 0 && err_fd_ < 0) return false;
  const auto left =
      std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now())
          .count();
  std::array<pollfd, 2> events = {pollfd{out_fd_, POLLIN, 0}, pollfd{err_fd_, POLLIN, 0}};
  const int ready = left <= 0 ? 0 : ::poll(events.data(), events.size(), static_cast<int>(left));
  if (ready == 0) {
    ::kill(pid_, SIGKILL);
    throw std::runtime_error(command_ + " took too long; it said: " + result_.out + result_.err);
  }
  if (out_fd_ >= 0 && events[0].revents != 0) drain(out_fd_, result_.out);
  if (err_fd_ >= 0 && events[1].revents != 0) drain(err_fd_, result_.err);
  return true;
}

void Process::finish() {
  int status = 0;
  while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  pid_ = -1;
  result_.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

ProcessResult run_process(const std::vector<std::string>& argv, const std::vector<std::string>& environment) {
  return Process(argv, environment).wait();
}

TemporaryFolder::TemporaryFolder() {
  std::string pattern = (std::filesystem::temp_directory_path() / "popcorn-test-XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("no temporary folder");
  folder_ = pattern;
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

}  // namespace popcorn::test
