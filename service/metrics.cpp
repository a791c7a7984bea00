#include "service/metrics.h"

#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "paillier/kernels/kernel_registry.h"

namespace popcorn::service {
namespace {

std::string number(double value) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.17g", value);
  return text.data();
}

std::string number(std::uint64_t value) {
  return std::to_string(value);
}

std::string label(const std::string& name, const std::string& value) {
  std::string text = name + "=\"";
  for (const char c : value) {
    if (c == '\n') {
      text += "\\n";
      continue;
    }
    if (c == '"' || c == '\\') {
      text += '\\';
    }
    text += c;
  }
  return text + "\"";
}

void head(std::string& text, const std::string& name, const char* type, const char* help) {
  text += "# HELP " + name + " " + help + "\n# TYPE " + name + " " + type + "\n";
}

template <typename Value>
void sample(std::string& text, const std::string& name, const std::string& labels, Value value) {
  text += name + (labels.empty() ? "" : "{" + labels + "}") + " " + number(value) + "\n";
}

template <typename Value>
void metric(std::string& text, const std::string& name, const char* type, const char* help, Value value) {
  head(text, name, type, help);
  sample(text, name, "", value);
}

/// Methods that no route knows are one label value, whatever a client invents.
std::string method_label(const std::string& method) {
  return method == "GET" || method == "POST" || method == "DELETE" || method == "HEAD" ? method : "other";
}

std::uint64_t open_descriptors() {
  std::uint64_t count = 0;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd", ignored)) {
    static_cast<void>(entry);
    ++count;
  }
  return count;
}

/// Seconds since 1970 when this process started.
double start_time_seconds() {
  std::ifstream stat_file("/proc/self/stat");
  std::string stat((std::istreambuf_iterator<char>(stat_file)), std::istreambuf_iterator<char>());
  // The second field is a name in parentheses that may hold anything; field 22 is the start in clock ticks
  // since boot.
  std::istringstream fields(stat.substr(std::min(stat.rfind(')') + 2, stat.size())));
  std::string skipped;
  for (int field = 3; field < 22; ++field) {
    fields >> skipped;
  }
  double ticks = 0;
  fields >> ticks;
  std::ifstream boot("/proc/stat");
  for (std::string line; std::getline(boot, line);) {
    if (line.starts_with("btime ")) {
      return std::stod(line.substr(6)) + ticks / static_cast<double>(::sysconf(_SC_CLK_TCK));
    }
  }
  return 0;
}

void append_process(std::string& text) {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
  };
  std::uint64_t virtual_pages = 0, resident_pages = 0;
  std::ifstream("/proc/self/statm") >> virtual_pages >> resident_pages;
  const auto page = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  rlimit files{};
  ::getrlimit(RLIMIT_NOFILE, &files);
  metric(text, "process_cpu_seconds_total", "counter", "User and system time.",
         seconds(usage.ru_utime) + seconds(usage.ru_stime));
  metric(text, "process_resident_memory_bytes", "gauge", "Resident memory.", resident_pages * page);
  metric(text, "process_virtual_memory_bytes", "gauge", "Virtual memory.", virtual_pages * page);
  metric(text, "process_open_fds", "gauge", "Open file descriptors.", open_descriptors());
  metric(text, "process_max_fds", "gauge", "Most file descriptors that may be open.",
         static_cast<std::uint64_t>(files.rlim_cur));
  metric(text, "process_start_time_seconds", "gauge", "Start, in seconds since 1970.", start_time_seconds());
}

}  // namespace

void Histogram::observe(double seconds) {
  ++count_;
  sum_ += seconds;
  for (std::size_t i = 0; i < kBounds.size(); ++i) {
    buckets_[i] += static_cast<std::uint64_t>(seconds <= kBounds[i]);
  }
}

void Histogram::append_to(std::string& text, const std::string& name, const std::string& labels) const {
  const std::string lead = labels.empty() ? "" : labels + ",";
  for (std::size_t i = 0; i < kBounds.size(); ++i) {
    std::array<char, 16> bound{};
    std::snprintf(bound.data(), bound.size(), "%g", kBounds[i]);
    sample(text, name + "_bucket", lead + label("le", bound.data()), buckets_[i]);
  }
  sample(text, name + "_bucket", lead + label("le", "+Inf"), count_);
  sample(text, name + "_sum", labels, sum_);
  sample(text, name + "_count", labels, count_);
}

void Metrics::request(const std::string& method, const std::string& route, int status, double seconds) {
  ++requests_;
  const std::lock_guard lock(mutex_);
  ++requests_by_[{method_label(method), route, status}];
  request_seconds_[route].observe(seconds);
}

void Metrics::job(double waited_seconds, double) {
  const std::lock_guard lock(mutex_);
  queue_wait_.observe(waited_seconds);
}

void Metrics::round(std::uint64_t ciphertexts, const paillier::OperationCounts& before,
                    const paillier::OperationCounts& after, double seconds) {
  ciphertexts_received_ += ciphertexts;
  const std::lock_guard lock(mutex_);
  operations_.multiplications += after.multiplications - before.multiplications;
  operations_.squarings += after.squarings - before.squarings;
  operations_.inversions += after.inversions - before.inversions;
  round_compute_.observe(seconds);
}

void Metrics::phases(const protocols::ServerPhases& seconds) {
  const std::lock_guard lock(mutex_);
  phases_ += seconds;
}

void Metrics::prepared(std::uint64_t count, double seconds) {
  const std::lock_guard lock(mutex_);
  prepared_ += count;
  offline_seconds_ += seconds;
}

void Metrics::session_started(const std::string& engine) {
  ++sessions_started_;
  const std::lock_guard lock(mutex_);
  ++of_engine_[engine];
}

void Metrics::rejected(const std::string& code) {
  constexpr std::string_view kFamily = "ciphertext.";
  if (code.starts_with(kFamily)) {
    const std::lock_guard lock(mutex_);
    ++rejected_[code.substr(kFamily.size())];
  }
}

void Metrics::session_ended(SessionOutcome outcome, std::uint64_t count) {
  switch (outcome) {
    case SessionOutcome::finished:
      finished_ += count;
      break;
    case SessionOutcome::cancelled:
      cancelled_ += count;
      break;
    case SessionOutcome::expired:
      expired_ += count;
      break;
  }
}

ServerStatistics Metrics::snapshot() const {
  ServerStatistics out;
  out.requests = requests_;
  out.sessions_started = sessions_started_;
  out.sessions_finished = finished_;
  out.ciphertexts_received = ciphertexts_received_;
  out.ciphertexts_ahead = ciphertexts_ahead_;
  out.bytes_received = bytes_received_;
  out.bytes_sent = bytes_sent_;
  const std::lock_guard lock(mutex_);
  out.multiplications = operations_.multiplications;
  out.seconds = phases_;
  out.prepared = prepared_;
  out.offline_seconds = offline_seconds_;
  return out;
}

void Metrics::append_requests(std::string& text) const {
  head(text, "popcorn_http_requests_total", "counter", "Requests by method, route and status.");
  for (const auto& [key, count] : requests_by_) {
    const auto& [method, route, status] = key;
    sample(
        text, "popcorn_http_requests_total",
        label("method", method) + "," + label("route", route) + "," + label("status", std::to_string(status)),
        count);
  }
  head(text, "popcorn_http_request_duration_seconds", "histogram",
       "From the head of a request to its answer.");
  for (const auto& [route, histogram] : request_seconds_) {
    histogram.append_to(text, "popcorn_http_request_duration_seconds", label("route", route));
  }
}

void Metrics::append_work(std::string& text) const {
  head(text, "popcorn_queue_wait_seconds", "histogram", "Time that work waits for a worker.");
  queue_wait_.append_to(text, "popcorn_queue_wait_seconds", "");
  head(text, "popcorn_round_compute_seconds", "histogram", "Time to compute the answer of a round.");
  round_compute_.append_to(text, "popcorn_round_compute_seconds", "");
  const std::string operations = "popcorn_homomorphic_operations_total";
  head(text, operations, "counter", "Operations modulo N squared; multiplications include squarings.");
  sample(text, operations, label("op", "multiplication"), operations_.multiplications);
  sample(text, operations, label("op", "squaring"), operations_.squarings);
  sample(text, operations, label("op", "inversion"), operations_.inversions);
  metric(text, "popcorn_rerandomisers_prepared_total", "counter",
         "Random factors made ahead while the queue was idle.", prepared_);
  metric(text, "popcorn_offline_seconds_total", "counter", "Wall seconds of work done ahead while idle.",
         offline_seconds_);
  head(text, "popcorn_engine_sessions_total", "counter",
       "Sessions opened, by the engine that computes them.");
  for (const auto& [engine, count] : of_engine_) {
    sample(text, "popcorn_engine_sessions_total", label("engine", engine), count);
  }
  head(text, "popcorn_ciphertexts_rejected_total", "counter",
       "Rounds refused because of a ciphertext, by reason.");
  for (const auto& [reason, count] : rejected_) {
    sample(text, "popcorn_ciphertexts_rejected_total", label("reason", reason), count);
  }
}

std::string Metrics::prometheus_text(const Gauges& gauges) const {
  std::string text;
  head(text, "popcorn_build_info", "gauge", "Version and arithmetic kernel; always 1.");
  sample(text, "popcorn_build_info",
         label("version", POPCORN_VERSION) + "," + label("kernel", paillier::kernels::active().name),
         std::uint64_t{1});
  const std::string sessions = "popcorn_sessions_total";
  head(text, sessions, "counter", "Sessions that ended, by outcome.");
  sample(text, sessions, label("outcome", "finished"), finished_.load());
  sample(text, sessions, label("outcome", "cancelled"), cancelled_.load());
  sample(text, sessions, label("outcome", "expired"), expired_.load());
  metric(text, "popcorn_sessions_started_total", "counter", "Sessions opened.", sessions_started_.load());
  metric(text, "popcorn_sessions_active", "gauge", "Sessions between their first and last round.",
         static_cast<std::uint64_t>(gauges.sessions_active));
  metric(text, "popcorn_preparations", "gauge", "Preparations that wait for their input.",
         static_cast<std::uint64_t>(gauges.preparations));
  metric(text, "popcorn_preparations_made_total", "counter", "Preparations completed.",
         preparations_made_.load());
  metric(text, "popcorn_preparations_claimed_total", "counter", "Claims of preparations that were granted.",
         preparations_claimed_.load());
  metric(text, "popcorn_keys", "gauge", "Registered public keys.", static_cast<std::uint64_t>(gauges.keys));
  metric(text, "popcorn_queue_depth", "gauge", "Work that waits for a worker.",
         static_cast<std::uint64_t>(gauges.queue_depth));
  metric(text, "popcorn_connections", "gauge", "Connections that are served.",
         static_cast<std::uint64_t>(gauges.connections));
  metric(text, "popcorn_upload_memory_bytes", "gauge", "Bodies of rounds held in memory.",
         gauges.upload_bytes);
  metric(text, "popcorn_round_bytes_received_total", "counter", "Bodies of rounds received.",
         bytes_received_.load());
  metric(text, "popcorn_round_bytes_sent_total", "counter", "Answers of rounds sent.", bytes_sent_.load());
  metric(text, "popcorn_ciphertexts_received_total", "counter", "Ciphertexts in accepted rounds.",
         ciphertexts_received_.load());
  metric(text, "popcorn_ciphertexts_ahead_total", "counter",
         "Ciphertexts validated while the upload of their round went on.", ciphertexts_ahead_.load());
  {
    const std::lock_guard lock(mutex_);
    append_requests(text);
    append_work(text);
  }
  append_process(text);
  return text;
}

}  // namespace popcorn::service
