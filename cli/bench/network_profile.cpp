#include "cli/bench/network_profile.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>

#include "base/error.h"
#include "cli/terminal/output.h"

namespace popcorn::cli {

namespace {

constexpr double kKilo = 1e3;
constexpr double kMega = 1e6;
constexpr double kGiga = 1e9;
/// So many packets may be on their way: none is lost at these rates.
constexpr const char* kQueue = "100000";
/// A packet of Ethernet, in place of loopback's 64 KiB.
constexpr const char* kPacketBytes = "1500";

bool wait_for(pid_t child) {
  int status = 0;
  while (::waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) return false;
  }
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/// Runs a program of the system silently. Also where only administrators have it on their path.
bool run_tool(const std::vector<std::string>& words) {
  std::vector<char*> argv;
  for (const std::string& word : words) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  const char* const path = std::getenv("PATH");
  const std::string with_tools =
      "PATH=" + std::string(path == nullptr ? "/usr/bin:/bin" : path) + ":/usr/sbin:/sbin";
  std::vector<char*> environment = {const_cast<char*>(with_tools.c_str()), nullptr};
  const pid_t child = ::fork();
  if (child == 0) {
    const int nowhere = ::open("/dev/null", O_RDWR);
    for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) ::dup2(nowhere, fd);
    environ = environment.data();
    ::execvp(argv.front(), argv.data());
    ::_exit(1);
  }
  return child > 0 && wait_for(child);
}

bool write_text(const char* path, const std::string& text) {
  const int fd = ::open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return false;
  const bool written = ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  ::close(fd);
  return written;
}

/// As root at once; else as root of a user namespace of our own.
bool leave_network() {
  const std::string user = "0 " + std::to_string(::geteuid()) + " 1";
  const std::string group = "0 " + std::to_string(::getegid()) + " 1";
  if (::unshare(CLONE_NEWNET) == 0) return true;
  return ::unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0 && write_text("/proc/self/setgroups", "deny") &&
         write_text("/proc/self/uid_map", user) && write_text("/proc/self/gid_map", group);
}

bool try_to_enter(const NetworkProfile& profile) {
  // Each packet passes the one device once, so that a way there and back meets half the delay twice.
  const std::string delay = fixed(profile.round_trip_seconds / 2 * kMega, 0) + "us";
  const std::string rate = fixed(profile.bits_per_second, 0) + "bit";
  return leave_network() && run_tool({"ip", "link", "set", "dev", "lo", "mtu", kPacketBytes, "up"}) &&
         run_tool({"tc", "qdisc", "add", "dev", "lo", "root", "netem", "delay", delay, "rate", rate, "limit",
                   kQueue});
}

}  // namespace

std::string NetworkProfile::description() const {
  const bool giga = bits_per_second >= kGiga;
  const double milliseconds = round_trip_seconds * kKilo;
  return fixed(bits_per_second / (giga ? kGiga : kMega), 0) + (giga ? " Gbit/s, " : " Mbit/s, ") +
         fixed(milliseconds, milliseconds < 1 ? 1 : 0) + " ms";
}

const std::vector<NetworkProfile>& network_profiles() {
  static const std::vector<NetworkProfile> profiles = {{"lan", 3 * kGiga, 0.3 / kKilo},
                                                       {"wan", 400 * kMega, 40 / kKilo}};
  return profiles;
}

const NetworkProfile& network_profile(const std::string& name) {
  const auto found = std::ranges::find(network_profiles(), name, &NetworkProfile::name);
  if (found != network_profiles().end()) return *found;
  throw UsageError("network.unknown", "there is no network profile \"" + name + "\"; there are lan and wan");
}

bool can_emulate(const NetworkProfile& profile) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(try_to_enter(profile) ? 0 : 1);
  return child > 0 && wait_for(child);
}

void enter_emulated(const NetworkProfile& profile) {
  if (!try_to_enter(profile)) {
    throw Error("network.emulation",
                "a network of " + profile.description() +
                    " cannot be emulated here: it takes ip and tc, a kernel with netem and "
                    "the right to make a network namespace");
  }
}

}  // namespace popcorn::cli
