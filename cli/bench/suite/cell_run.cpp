#include "cli/bench/suite/cell_run.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <fstream>
#include <thread>

#include "base/error.h"
#include "cli/shipped_files.h"

namespace popcorn::cli {

namespace {

/// Processor seconds of everything on this machine since its start: /proc/stat's first line.
double machine_seconds() {
  std::ifstream file("/proc/stat");
  std::string label;
  double user = 0, nice = 0, system = 0, idle = 0, waiting = 0, interrupts = 0, soft = 0, stolen = 0;
  file >> label >> user >> nice >> system >> idle >> waiting >> interrupts >> soft >> stolen;
  return (user + nice + system + interrupts + soft + stolen) / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

/// Of children that have ended, and theirs.
double children_seconds() {
  constexpr double kMicro = 1e-6;
  rusage usage{};
  ::getrusage(RUSAGE_CHILDREN, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + kMicro * static_cast<double>(time.tv_usec);
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

std::string name_of(const std::string& setting) {
  return setting.substr(0, setting.find('=') + 1);
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> result;
  for (std::string& text : texts) result.push_back(text.data());
  result.push_back(nullptr);
  return result;
}

std::vector<std::string> environment_with(const std::vector<std::string>& more) {
  std::vector<std::string> all = more;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string setting = *entry;
    const bool is_replaced = std::ranges::any_of(
        more, [&](const std::string& other) { return name_of(other) == name_of(setting); });
    if (!is_replaced) all.push_back(setting);
  }
  return all;
}

/// The first so many cores of those that this process may use.
cpu_set_t first_cores(unsigned count) {
  cpu_set_t allowed, chosen;
  CPU_ZERO(&allowed);
  CPU_ZERO(&chosen);
  ::sched_getaffinity(0, sizeof allowed, &allowed);
  for (int core = 0; core < CPU_SETSIZE && count > 0; ++core) {
    if (!CPU_ISSET(core, &allowed)) continue;
    CPU_SET(core, &chosen);
    --count;
  }
  return chosen;
}

std::string read_all(int fd) {
  std::string text;
  std::array<char, 4096> chunk{};
  for (;;) {
    const ssize_t count = ::read(fd, chunk.data(), chunk.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return text;
    text.append(chunk.data(), static_cast<std::size_t>(count));
  }
}

}  // namespace

CellRun run_cell(const SuiteCell& cell) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) throw Error("suite.cell", "the operating system gave no pipe");
  // All that the child needs is made before fork().
  std::vector<std::string> texts = {own_executable().string()};
  texts.insert(texts.end(), cell.arguments.begin(), cell.arguments.end());
  std::vector<std::string> settings = environment_with(cell.environment);
  const std::vector<char*> argv = pointers(texts), environment = pointers(settings);
  const cpu_set_t cores = first_cores(cell.cores);

  const double machine_before = machine_seconds(), children_before = children_seconds();
  const auto start = std::chrono::steady_clock::now();
  const pid_t parent = ::getpid();
  const pid_t child = ::fork();
  if (child == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (::getppid() != parent) ::_exit(1);
    ::dup2(ends[1], STDOUT_FILENO);
    if (cell.cores > 0 && ::sched_setaffinity(0, sizeof cores, &cores) != 0) ::_exit(1);
    ::execve(argv.front(), argv.data(), environment.data());
    ::_exit(1);
  }
  ::close(ends[1]);
  const std::string text = child > 0 ? read_all(ends[0]) : std::string();
  ::close(ends[0]);
  if (child < 0) throw Error("suite.cell", "the operating system gave no process");
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  CellRun run;
  run.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    throw Error("suite.cell",
                cell.id + " failed with exit code " +
                    std::to_string(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status)));
  }
  run.report = nlohmann::ordered_json::parse(text, nullptr, false);
  if (!run.report.is_object()) throw Error("suite.cell", cell.id + " printed no JSON");
  const double all = machine_seconds() - machine_before;
  const double own = children_seconds() - children_before;
  const double possible = run.seconds * std::max(1U, std::thread::hardware_concurrency());
  run.busy_elsewhere = std::max(0.0, all - own) / possible;
  return run;
}

}  // namespace popcorn::cli
