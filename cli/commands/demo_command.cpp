// popcorn demo: a real server process, a key, and the shipped digits classified through HTTP.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "cli/commands/commands.h"
#include "cli/keys.h"
#include "cli/server_process.h"
#include "cli/shipped_files.h"
#include "cli/terminal/interrupt.h"
#include "cli/terminal/output.h"
#include "cli/terminal/progress.h"
#include "models/datasets/image_reading.h"
#include "models/evaluation/plaintext_evaluator.h"
#include "models/evaluation/prediction.h"
#include "protocols/engines.h"
#include "service/client/rest_client.h"

namespace popcorn::cli {

namespace {

constexpr unsigned kDemoKeyBits = 2048;

struct DemoOptions {
  std::string model = "mnist-conv2";
  std::size_t images = 0;
  KeyOptions key;
  std::string engine;  ///< empty = the server's preference
  std::string sign_test = protocols::kDefaultSignTest;
  bool json = false;
};

struct Outcome {
  Sample sample;
  models::Prediction prediction;
  service::InferenceResult result;
  bool equal =
      false;  ///< the logits are those of the plaintext integer network, with fast rounding the class
};

Table outcome_table() {
  using Align = Table::Align;
  return Table({{"picture", Align::left, 10},
                {"expected", Align::left},
                {"predicted", Align::left},
                {"probability"},
                {"time", Align::right, 8},
                {"up", Align::right, 8},
                {"down", Align::right, 8},
                {"= plaintext", Align::left}});
}

std::vector<std::string> outcome_row(const Outcome& outcome) {
  const models::Prediction& prediction = outcome.prediction;
  const bool is_expected = prediction.label == outcome.sample.label;
  return {outcome.sample.path.filename().string(),
          outcome.sample.label,
          prediction.label + (is_expected ? "" : "  <--"),
          prediction.probability ? human_percent(*prediction.probability, 1) : "-",
          human_seconds(outcome.result.seconds),
          human_bytes(outcome.result.bytes_up),
          human_bytes(outcome.result.bytes_down),
          outcome.equal ? "yes" : "NO"};
}

nlohmann::ordered_json outcome_json(const Outcome& outcome) {
  return {{"input", outcome.sample.path.filename().string()},
          {"expected", outcome.sample.label},
          {"label", outcome.prediction.label},
          {"equals_plaintext", outcome.equal},
          {"logits", exact_integers(outcome.result.logits)},
          {"seconds", outcome.result.seconds},
          {"bytes_up", outcome.result.bytes_up},
          {"bytes_down", outcome.result.bytes_down},
          {"rounds", outcome.result.rounds}};
}

std::vector<Sample> chosen_samples(const DemoOptions& options) {
  std::vector<Sample> samples = shipped_samples();
  if (samples.empty())
    throw IoError("samples.not_found", "no sample pictures are shipped with this executable");
  if (options.images > 0 && options.images < samples.size()) samples.resize(options.images);
  return samples;
}

Outcome classify(service::Client& client, const protocols::ClientBundle& bundle,
                 const std::shared_ptr<const paillier::KeyOwner>& owner,
                 const models::IntegerNetwork& network, const Sample& sample,
                 const service::Progress& progress) {
  const WideVector input = models::encode_image(bundle.encoding, datasets::read_image(sample.path));
  Outcome outcome;
  outcome.sample = sample;
  outcome.result = client.infer(bundle, owner, input, progress);
  outcome.prediction =
      models::predict(outcome.result.logits, bundle.output_scale, bundle.softmax, bundle.labels);
  const WideVector expected = models::evaluate(network, input);
  outcome.equal = outcome.result.engine == kFastEngine
                      ? models::arg_max(outcome.result.logits) == models::arg_max(expected)
                      : outcome.result.logits == expected;
  return outcome;
}

double median_seconds(const std::vector<Outcome>& outcomes) {
  std::vector<double> seconds;
  seconds.reserve(outcomes.size());
  for (const Outcome& outcome : outcomes) seconds.push_back(outcome.result.seconds);
  const auto middle = seconds.begin() + static_cast<std::ptrdiff_t>(seconds.size() / 2);
  std::nth_element(seconds.begin(), middle, seconds.end());
  return *middle;
}

void print_summary(const std::vector<Outcome>& outcomes, const nlohmann::ordered_json& saw) {
  const auto right = std::count_if(outcomes.begin(), outcomes.end(), [](const Outcome& outcome) {
    return outcome.prediction.label == outcome.sample.label;
  });
  const auto equal =
      std::count_if(outcomes.begin(), outcomes.end(), [](const Outcome& outcome) { return outcome.equal; });
  const auto seen = [&](const char* name) { return saw.value(name, std::uint64_t{0}); };
  std::cout << '\n'
            << right << " of " << outcomes.size() << " as drawn; " << equal << " of " << outcomes.size()
            << (outcomes.front().result.engine == kFastEngine
                    ? " of the plaintext network's class"
                    : " equal to the plaintext integer network, bit for bit")
            << "; median " << human_seconds(median_seconds(outcomes)) << " a picture\n"
            << "What the server saw: " << counted(seen("sessions_finished"), "inference") << ", "
            << counted(seen("ciphertexts_received"), "ciphertext") << " under a key it does not have ("
            << human_bytes(seen("bytes_received")) << ").\nIt sent " << human_bytes(seen("bytes_sent"))
            << " back and made " << counted(seen("multiplications"), "modular multiplication")
            << ". Not one pixel, activation or label was among it.\n";
}

int demo(const DemoOptions& options) {
  check_key_bits(options.key);
  const std::string name = load_model(options.model).name;
  const std::vector<Sample> samples = chosen_samples(options);
  std::string key_story;
  const auto owner = key_owner(options.key, key_story);

  const InterruptWatch watch;
  std::vector<std::string> serve_arguments = ServerProcess::open_doors(options.model);
  if (options.key.insecure_test_key) serve_arguments.emplace_back("--insecure-test-key");
  ServerProcess server(serve_arguments);
  if (!options.json) {
    std::cout << "Popcorn classifies " << samples.size() << " pictures with " << name
              << " on a server that sees ciphertexts only.\n"
              << "server: process " << server.pid() << " at " << server.url() << '\n'
              << "client: " << key_story << '\n'
              << (options.key.bits == kDemoKeyBits
                      ? "        (2048 bits for speed; other commands use 3072)\n"
                      : "");
  }
  service::ClientOptions client_options;
  client_options.cancel = &interrupted();
  client_options.engine = options.engine;
  client_options.sign_test = options.sign_test;
  service::Client client(server.url(), client_options);
  const protocols::ClientBundle bundle = client.bundle(name);
  const std::string engine = protocols::chosen_of(options.engine, bundle.engines);
  const models::IntegerNetwork network = load_model_for_engine(options.model, engine);
  if (!options.json) std::cout << "engine: " << engine << "\n\n";

  const Table table = outcome_table();
  if (!options.json) table.print_head(std::cout);
  std::vector<Outcome> outcomes;
  Progress progress("demo");
  for (const Sample& sample : samples) {
    const auto show = [&](std::uint64_t done, std::uint64_t rounds, const std::string& step) {
      progress.update(outcomes.size() * rounds + done, samples.size() * rounds,
                      sample.path.filename().string() + " " + step);
    };
    outcomes.push_back(classify(client, bundle, owner, network, sample, show));
    progress.clear();
    if (!options.json) {
      table.print_row(std::cout, outcome_row(outcomes.back()));
      std::cout.flush();
    }
  }
  auto saw = nlohmann::ordered_json::parse(server.stop(), nullptr, false);
  if (!saw.is_object()) throw Error("demo.server", "the server process did not say what it saw");
  const bool all_equal =
      std::all_of(outcomes.begin(), outcomes.end(), [](const Outcome& outcome) { return outcome.equal; });
  if (options.json) {
    nlohmann::ordered_json results = nlohmann::ordered_json::array();
    for (const Outcome& outcome : outcomes) results.push_back(outcome_json(outcome));
    saw.erase("event");
    print_json(std::cout, {{"model", network.name},
                           {"key_bits", owner->public_key().bits()},
                           {"engine", outcomes.front().result.engine},
                           {"sign_test", options.sign_test},
                           {"results", std::move(results)},
                           {"server_saw", std::move(saw)},
                           {"ok", all_equal}});
  } else {
    print_summary(outcomes, saw);
  }
  return all_equal ? 0 : 1;
}

}  // namespace

void add_demo_command(CLI::App& app, Action& chosen) {
  auto options = std::make_shared<DemoOptions>();
  CLI::App* command =
      app.add_subcommand("demo", "Start a server process and classify the shipped digits through it");
  command->add_option("--model", options->model, "Path of a .popcorn file or name of a shipped model")
      ->type_name("MODEL")
      ->capture_default_str();
  command->add_option("--images", options->images, "Only the first N sample pictures; 0 takes all")
      ->type_name("N")
      ->capture_default_str();
  add_key_size_options(*command, options->key, kDemoKeyBits);
  add_engine_option(*command, options->engine);
  add_sign_test_option(*command, options->sign_test);
  command->add_flag("--json", options->json, "Report as JSON");
  command->footer(
      "Example:\n  popcorn demo --model mnist-mlp --images 5\n  popcorn demo --engine ciphertext\n");
  command->callback([options, &chosen] { chosen = [options] { return demo(*options); }; });
}

}  // namespace popcorn::cli
