#include "cli/bench/transfers_over_http.h"

#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <tbb/global_control.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstring>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/error.h"
#include "base/random.h"
#include "cli/bench/sampling.h"
#include "cli/bench/transfer_steps.h"
#include "cli/bench/transfers_benchmark.h"
#include "protocols/ot/steps/local_parties.h"
#include "service/client/rest_client.h"
#include "service/http/http_exchange.h"
#include "service/http/http_server.h"

namespace popcorn::cli {

namespace ot = protocols::ot;

namespace {

double seconds_of(const timeval& time) {
  return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
}

/// A batch of values is two protocols, one after the other.
enum class Phase { transfers, steps };

/// A pair of parties. Both are made before the processes part; then each process goes on with its own.
class Pair {
 public:
  Pair(const ot::TransferSource& source, const Step& step)
      : parties_(source, system_rng()), step_(step), inputs_(random_inputs(step)) {}

  /// Takes a flight of a phase, which begins with the first one, and gives the answer.
  Bytes advance(bool first, Phase phase, ByteView flight) {
    if (!half_ || half_->finished()) begin(first, phase);
    const double start = thread_seconds();
    Bytes answer = half_->advance(flight);
    seconds_[static_cast<std::size_t>(phase)] += thread_seconds() - start;
    return answer;
  }
  bool finished() const { return half_->finished(); }
  const ot::Words& result() const { return result_; }
  double seconds(Phase phase) const { return seconds_[static_cast<std::size_t>(phase)]; }
  /// Of the last batch's results, opened with the other party's shares.
  std::size_t wrong(const ot::Words& other) const { return wrong_results(step_, inputs_, {result_, other}); }

 private:
  void begin(bool first, Phase phase) {
    ot::TransferParty& party = parties_.party(first);
    party.first_asks = true;
    half_.emplace(party.wire, phase == Phase::steps
                                  ? run_step(party)
                                  : ot::reserve(party, step_.cost.transfers()[0], step_.cost.transfers()[1]));
  }
  ot::Dialogue<void> run_step(ot::TransferParty& party) {
    result_ = co_await run_on_shares(step_, party, inputs_);
  }

  ot::TwoParties parties_;
  const Step& step_;
  StepInputs inputs_;
  std::optional<ot::Half> half_;
  ot::Words result_;
  std::array<std::atomic<double>, 2> seconds_{};  ///< another thread may ask
};

using Pairs = std::vector<std::unique_ptr<Pair>>;

ProcessTime process_time(const Pairs& pairs) {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  ProcessTime time{0, 0, seconds_of(usage.ru_utime), seconds_of(usage.ru_stime)};
  for (const auto& pair : pairs) {
    time.transfers += pair->seconds(Phase::transfers);
    time.steps += pair->seconds(Phase::steps);
  }
  return time;
}

template <class T>
Bytes bytes_of(const T* values, std::size_t count) {
  const auto* const bytes = reinterpret_cast<const std::uint8_t*>(values);
  return Bytes(bytes, bytes + count * sizeof(T));
}

constexpr const char* kBinary = "application/octet-stream";

// Paths: /PAIR/transfers and /PAIR/steps take a flight and give one, /PAIR/result gives the shares, /time a
// ProcessTime.

/// The first party's process.
class Server {
 public:
  explicit Server(Pairs& pairs)
      : pairs_(pairs),
        http_(options(pairs.size()),
              {.handle = [this](service::HttpRequest& request) { return handle(request); },
               .reject = [](int status) { return text(status, "not a request"); }}) {}
  std::uint16_t bind() { return http_.bind(); }
  void run() { http_.run(); }

 private:
  static service::HttpOptions options(std::size_t pairs) {
    service::HttpOptions options;
    options.threads = static_cast<unsigned>(pairs) + 2;
    return options;
  }
  static service::HttpResponse text(int status, const std::string& message) {
    service::HttpResponse response;
    response.status = status;
    response.content_type = "text/plain";
    response.text = message;
    return response;
  }
  service::HttpResponse handle(service::HttpRequest& request) {
    try {
      service::HttpResponse response;
      response.content_type = kBinary;
      response.binary = std::make_shared<const Bytes>(answer(request));
      return response;
    } catch (const std::exception& error) {
      return text(500, error.what());
    }
  }
  Bytes answer(service::HttpRequest& request) {
    const std::size_t slash = request.path.find('/', 1);
    const std::string what = request.path.substr(slash == std::string::npos ? 1 : slash + 1);
    if (what == "time") {
      const ProcessTime time = process_time(pairs_);
      return bytes_of(&time, 1);
    }
    Pair& pair = *pairs_.at(std::stoul(request.path.substr(1)));
    if (what == "result") return bytes_of(pair.result().data(), pair.result().size());
    Bytes flight;
    request.body->read([&](ByteView piece) { flight.insert(flight.end(), piece.begin(), piece.end()); });
    return pair.advance(true, what == "steps" ? Phase::steps : Phase::transfers, flight);
  }

  Pairs& pairs_;
  service::HttpServer http_;
};

/// The server in a child process of this one.
class ServerChild {
 public:
  explicit ServerChild(Pairs& pairs) {
    std::array<int, 2> ends{};
    if (::pipe(ends.data()) != 0) throw Error("bench.child", "the operating system gave no pipe");
    pid_ = ::fork();
    if (pid_ == 0) serve(pairs, ends[1]);
    ::close(ends[1]);
    const bool ready = pid_ > 0 && ::read(ends[0], &port_, sizeof port_) == sizeof port_;
    ::close(ends[0]);
    if (!ready) throw Error("bench.child", "the process of the other party did not start");
  }
  ~ServerChild() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  ServerChild(const ServerChild&) = delete;
  ServerChild& operator=(const ServerChild&) = delete;
  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }

 private:
  [[noreturn]] static void serve(Pairs& pairs, int ready) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    try {
      const tbb::global_control one_core(tbb::global_control::max_allowed_parallelism, 1);
      Server server(pairs);
      const std::uint16_t port = server.bind();
      if (::write(ready, &port, sizeof port) == sizeof port) server.run();
    } catch (const std::exception&) {
      // The parent sees that no port comes, or that no answer does.
    }
    ::_exit(1);
  }

  pid_t pid_ = -1;
  std::uint16_t port_ = 0;
};

constexpr std::size_t kMostAnswerBytes = std::size_t{1} << 28;

/// A thread of the second party's process: one pair, one connection.
class Caller {
 public:
  Caller(const std::string& url, std::size_t number, Pair& pair)
      : http_(service::Endpoint::parse(url), service::ClientOptions{}),
        prefix_("/" + std::to_string(number) + "/"),
        pair_(pair) {}

  void batch() {
    run(Phase::transfers, "transfers");
    run(Phase::steps, "steps");
  }
  /// Opens the last batch.
  void check(OverHttp& sums) {
    const Bytes words = ask("GET", prefix_ + "result", {});
    ot::Words other(words.size() / sizeof(std::uint32_t));
    std::memcpy(other.data(), words.data(), other.size() * sizeof(std::uint32_t));
    sums.wrong += pair_.wrong(other);
    sums.checked += other.size();
  }
  ProcessTime server_time() {
    ProcessTime time;
    const Bytes bytes = ask("GET", "/time", {});
    std::memcpy(&time, bytes.data(), std::min(bytes.size(), sizeof time));
    return time;
  }
  OverHttp counts{};

 private:
  void run(Phase phase, const std::string& path) {
    Bytes flight;
    do {
      const Bytes answer = ask("POST", prefix_ + path, flight);
      ++counts.requests;
      counts.bytes_up += flight.size();
      counts.bytes_down += answer.size();
      flight = pair_.advance(false, phase, answer);
    } while (!pair_.finished() || !flight.empty());
  }
  Bytes ask(const std::string& method, const std::string& path, ByteView body) {
    service::ClientRequest request;
    request.method = method;
    request.path = path;
    if (method == "POST") request.content_type = kBinary;
    request.body = body;
    request.max_answer_bytes = kMostAnswerBytes;
    service::ClientAnswer answer = http_.send(request);
    if (answer.status != 200)
      throw Error("bench.child", "the other party's process answered " + std::to_string(answer.status) +
                                     ": " + std::string(answer.body.begin(), answer.body.end()));
    return std::move(answer.body);
  }

  service::HttpExchange http_;
  std::string prefix_;
  Pair& pair_;
};

/// work(caller) in a thread for each.
template <class Work>
void together(std::vector<std::unique_ptr<Caller>>& callers, const Work& work) {
  std::vector<std::exception_ptr> failures(callers.size());
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < callers.size(); ++i) {
    threads.emplace_back([&, i] {
      try {
        work(*callers[i]);
      } catch (...) {
        failures[i] = std::current_exception();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const std::exception_ptr& failure : failures) {
    if (failure) std::rethrow_exception(failure);
  }
}

}  // namespace

ProcessTime ProcessTime::operator-(const ProcessTime& earlier) const noexcept {
  return {transfers - earlier.transfers, steps - earlier.steps, user - earlier.user, system - earlier.system};
}

OverHttp run_transfers_over_http(const OverHttpOptions& options) {
  check_transfers_options({{options.source}, {options.op}, options.ring, options.kept});
  if (options.op == "correlated" || options.op == "random")
    throw UsageError("bench.http_op", "Over HTTP operations on shares are measured, not " + options.op);
  const Step step = step_named(options.op, options.ring, options.kept);
  const ot::TransferSource source = ot::TransferSource::named(options.source);
  Pairs pairs;
  for (std::size_t i = 0; i < options.sessions; ++i) pairs.push_back(std::make_unique<Pair>(source, step));
  const ServerChild child(pairs);
  const tbb::global_control one_core(tbb::global_control::max_allowed_parallelism, 1);
  std::vector<std::unique_ptr<Caller>> callers;
  for (std::size_t i = 0; i < pairs.size(); ++i)
    callers.push_back(std::make_unique<Caller>(child.url(), i, *pairs[i]));

  OverHttp report;
  together(callers, [](Caller& caller) { caller.batch(); });  // the set-up of the sources
  for (const auto& caller : callers) {
    caller->check(report);
    caller->counts = {};
  }
  const std::size_t batches = std::max<std::size_t>(
      1, (options.values + kStepValues * pairs.size() - 1) / (kStepValues * pairs.size()));
  const ProcessTime server = callers[0]->server_time();
  const ProcessTime client = process_time(pairs);
  const auto start = std::chrono::steady_clock::now();
  together(callers, [&](Caller& caller) {
    for (std::size_t i = 0; i < batches; ++i) caller.batch();
  });
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  report.client = process_time(pairs) - client;
  report.server = callers[0]->server_time() - server;
  for (const auto& caller : callers) {
    report.requests += caller->counts.requests;
    report.bytes_up += caller->counts.bytes_up;
    report.bytes_down += caller->counts.bytes_down;
    caller->check(report);
  }
  report.kernel = ot::kernels::active().name();
  report.values = batches * kStepValues * pairs.size();
  return report;
}

}  // namespace popcorn::cli
