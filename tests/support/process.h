// Child processes for black-box tests: the real executable, its output, its exit code, signals.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <string>
#include <vector>

namespace popcorn::test {

struct ProcessResult {
  int exit_code = -1;  ///< 128 + number when a signal ended it
  std::string out;
  std::string err;
};

/// A running child with its standard output and error in pipes and nothing on its standard input. Killed when
/// it goes out of scope. Every wait has a limit; a child that exceeds it is killed and the test fails by an
/// exception.
class Process {
 public:
  using Seconds = std::chrono::seconds;

  /// @param argv the path of the executable and its arguments
  /// @param environment "NAME=value", added to the environment of the tests
  explicit Process(const std::vector<std::string>& argv, const std::vector<std::string>& environment = {});
  ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  void send_signal(int number) const;
  /// Waits until the standard output holds another whole line and takes it, without its newline.
  /// @throws std::runtime_error when the child ends or the limit passes before
  std::string read_line(Seconds limit = Seconds{60});
  /// Waits until the standard error contains `text`.
  void wait_for_error_text(const std::string& text, Seconds limit = Seconds{60});
  /// Collects the rest of the output and the exit code. @throws std::runtime_error when the limit passes
  ProcessResult wait(Seconds limit = Seconds{120});

 private:
  using Deadline = std::chrono::steady_clock::time_point;
  /// Moves what the pipes hold into out_ and err_; false when both are closed.
  bool pump(Deadline deadline);
  void finish();

  std::string command_;
  pid_t pid_ = -1;
  int out_fd_ = -1;
  int err_fd_ = -1;
  ProcessResult result_;
  std::size_t lines_taken_ = 0;  ///< characters of result_.out that read_line() has given
};

/// Runs to the end.
ProcessResult run_process(const std::vector<std::string>& argv,
                          const std::vector<std::string>& environment = {});

/// A folder that is removed with everything in it.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  std::string path(const std::string& name) const { return folder_ + "/" + name; }

 private:
  std::string folder_;
};

}  // namespace popcorn::test
