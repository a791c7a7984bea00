#include "cli/bench/network_benchmark.h"

#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>

#include "base/error.h"
#include "cli/bench/own_work.h"
#include "cli/bench/textbook_cost.h"
#include "cli/server_process.h"
#include "cli/shipped_files.h"
#include "cli/terminal/interrupt.h"
#include "models/datasets/image_reading.h"
#include "models/evaluation/plaintext_evaluator.h"
#include "paillier/kernels/kernel.h"
#include "paillier/kernels/kernel_registry.h"
#include "protocols/ciphertext/time_estimate.h"
#include "protocols/engines.h"
#include "protocols/session/cost_prediction.h"
#include "protocols/shares/share_estimate.h"
#include "service/client/rest_client.h"

namespace popcorn::cli {

namespace {

constexpr std::size_t kTextbookSamples = 5;

std::string process_file(pid_t pid, const char* name) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/" + name);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

/// Largest resident size of a process so far, in bytes; 0 when the system does not tell.
std::uint64_t peak_memory(pid_t pid) {
  constexpr std::uint64_t kKibibyte = 1024;
  const std::string status = process_file(pid, "status");
  const std::string label = "VmHWM:";
  const std::size_t at = status.find(label);
  return at == std::string::npos ? 0
                                 : kKibibyte * std::strtoull(status.c_str() + at + label.size(), nullptr, 10);
}

/// User and system time of another process, all threads.
double cpu_seconds(pid_t pid) {
  const std::string stat = process_file(pid, "stat");
  const std::size_t name_end = stat.rfind(')');  // the name may hold spaces
  if (name_end == std::string::npos) return 0;
  std::istringstream fields(stat.substr(name_end + 1));
  constexpr int kFieldsBefore = 11;  // state … cmajflt
  std::string skipped;
  for (int i = 0; i < kFieldsBefore; ++i) fields >> skipped;
  double user = 0;
  double system = 0;
  fields >> user >> system;
  return (user + system) / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

/// Inputs and results of all runs.
struct Runs {
  std::vector<WideVector> inputs;
  std::vector<service::InferenceResult> results;
};

double mean(const Runs& runs, double (*of)(const service::InferenceResult&)) {
  double sum = 0;
  for (const service::InferenceResult& result : runs.results) sum += of(result);
  return sum / static_cast<double>(runs.results.size());
}

/// Seconds of an inference by what they were spent on; "transfer" is what neither party computed: HTTP, the
/// loopback and waiting for a worker. "offline_client" and "offline_server" are what each prepared while it
/// waited.
std::vector<std::pair<std::string, double>> phases_of(const Runs& runs, const nlohmann::json& saw) {
  using service::InferenceResult;
  const nlohmann::json server = saw.value("seconds", nlohmann::json::object());
  const auto server_mean = [&](const char* name) {
    return server.value(name, 0.0) / static_cast<double>(runs.results.size());
  };
  const double encrypt = mean(runs, [](const InferenceResult& r) { return r.phases.encrypt; });
  const double step_client = mean(runs, [](const InferenceResult& r) { return r.phases.step; });
  const double decrypt = mean(runs, [](const InferenceResult& r) { return r.phases.decrypt; });
  const double wall = mean(runs, [](const InferenceResult& r) { return r.seconds; });
  const double parse = server_mean("parse");
  const double linear = server_mean("linear");
  const double step_server = server_mean("step");
  const double output = server_mean("output");
  const double known = encrypt + step_client + decrypt + parse + linear + step_server + output;
  return {{"encrypt", encrypt},
          {"upload", std::max(0.0, wall - known)},
          {"parse", parse},
          {"linear", linear},
          {"step_server", step_server},
          {"step_client", step_client},
          {"output", output},
          {"decrypt", decrypt},
          {"offline_client", mean(runs, [](const InferenceResult& r) { return r.offline_seconds; })},
          {"offline_server", saw.value("offline_seconds", 0.0) / static_cast<double>(runs.results.size())}};
}

/// Seconds between the beginnings of rounds, by step.
class StepTimes {
 public:
  void begin(const std::string& step) {
    end();
    if (steps_.empty() || steps_.back().first != step) steps_.emplace_back(step, 0);
    running_ = true;
    since_ = Clock::now();
  }
  void end() {
    if (running_) steps_.back().second += std::chrono::duration<double>(Clock::now() - since_).count();
    running_ = false;
  }
  /// Adds another run's.
  void add_to(std::vector<std::pair<std::string, double>>& sums) const {
    if (sums.empty()) {
      sums = steps_;
      return;
    }
    for (std::size_t i = 0; i < std::min(sums.size(), steps_.size()); ++i) sums[i].second += steps_[i].second;
  }

 private:
  using Clock = std::chrono::steady_clock;
  std::vector<std::pair<std::string, double>> steps_;
  Clock::time_point since_;
  bool running_ = false;
};

/// The engines on shares call all that follows their preparation one step.
void divide_phases(NetworkBenchmark& benchmark) {
  constexpr const char* kOnline = "online";
  if (benchmark.steps.empty() || benchmark.steps.back().first != kOnline) return;
  benchmark.online_seconds = benchmark.steps.back().second;
  for (const auto& [name, seconds] : benchmark.steps) {
    if (name != kOnline) benchmark.preparation_seconds += seconds;
  }
}

Timing wall_of(const Runs& runs) {
  std::vector<double> seconds;
  for (const service::InferenceResult& result : runs.results) seconds.push_back(result.seconds);
  return {median(seconds), *std::ranges::min_element(seconds), *std::ranges::max_element(seconds)};
}

/// How many runs have the plaintext network's label. @throws CheckError unless all outputs are equal, but for
/// fast rounding, which does not promise it
std::size_t check_results(const models::IntegerNetwork& network, const Runs& runs, bool exact) {
  std::size_t same_label = 0;
  for (std::size_t i = 0; i < runs.inputs.size(); ++i) {
    const WideVector expected = models::evaluate(network, runs.inputs[i]);
    if (exact && !(expected == runs.results[i].logits)) {
      throw CheckError("bench.wrong_result",
                       "run " + std::to_string(i + 1) + " does not equal the plaintext network");
    }
    same_label += models::arg_max(expected) == models::arg_max(runs.results[i].logits) ? 1 : 0;
  }
  return same_label;
}

std::uint64_t transfers_of(const models::IntegerNetwork& network, const std::string& engine, unsigned bits) {
  if (!network.is_requantised()) return 0;
  protocols::ShareEstimateOptions options;
  options.key_bits = bits;
  options.nearest = engine != kFastEngine;
  options.multiplications = false;
  return protocols::estimate_shares(network, options).all.transfers;
}

}  // namespace

NetworkBenchmark run_network_benchmark(const NetworkBenchmarkOptions& options,
                                       const BenchmarkProgress& progress) {
  NetworkBenchmark benchmark;
  std::string key_story;
  const auto owner = key_owner(options.key, key_story);
  const InterruptWatch watch;
  // Before the server starts, which prepares randomness while it is idle.
  protocols::SessionOptions session;
  session.engine = options.engine;
  if (!options.sign_test.empty()) session.sign_test = options.sign_test;
  const protocols::MachineSpeed speed =
      protocols::engine_named(session.engine)
          .measure_speed(owner, paillier::PublicContext::create(owner->public_key()), session, system_rng());
  std::vector<std::string> arguments = ServerProcess::open_doors(options.model.string());
  arguments.insert(arguments.end(), {"--engine", options.engine, "--output", "logits"});
  if (options.key.insecure_test_key) arguments.emplace_back("--insecure-test-key");
  ServerProcess server(arguments);
  service::ClientOptions client_options;
  client_options.cancel = &interrupted();
  client_options.engine = options.engine;
  client_options.sign_test = options.sign_test;
  service::Client client(server.url(), client_options);
  const protocols::ClientBundle bundle = client.bundle(client.models().at(0));

  const std::optional<models::Image> picture =
      options.picture.empty() ? std::nullopt : std::optional(datasets::read_image(options.picture));
  Runs runs;
  const double server_before = cpu_seconds(server.pid());
  const double client_before = processor_seconds();
  for (std::size_t run = 0; run < options.runs; ++run) {
    runs.inputs.push_back(picture ? models::encode_image(bundle.encoding, *picture)
                                  : random_input(bundle.encoding));
    StepTimes times;
    runs.results.push_back(
        client.infer(bundle, owner, runs.inputs.back(),
                     [&](std::uint64_t done, std::uint64_t rounds, const std::string& step) {
                       times.begin(step);
                       if (progress) progress(run * rounds + done, options.runs * rounds, step);
                     }));
    times.end();
    times.add_to(benchmark.steps);
  }
  const auto count = static_cast<double>(options.runs);
  for (auto& [name, seconds] : benchmark.steps) seconds /= count;
  divide_phases(benchmark);
  benchmark.cpu_seconds_client = (processor_seconds() - client_before) / count;
  benchmark.cpu_seconds_server = (cpu_seconds(server.pid()) - server_before) / count;
  benchmark.peak_memory_client = peak_memory(::getpid());
  benchmark.peak_memory_server = peak_memory(server.pid());
  const auto saw = nlohmann::json::parse(server.stop(), nullptr, false);
  if (!saw.is_object()) throw Error("bench.server", "the server process did not say what it saw");

  benchmark.model = bundle.model;
  benchmark.kernel = paillier::kernels::active().name;
  benchmark.engine = options.engine;
  benchmark.sign_test = session.sign_test = protocols::chosen_of(options.sign_test, bundle.sign_tests);
  benchmark.bits = owner->public_key().bits();
  benchmark.key_kind = owner->public_key().kind();
  benchmark.runs = options.runs;
  benchmark.cores = std::max(1U, std::thread::hardware_concurrency());
  benchmark.seconds = wall_of(runs);
  benchmark.bytes_up = runs.results.front().bytes_up;
  benchmark.bytes_down = runs.results.front().bytes_down;
  benchmark.rounds = runs.results.front().rounds;
  benchmark.preparation_bytes =
      runs.results.front().preparation_bytes_up + runs.results.front().preparation_bytes_down;
  benchmark.preparation_rounds = runs.results.front().preparation_rounds;
  benchmark.multiplications = saw.value("multiplications", std::uint64_t{0}) / options.runs;
  benchmark.phases = phases_of(runs, saw);

  const models::IntegerNetwork network = load_model_for_engine(options.model.string(), options.engine);
  benchmark.same_label = check_results(network, runs, options.engine != kFastEngine);
  benchmark.transfers = transfers_of(network, options.engine, benchmark.bits);
  const auto served = protocols::ServedModel::create(network, protocols::kDefaultChunk, {}, {options.engine});
  const protocols::InferenceCost cost = protocols::predict_cost(*served, benchmark.bits, session);
  benchmark.predicted_multiplications = cost.multiplications;
  if (options.runs > 1) {  // later inferences find the transfers set up
    const std::uint64_t later =
        protocols::predict_cost(*served, benchmark.bits, session, true).multiplications;
    benchmark.predicted_multiplications = (cost.multiplications + (options.runs - 1) * later) / options.runs;
  }
  benchmark.predicted_seconds = protocols::estimate_time(cost, benchmark.bits, speed).total();
  benchmark.predicted_bytes_up = cost.bytes_up;
  benchmark.predicted_bytes_down = cost.bytes_down;
  benchmark.predicted_memory_client = cost.peak_memory_client;
  benchmark.predicted_memory_server = cost.peak_memory_server;
  if (options.textbook) {
    if (progress) progress(1, 1, "textbook");
    GmpTextbook gmp(owner->private_key(), system_rng());
    benchmark.textbook_core_seconds = TextbookNetwork::of(network).measure(gmp, kTextbookSamples);
  }
  return benchmark;
}

}  // namespace popcorn::cli
