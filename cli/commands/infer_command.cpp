// popcorn infer: classifies pictures on a server that does not see them.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <iostream>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/error.h"
#include "base/file.h"
#include "cli/commands/commands.h"
#include "cli/keys.h"
#include "cli/options/connection_options.h"
#include "cli/options/stock_options.h"
#include "cli/terminal/interrupt.h"
#include "cli/terminal/notes.h"
#include "cli/terminal/output.h"
#include "cli/terminal/progress.h"
#include "models/datasets/image_reading.h"
#include "models/datasets/table_file.h"
#include "models/evaluation/prediction.h"
#include "models/network/arg_max.h"
#include "protocols/ciphertext/time_estimate.h"
#include "protocols/engines.h"
#include "protocols/session/cost_prediction.h"
#include "service/client/rest_client.h"

namespace popcorn::cli {

namespace {

struct InferOptions {
  ConnectionOptions connection;
  std::string model;
  KeyOptions key;
  std::vector<std::string> images;
  std::string engine;  ///< empty = the server's preference
  std::string sign_test = protocols::kDefaultSignTest;
  std::string output = "logits";
  std::string session_file;
  std::string stock_folder;
  bool no_stock = false;
  std::size_t top = 5;
  bool yes = false;
  bool ignore_orientation = false;
  bool verbose = false;
  bool json = false;
};

/// What is asked about before it is started, on a terminal.
constexpr std::size_t kFewClasses = 10;  // the first one says it all
constexpr double kLongSeconds = 600;
constexpr std::uint64_t kManyBytes = std::uint64_t{1} << 30;

nlohmann::ordered_json result_json(const std::string& input, const models::Prediction& prediction,
                                   const std::vector<models::Candidate>& candidates,
                                   const service::InferenceResult& result, bool with_logits) {
  nlohmann::ordered_json json = {{"input", input}, {"class", prediction.index}, {"label", prediction.label}};
  json["probability"] = prediction.probability ? nlohmann::ordered_json(*prediction.probability) : nullptr;
  if (with_logits) json["logits"] = exact_integers(result.logits);
  nlohmann::ordered_json best = nlohmann::ordered_json::array();
  for (const models::Candidate& candidate : candidates) {
    best.push_back({{"class", candidate.index}, {"label", candidate.label}});
    best.back()["probability"] =
        candidate.probability ? nlohmann::ordered_json(*candidate.probability) : nullptr;
  }
  json["top"] = std::move(best);
  json["engine"] = result.engine;
  json["seconds"] = result.seconds;
  json["client_seconds"] = result.client_seconds;
  json["offline_seconds"] = result.offline_seconds;
  json["prepared_encryptions"] = result.prepared;
  json["bytes_up"] = result.bytes_up;
  json["bytes_down"] = result.bytes_down;
  json["rounds"] = result.rounds;
  json["retries"] = result.retries;
  json["from_stock"] = result.from_stock;
  json["restarts"] = result.restarts;
  if (result.continued_at > 0) json["continued_at_round"] = result.continued_at;
  return json;
}

Table result_table(const std::vector<std::string>& images) {
  std::size_t longest = 0;
  for (const std::string& image : images) longest = std::max(longest, image.size());
  using Align = Table::Align;
  return Table({{"picture", Align::left, longest},
                {"label", Align::left, 5},
                {"probability"},
                {"time", Align::right, 9},
                {"up", Align::right, 9},
                {"down", Align::right, 9},
                {"rounds"}});
}

std::vector<std::string> result_row(const std::string& input, const models::Prediction& prediction,
                                    const service::InferenceResult& result) {
  return {input,
          prediction.label,
          prediction.probability ? human_percent(*prediction.probability) : "-",
          human_seconds(result.seconds),
          human_bytes(result.bytes_up),
          human_bytes(result.bytes_down),
          std::to_string(result.rounds)};
}

/// The classes after the first one, where there are more than a digit's worth of them.
void print_candidates(const std::vector<models::Candidate>& candidates) {
  for (std::size_t k = 1; k < candidates.size(); ++k) {
    std::cout << "    " << k + 1 << ". " << candidates[k].label;
    if (candidates[k].probability) std::cout << "  " << human_percent(*candidates[k].probability);
    std::cout << '\n';
  }
}

/// How much of the work is done when a step begins, for a bar that shows time and not rounds.
class WorkDone {
 public:
  WorkDone() = default;
  WorkDone(const protocols::InferenceCost& cost, unsigned bits, const protocols::MachineSpeed& speed) {
    double seconds = 0;
    for (const protocols::InferenceCost::Layer& layer : cost.layers) {
      before_[layer.name] = seconds;
      seconds += protocols::estimate_time(layer, bits, speed).total();
    }
    total_ = seconds;
  }
  bool is_known() const noexcept { return total_ > 0; }
  /// In thousandths of the whole.
  std::uint64_t at(const std::string& step) const {
    const auto found = before_.find(step);
    return found == before_.end() ? 0 : static_cast<std::uint64_t>(kWhole * found->second / total_);
  }
  static constexpr std::uint64_t kWhole = 1000;

 private:
  std::map<std::string, double> before_;  ///< seconds, by the name of a step
  double total_ = 0;
};

/// Says on standard error what one inference takes, when it is much; on a terminal --yes must agree.
/// @throws UsageError "infer.large"
WorkDone announce_cost(const InferOptions& options, const protocols::ClientBundle& bundle,
                       const std::shared_ptr<const paillier::KeyOwner>& owner) {
  const unsigned bits = owner->public_key().bits();
  protocols::SessionOptions session;
  session.engine = protocols::chosen_of(options.engine, bundle.engines);
  session.sign_test = options.sign_test;
  const protocols::InferenceCost cost = protocols::predict_client_cost(bundle, bits, session);
  const bool is_much = cost.bytes_up + cost.bytes_down >= kManyBytes / 16;
  if (!is_much) return {};  // a matter of seconds: not worth the measuring
  const auto context = paillier::PublicContext::create(owner->public_key());
  const protocols::MachineSpeed speed =
      protocols::engine_named(session.engine).measure_speed(owner, context, session, system_rng());
  const protocols::TimeEstimate time = protocols::estimate_time(cost, bits, speed);
  notes() << "One inference: " << human_bytes(cost.bytes_up) << " up, " << human_bytes(cost.bytes_down)
          << " down, " << grouped(cost.rounds) << " rounds; about " << human_seconds(time.client)
          << " of work here with at most " << human_bytes(cost.peak_memory_client)
          << " of memory; a server like this machine needs about "
          << human_seconds(time.server_steps + time.transfers)
          << " for its steps, and the linear layers, which it alone knows\n";
  const bool is_large = cost.bytes_up + cost.bytes_down >= kManyBytes || time.total() >= kLongSeconds;
  if (is_large && !options.yes && ::isatty(STDIN_FILENO) == 1) {
    throw UsageError("infer.large", "this is much; repeat the command with --yes if it is wanted");
  }
  return WorkDone(cost, bits, speed);
}

/// The label alone is the answer of a model of its own, see models/network/arg_max.h.
std::string wanted_model(const InferOptions& options) {
  return options.output == "label" ? options.model + models::kLabelSuffix : options.model;
}

/// What the command line names: a picture, or a file with rows of numbers, whose columns only the network's
/// encoding tells apart.
struct Source {
  std::string name;
  std::optional<models::Image> picture;
  std::string text;  ///< of standard input, JSON
};

struct Input {
  std::string name;
  WideVector values;
};

constexpr const char* kStandardInput = "-";

bool is_table(const std::string& path) {
  const std::string extension = std::filesystem::path(path).extension().string();
  return path == kStandardInput || extension == ".csv" || extension == ".npy" || extension == ".json";
}

std::string read_standard_input() {
  std::string text;
  char block[65536];
  while (std::cin.read(block, sizeof block) || std::cin.gcount() > 0) {
    text.append(block, static_cast<std::size_t>(std::cin.gcount()));
    if (text.size() > datasets::kMaxTableBytes)
      throw InputError("table.too_large", "standard input holds more than 1 GiB");
  }
  return text;
}

void describe_picture(const std::string& path, const datasets::Picture& picture, bool ignored) {
  notes() << path << ": " << picture.image.width << "x" << picture.image.height << " pixels";
  if (picture.orientation != 1) {
    notes() << ", EXIF orientation " << picture.orientation << (ignored ? " ignored" : " applied");
  }
  notes() << '\n';
}

std::vector<Source> read_sources(const InferOptions& options) {
  std::vector<Source> sources;
  for (const std::string& path : options.images) {
    Source source{path, std::nullopt, {}};
    if (path == kStandardInput) {
      source.text = read_standard_input();
    } else if (!is_table(path)) {
      datasets::Picture picture = datasets::read_picture(
          path, options.ignore_orientation ? datasets::Orientation::ignore : datasets::Orientation::apply);
      if (options.verbose) describe_picture(path, picture, options.ignore_orientation);
      source.picture = std::move(picture.image);
    }
    sources.push_back(std::move(source));
  }
  return sources;
}

/// The rows of a table, each under its number.
void encode_rows(const Source& source, const models::InputEncoding& encoding, std::vector<Input>& inputs) {
  std::vector<std::string> names;
  for (const models::InputColumn& column : encoding.columns) names.push_back(column.name);
  const std::string shown = source.name == kStandardInput ? "standard input" : source.name;
  datasets::NumberTable table;
  if (source.name == kStandardInput) {
    table = datasets::parse_json_rows(source.text, shown, names);
  } else if (std::filesystem::path(source.name).extension() == ".json") {
    table = datasets::parse_json_rows(read_text_file(source.name, datasets::kMaxTableBytes), shown, names);
  } else {
    table = datasets::read_rows(source.name, names);
  }
  for (std::size_t row = 0; row < table.rows(); ++row) {
    const std::string name = shown + ":" + std::to_string(row + 1);
    try {
      inputs.push_back(
          {name, models::encode_row(encoding, {table.values.data() + row * table.columns, table.columns})});
    } catch (const InputError& error) {
      throw InputError(error.code(), name + ": " + error.what());
    }
  }
}

std::vector<Input> encode_sources(const std::vector<Source>& sources, const models::InputEncoding& encoding) {
  std::vector<Input> inputs;
  for (const Source& source : sources) {
    if (!source.picture) {
      encode_rows(source, encoding, inputs);
      continue;
    }
    try {
      inputs.push_back({source.name, models::encode_image(encoding, *source.picture)});
    } catch (const InputError& error) {
      throw InputError(error.code(), source.name + ": " + error.what());
    }
  }
  return inputs;
}

/// The stock beside the key, where there is one.
std::shared_ptr<const service::Stock> stock_of(const InferOptions& options, const paillier::KeyOwner& owner) {
  if (options.no_stock || options.key.file.empty() || !options.session_file.empty()) return nullptr;
  const std::filesystem::path folder = stock_folder(options.stock_folder, options.key.file);
  std::error_code ignored;
  if (options.stock_folder.empty() && !std::filesystem::exists(folder, ignored)) return nullptr;
  return std::make_shared<const service::Stock>(folder, owner);
}

/// What preparations for the model were made for; empty = there are none.
std::string engine_of(const service::Stock* stock, const std::string& model) {
  if (stock == nullptr) return "";
  for (const service::Stock::Listed& one : stock->list()) {
    if (one.problem.empty() && one.facts.model == model) return one.facts.engine;
  }
  return "";
}

int infer(const InferOptions& options) {
  // Everything that can fail at home fails before the server hears of anything.
  if (!options.session_file.empty() && (options.images.size() != 1 || options.key.file.empty())) {
    throw UsageError("infer.session", "--session keeps one inference: give one picture and --key FILE");
  }
  service::ClientOptions connection = client_options(options.connection);
  const std::vector<Source> sources = read_sources(options);
  std::string key_story;
  const auto owner = key_owner(options.key, key_story);
  notes() << key_story << '\n';

  const InterruptWatch watch;
  connection.cancel = &interrupted();
  connection.engine = options.engine;
  connection.sign_test = options.sign_test;
  connection.session_file = options.session_file;
  if (!options.key.file.empty()) {
    connection.set_ups = std::make_shared<service::KeptSetUps>(options.key.file + ".ot-state");
    const std::string& problem = connection.set_ups->problem();
    if (!problem.empty()) notes() << "popcorn: note: " << problem << '\n';
  }
  connection.stock = stock_of(options, *owner);
  if (connection.engine.empty()) connection.engine = engine_of(connection.stock.get(), wanted_model(options));
  connection.note = [](const std::string& sentence) { notes() << "popcorn: note: " << sentence << '\n'; };
  service::Client client(options.connection.server, connection);
  const protocols::ClientBundle bundle = client.bundle(wanted_model(options));
  const bool with_logits = bundle.answer == models::Answer::logits;
  const std::vector<Input> inputs = encode_sources(sources, bundle.encoding);
  if (!options.session_file.empty() && inputs.size() != 1)
    throw UsageError("infer.session",
                     "--session keeps one inference: give one picture or one row, and --key FILE");
  std::vector<std::string> names;
  for (const Input& input : inputs) names.push_back(input.name);

  const WorkDone work = announce_cost(options, bundle, owner);

  const Table table = result_table(names);
  if (!options.json) table.print_head(std::cout);
  nlohmann::ordered_json results = nlohmann::ordered_json::array();
  Progress progress("inference");
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const auto show = [&](std::uint64_t done, std::uint64_t rounds, const std::string& step) {
      const std::uint64_t whole = work.is_known() ? WorkDone::kWhole : rounds;
      progress.update(i * whole + (work.is_known() ? work.at(step) : done), inputs.size() * whole,
                      names[i] + " " + step);
    };
    const service::InferenceResult result = client.infer(bundle, owner, inputs[i].values, show);
    const models::Prediction prediction =
        with_logits ? models::predict(result.logits, bundle.output_scale, bundle.softmax, bundle.labels)
                    : models::predict_label(result.logits, bundle.labels);
    const std::vector<models::Candidate> candidates =
        with_logits ? models::best_classes(result.logits, bundle.output_scale, bundle.softmax, bundle.labels,
                                           options.top)
                    : std::vector<models::Candidate>{};
    progress.clear();
    if (options.json) {
      results.push_back(result_json(names[i], prediction, candidates, result, with_logits));
    } else {
      table.print_row(std::cout, result_row(names[i], prediction, result));
      if (result.logits.size() > kFewClasses) print_candidates(candidates);
      std::cout.flush();
    }
  }
  if (options.json) {
    print_json(
        std::cout,
        {{"model", bundle.model}, {"key_bits", owner->public_key().bits()}, {"results", std::move(results)}});
  }
  return 0;
}

}  // namespace

void add_infer_command(CLI::App& app, Action& chosen) {
  auto options = std::make_shared<InferOptions>();
  CLI::App* command = app.add_subcommand(
      "infer", "Classify pictures, or rows of numbers, on a server that does not see them");
  add_connection_options(*command, options->connection);
  command->add_option("--model", options->model, "Name of the model on the server")
      ->required()
      ->type_name("NAME");
  command->add_option("--key", options->key.file, "Private key file; without it a temporary key pair is made")
      ->type_name("FILE");
  command
      ->add_option("images", options->images,
                   "Pictures: PNG, JPEG, binary PGM or PPM, of any size; or tables of rows: .csv, .npy, "
                   ".json, - for JSON on "
                   "standard input")
      ->required()
      ->type_name("IMAGE");
  add_key_size_options(*command, options->key, paillier::kDefaultKeyBits);
  add_engine_option(*command, options->engine);
  add_sign_test_option(*command, options->sign_test);
  command
      ->add_option("--output", options->output,
                   "logits, or label: then nobody but the server's ciphertexts ever holds the logits")
      ->type_name("KIND")
      ->check(CLI::IsMember({"logits", "label"}))
      ->capture_default_str();
  command
      ->add_option("--session", options->session_file,
                   "Keep the inference in this file from its first answer on; the same command after a crash "
                   "or Ctrl-C goes on where it was. Needs --key and one picture")
      ->type_name("FILE");
  add_stock_folder_option(*command, options->stock_folder);
  command->add_flag("--no-stock", options->no_stock, "Take nothing from the stock of preparations");
  command->add_option("--top", options->top, "How many classes to tell, the likeliest first")
      ->check(CLI::Range(1, 1000))
      ->type_name("N")
      ->capture_default_str();
  command->add_flag(
      "--ignore-orientation", options->ignore_orientation,
      "Take pictures as they are stored, whatever their EXIF data say about how they were held");
  command->add_flag("-v,--verbose", options->verbose,
                    "Say on standard error what was read: sizes, orientations");
  command->add_flag("--yes", options->yes, "Start large inferences without being asked");
  command->add_flag("--json", options->json,
                    "Results as JSON; logits are exact integers, as strings where they pass 2^53");
  command->footer(
      "Examples:\n"
      "  popcorn infer --server http://127.0.0.1:8080 --model mnist-conv2 models/samples/7_1.png\n"
      "  popcorn infer --server https://host:8443 --ca ca.pem --token-file token --model mnist-conv2 "
      "models/samples/7_1.png\n"
      "  popcorn infer --server http://127.0.0.1:8080 --model loans applicants.csv\n");
  command->callback([options, &chosen] { chosen = [options] { return infer(*options); }; });
}

}  // namespace popcorn::cli
