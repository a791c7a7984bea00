#include "cli/doctor/machine_findings.h"

#include <arpa/inet.h>
#include <gmp.h>
#include <netinet/in.h>
#include <openssl/crypto.h>
#include <sodium.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/sysinfo.h>
#include <sys/timex.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <thread>

#include "base/error.h"
#include "cli/shipped_files.h"
#include "cli/terminal/output.h"
#include "paillier/kernels/kernel_registry.h"
#include "popcorn_build_info.h"
#include "protocols/ot/kernels/kernel.h"

namespace popcorn::cli {

namespace {

constexpr std::uint64_t kMebibyte = 1 << 20;
constexpr std::uint64_t kEnoughMemory = 512 * kMebibyte;  // mnist-conv2 with room; see inspect --cost
constexpr rlim_t kEnoughFiles = 4096;

/// Arithmetic modulo N²: the kernel in use, and whether a faster one is missing here.
Finding arithmetic() {
  for (const paillier::kernels::Kernel* kernel : paillier::kernels::all()) {
    if (kernel->supported() && !paillier::kernels::self_test(*kernel)) {
      return {
          "arithmetic", Verdict::problem,
          std::string("the kernel ") + kernel->name +
              " computes wrong products on this processor; run with POPCORN_KERNEL=portable and report it"};
    }
  }
  const paillier::kernels::Kernel& active = paillier::kernels::active();
  const std::string used =
      std::string("kernel ") + active.name + " (" + active.description + "), self-test passed";
  if (&active == paillier::kernels::all().front()) return {"arithmetic", Verdict::good, used};
  return {"arithmetic", Verdict::advice,
          used + "; a processor with AVX-512 IFMA (" + paillier::kernels::all().front()->name +
              ") multiplies about ten times as fast"};
}

Finding transfers() {
  namespace kernels = protocols::ot::kernels;
  for (const kernels::Kernel* kernel : kernels::all()) {
    if (kernel->supported() && !kernels::self_test(*kernel)) {
      return {"transfers", Verdict::problem,
              "the kernel " + std::string(kernel->name()) +
                  " makes wrong transfers on this processor; run with POPCORN_KERNEL=portable and report it"};
    }
  }
  const std::string used = "kernel " + std::string(kernels::active().name()) + ", self-test passed";
  if (&kernels::active() != &kernels::portable()) return {"transfers", Verdict::good, used};
  return {"transfers", Verdict::advice, used + "; a processor with AES instructions is much faster"};
}

Finding cores() {
  const unsigned count = std::thread::hardware_concurrency();
  return {"cores", Verdict::good,
          counted(count, "core") + " for this process; every command uses all of them"};
}

Finding memory() {
  struct sysinfo info {};
  if (::sysinfo(&info) != 0) return {"memory", Verdict::advice, "cannot be read"};
  const std::uint64_t total = std::uint64_t{info.totalram} * info.mem_unit;
  const std::uint64_t free = std::uint64_t{info.freeram + info.bufferram} * info.mem_unit;
  const std::string found = human_bytes(total) + ", " + human_bytes(free) + " of it free";
  if (total >= kEnoughMemory) return {"memory", Verdict::good, found};
  return {"memory", Verdict::advice,
          found + "; small models need 100 MB a process, see popcorn inspect MODEL --cost for others"};
}

Finding open_files() {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  const std::string found = "at most " + grouped(limit.rlim_cur) + " at once";
  if (limit.rlim_cur >= kEnoughFiles) return {"open files", Verdict::good, found};
  return {
      "open files", Verdict::advice,
      found + ": a server keeps one for each connection; raise it (ulimit -n, LimitNOFILE=) to serve many"};
}

/// Tokens, certificates and preparations have dates.
Finding clock_now() {
  const auto own = std::filesystem::last_write_time(own_executable());
  if (std::filesystem::file_time_type::clock::now() < own) {
    return {
        "clock", Verdict::problem,
        "it is earlier than this program's own file: set it, or certificates and preparations are refused"};
  }
  timex state{};
  if (::adjtimex(&state) == TIME_ERROR) {
    return {"clock", Verdict::advice,
            "not synchronised (no NTP): certificates and preparations of other machines may look expired"};
  }
  return {"clock", Verdict::good, "synchronised"};
}

Finding libraries() {
  return {"libraries", Verdict::good,
          std::string("GMP ") + ::gmp_version + ", libsodium " + ::sodium_version_string() + ", " +
              ::OpenSSL_version(OPENSSL_VERSION)};
}

Finding models() {
  const std::vector<std::string> names = shipped_models();
  if (names.empty()) {
    return {"models", Verdict::advice,
            "no shipped models beside this executable: give paths of .popcorn files, or install the models"};
  }
  std::string list;
  for (const std::string& name : names) list += (list.empty() ? "" : ", ") + name;
  return {"models", Verdict::good, counted(names.size(), "shipped model") + ": " + list};
}

Finding compression() {
  if (kHasCompression) return {"compression", Verdict::good, "popcorn train, compress and export are built"};
  return {"compression", Verdict::advice,
          "not built: popcorn train, compress and export need LibTorch and ONNX (scripts/install-deps)"};
}

Finding data_sets(const std::string& data) {
  if (data.empty()) {
    return {
        "data sets", Verdict::advice,
        "no folder named: popcorn evaluate needs --data DIR or POPCORN_DATA; scripts/get-data fetches MNIST "
        "and CIFAR-10"};
  }
  if (std::filesystem::is_directory(data)) return {"data sets", Verdict::good, "in " + data};
  return {"data sets", Verdict::problem, data + " (POPCORN_DATA) is no folder"};
}

class Socket {
 public:
  Socket() : descriptor_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {}
  ~Socket() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;

  /// 0, or why not.
  int bind_to_loopback(std::uint16_t port) const {
    const int on = 1;
    ::setsockopt(descriptor_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return ::bind(descriptor_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 ? 0 : errno;
  }

 private:
  int descriptor_;
};

}  // namespace

Findings machine_findings(const std::string& data) {
  return {arithmetic(), transfers(), cores(),  memory(),      open_files(),
          clock_now(),  libraries(), models(), compression(), data_sets(data)};
}

Findings port_finding(std::uint16_t port) {
  if (port == 0) return {};
  const std::string name = "port " + std::to_string(port);
  const int reason = Socket().bind_to_loopback(port);
  if (reason == 0) return {{name, Verdict::good, "free on 127.0.0.1"}};
  const std::string why = reason == EADDRINUSE ? "in use by another program" : std::strerror(reason);
  return {{name, Verdict::advice, why + "; popcorn serve --port N takes another"}};
}

}  // namespace popcorn::cli
