// popcorn inspect: what a model file holds and what an inference with it costs.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <iostream>
#include <locale>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>

#include "base/error.h"
#include "cli/capacity.h"
#include "cli/commands/commands.h"
#include "cli/keys.h"
#include "cli/shipped_files.h"
#include "cli/terminal/output.h"
#include "cli/terminal/progress.h"
#include "models/input/input_encoding.h"
#include "protocols/ciphertext/time_estimate.h"
#include "protocols/engines.h"
#include "protocols/session/cost_prediction.h"
#include "protocols/shares/share_estimate.h"

namespace popcorn::cli {

namespace {

struct InspectOptions {
  std::string model;
  KeyOptions key;
  std::string sign_test = protocols::kDefaultSignTest;
  bool cost = false;
  bool no_time = false;
  std::string engine;  ///< or empty: what the network is for
  std::string rounding = "nearest";
  bool capacity = false;
  CapacityWish wish;
  bool json = false;
};

double density_of(const models::IntegerNetwork& network) {
  return network.weights() == 0
             ? 1.0
             : static_cast<double>(network.nonzeros()) / static_cast<double>(network.weights());
}

unsigned widest_weight(const models::IntegerNetwork& network) {
  unsigned bits = 0;
  for (const models::Node& node : network.nodes) bits = std::max(bits, node.weight_bits());
  return bits;
}

nlohmann::ordered_json layer_json(const models::Node& node) {
  nlohmann::ordered_json layer = {{"name", node.name},
                                  {"kind", models::to_string(node.kind)},
                                  {"shape", {node.shape.channels, node.shape.height, node.shape.width}},
                                  {"bound_bits", node.bounds.bits}};
  if (!node.weights.empty()) {
    layer["weights"] = node.weights.size();
    layer["nonzeros"] = node.nonzeros();
    layer["density"] = node.density();
    layer["weight_bits"] = node.weight_bits();
    layer["magnitudes"] = node.magnitudes().size();
  }
  return layer;
}

nlohmann::ordered_json cost_layer_json(const protocols::InferenceCost::Layer& layer) {
  return {{"name", layer.name},
          {"kind", layer.kind},
          {"multiplications", layer.multiplications},
          {"naive_multiplications", layer.naive_multiplications},
          {"ciphertexts_up", layer.ciphertexts_up},
          {"ciphertexts_down", layer.ciphertexts_down},
          {"bytes_up", layer.bytes_up},
          {"bytes_down", layer.bytes_down}};
}

nlohmann::ordered_json facts_json(const models::IntegerNetwork& network) {
  nlohmann::ordered_json facts = nlohmann::ordered_json::object();
  for (const auto& [name, value] : network.facts) facts[name] = value;
  return facts;
}

struct Cost {
  protocols::InferenceCost counted;
  std::optional<protocols::TimeEstimate> time;
};

Cost predict(const models::IntegerNetwork& network, const InspectOptions& options) {
  Cost cost;
  protocols::SessionOptions session;
  session.engine = options.engine.empty() ? protocols::kDefaultEngine : options.engine;
  session.sign_test = options.sign_test;
  const auto model = protocols::ServedModel::create(network, protocols::kDefaultChunk, {}, {session.engine});
  cost.counted = protocols::predict_cost(*model, options.key.bits, session);
  if (options.no_time) return cost;
  std::string unused;
  const auto owner = key_owner(options.key, unused);
  const auto context = paillier::PublicContext::create(owner->public_key());
  const protocols::Engine& engine = protocols::engine_named(session.engine);
  cost.time = protocols::estimate_time(cost.counted, options.key.bits,
                                       engine.measure_speed(owner, context, session, system_rng()));
  return cost;
}

nlohmann::ordered_json estimate_json(const protocols::ShareEstimate& estimate) {
  return {{"multiplications", estimate.multiplications},
          {"ciphertexts_up", estimate.ciphertexts_up},
          {"ciphertexts_down", estimate.ciphertexts_down},
          {"transfers", estimate.transfers},
          {"ciphertext_bytes", estimate.ciphertext_bytes},
          {"step_bytes", estimate.step_bytes},
          {"bytes", estimate.bytes()}};
}

void add_share_cost(const protocols::ShareEstimates& cost, const InspectOptions& options,
                    nlohmann::ordered_json& report) {
  report["engine"] = "shares";
  report["rounding"] = options.rounding;
  report["key_bits"] = options.key.bits;
  report.update(estimate_json(cost.all));
  report["flights"] = cost.flights;
  report["cost_layers"] = nlohmann::ordered_json::array();
  for (const protocols::ShareEstimateLayer& layer : cost.layers) {
    nlohmann::ordered_json json = {
        {"name", layer.name}, {"kind", layer.kind}, {"ring_bits", layer.ring_bits}};
    if (layer.kept_bits > 0) json["kept_bits"] = layer.kept_bits;
    if (layer.slot_bits > 0) json["slot_bits"] = layer.slot_bits;
    json.update(estimate_json(layer));
    json["flights"] = layer.flights;
    report["cost_layers"].push_back(std::move(json));
  }
}

void print_share_cost(const protocols::ShareEstimates& cost, const InspectOptions& options) {
  using Align = Table::Align;
  Table table({{"step", Align::left},
               {"kind", Align::left},
               {"w"},
               {"kept"},
               {"slot"},
               {"multiplications"},
               {"ciphertexts up"},
               {"down"},
               {"transfers"},
               {"ciphertexts"},
               {"steps"}});
  const auto bits = [](unsigned n) { return n > 0 ? std::to_string(n) : std::string(); };
  const auto add = [&](const std::string& name, const std::string& kind, unsigned ring, unsigned kept,
                       unsigned slot, const protocols::ShareEstimate& e) {
    table.add_row({name, kind, bits(ring), bits(kept), bits(slot), grouped(e.multiplications),
                   grouped(e.ciphertexts_up), grouped(e.ciphertexts_down), grouped(e.transfers),
                   human_bytes(e.ciphertext_bytes), human_bytes(e.step_bytes)});
  };
  for (const protocols::ShareEstimateLayer& layer : cost.layers) {
    add(layer.name, layer.kind, layer.ring_bits, layer.kept_bits, layer.slot_bits, layer);
  }
  add("all", "", 0, 0, 0, cost.all);
  std::cout << "\nOne inference on shares with a " << options.key.bits << "-bit key and "
            << (options.rounding == "fast" ? "fast rounding" : "rounding to nearest")
            << ", estimated: " << human_bytes(cost.all.bytes()) << ", " << cost.flights << " flights\n";
  table.print(std::cout);
  std::cout << "w: bits of a value's ring; kept: of a rescaled one; slot: of a packed one\n";
}

std::string plain(double number) {
  std::ostringstream text;
  text.imbue(std::locale::classic());
  text << number;
  return text.str();
}

struct CapacityReport {
  MeasuredInference measured;
  Capacity needed;
};

CapacityReport capacity_of(const models::IntegerNetwork& network, const InspectOptions& options) {
  protocols::SessionOptions session;
  if (network.is_requantised()) session.engine = options.rounding == "fast" ? kFastEngine : "shares";
  session.sign_test = options.sign_test;
  const auto model = protocols::ServedModel::create(network, protocols::kDefaultChunk, {}, {session.engine});
  std::string key_story;
  const auto owner = key_owner(options.key, key_story);
  Progress progress("measuring an inference");
  CapacityReport report;
  report.measured = measure_inference(model, owner, session, [&](std::uint64_t done, std::uint64_t rounds) {
    progress.update(done, rounds, "round " + std::to_string(done + 1));
  });
  report.needed = plan_capacity(report.measured, options.wish);
  return report;
}

nlohmann::ordered_json part_json(const MeasuredInference::Part& part) {
  return {{"server_processor_seconds", part.server_seconds},
          {"client_processor_seconds", part.client_seconds},
          {"bytes_up", part.bytes_up},
          {"bytes_down", part.bytes_down},
          {"rounds", part.rounds}};
}

nlohmann::ordered_json capacity_json(const CapacityReport& report, const CapacityWish& wish) {
  const Capacity& needed = report.needed;
  return {{"answers_per_hour", wish.answers_per_hour},
          {"cores_given", wish.cores},
          {"stock_hours", wish.stock_hours},
          {"preparation", part_json(report.measured.preparation)},
          {"online", part_json(report.measured.online)},
          {"cores", needed.cores},
          {"answers_per_hour_of_the_cores", needed.answers_per_hour},
          {"sessions_at_once", needed.sessions_at_once},
          {"memory", needed.memory},
          {"preparations", needed.preparations},
          {"server_store", needed.server_store},
          {"client_store", needed.client_store},
          {"store_bytes_per_second", needed.store_bytes_per_second},
          {"up_bits_per_second", needed.up_bits_per_second},
          {"down_bits_per_second", needed.down_bits_per_second}};
}

std::string human_rate(double bits_per_second) {
  std::ostringstream text;
  text.imbue(std::locale::classic());
  text.precision(3);
  text << bits_per_second / 1e6 << " Mbit/s";
  return text.str();
}

std::string one_decimal(double number) {
  std::ostringstream text;
  text.imbue(std::locale::classic());
  text << std::fixed;
  text.precision(number < 1 ? 3 : 1);
  text << number;
  return text.str();
}

void print_capacity(const CapacityReport& report, const InspectOptions& options) {
  using Align = Table::Align;
  const auto print_part = [](const char* name, const MeasuredInference::Part& part) {
    std::cout << name << ": server " << human_seconds(part.server_seconds) << ", client "
              << human_seconds(part.client_seconds) << " of one core, " << human_bytes(part.bytes_up)
              << " up, " << human_bytes(part.bytes_down) << " down, " << part.rounds << " rounds\n";
  };
  std::cout << "\nMeasured on this machine just now, one inference with a " << options.key.bits
            << "-bit key\n";
  if (report.measured.preparation.rounds > 0) print_part("preparation", report.measured.preparation);
  print_part(report.measured.preparation.rounds > 0 ? "online" : "inference", report.measured.online);
  const CapacityWish& wish = options.wish;
  const Capacity& needed = report.needed;
  std::cout << "\n"
            << plain(wish.answers_per_hour) << " answers an hour, cores like these busy to "
            << human_percent(Capacity::kBusy, 0) << "\n";
  Table table({{"needed", Align::left}, {""}});
  table.add_row({"cores", one_decimal(needed.cores)});
  table.add_row(
      {"  answers an hour of " + counted(wish.cores, "core"), one_decimal(needed.answers_per_hour)});
  table.add_row(
      {"memory of all servers, at most, " + counted(needed.sessions_at_once, "session") + " at once",
       human_bytes(needed.memory)});
  if (needed.preparations > 0) {
    table.add_row({"preparations in stock, " + plain(wish.stock_hours) + " h", grouped(needed.preparations)});
    table.add_row({"  session store of all servers", human_bytes(needed.server_store)});
    table.add_row({"  written to it, a second",
                   human_bytes(static_cast<std::uint64_t>(needed.store_bytes_per_second))});
    table.add_row({"  disks of all clients", human_bytes(needed.client_store)});
  }
  table.add_row({"network, to the servers, on average", human_rate(needed.up_bits_per_second)});
  table.add_row({"network, from the servers", human_rate(needed.down_bits_per_second)});
  table.print(std::cout);
}

/// What is asked about the network, by its engine.
struct Predicted {
  std::optional<Cost> ciphertexts;
  std::optional<protocols::ShareEstimates> shares;
  std::optional<CapacityReport> capacity;
};

void print_as_json(const models::IntegerNetwork& network, const Predicted& costs,
                   const InspectOptions& options) {
  const std::optional<Cost>& predicted = costs.ciphertexts;
  nlohmann::ordered_json report = {
      {"model", network.name},
      {"description", network.description},
      {"config_id", network.config_id()},
      {"weights", network.weights()},
      {"nonzeros", network.nonzeros()},
      {"density", density_of(network)},
      {"weight_bits", widest_weight(network)},
      {"labels", network.labels},
      {"input", nlohmann::ordered_json::parse(models::encoding_to_json(network.encoding))},
      {"facts", facts_json(network)},
      {"layers", nlohmann::ordered_json::array()}};
  for (const models::Node& node : network.nodes) report["layers"].push_back(layer_json(node));
  if (predicted) {
    const protocols::InferenceCost* cost = &predicted->counted;
    report["key_bits"] = options.key.bits;
    report["engine"] = cost->engine;
    report["sign_test"] = options.sign_test;
    report["multiplications"] = cost->multiplications;
    report["naive_multiplications"] = cost->naive_multiplications;
    report["ciphertexts_up"] = cost->ciphertexts_up;
    report["ciphertexts_down"] = cost->ciphertexts_down;
    report["bytes_up"] = cost->bytes_up;
    report["bytes_down"] = cost->bytes_down;
    report["rounds"] = cost->rounds;
    report["peak_memory_client"] = cost->peak_memory_client;
    report["peak_memory_server"] = cost->peak_memory_server;
    if (predicted->time) {
      const protocols::TimeEstimate& time = *predicted->time;
      report["seconds"] = {{"server_linear", time.server_linear},
                           {"server_steps", time.server_steps},
                           {"client", time.client},
                           {"transfers", time.transfers},
                           {"total", time.total()}};
    }
    report["cost_layers"] = nlohmann::ordered_json::array();
    for (const auto& layer : cost->layers) report["cost_layers"].push_back(cost_layer_json(layer));
  }
  if (costs.shares) add_share_cost(*costs.shares, options, report);
  if (costs.capacity) report["capacity"] = capacity_json(*costs.capacity, options.wish);
  print_json(std::cout, report);
}

void print_layers(const models::IntegerNetwork& network) {
  using Align = Table::Align;
  Table table({{"layer", Align::left},
               {"kind", Align::left},
               {"shape"},
               {"weights"},
               {"non-zero"},
               {"density"},
               {"bits"},
               {"magnitudes"},
               {"bound"}});
  for (const models::Node& node : network.nodes) {
    std::vector<std::string> row = {node.name, std::string(models::to_string(node.kind)),
                                    node.shape.to_string()};
    if (node.weights.empty()) {
      row.insert(row.end(), 5, "");
    } else {
      row.push_back(grouped(node.weights.size()));
      row.push_back(grouped(node.nonzeros()));
      row.push_back(human_percent(node.density(), 1));
      row.push_back(std::to_string(node.weight_bits()));
      row.push_back(std::to_string(node.magnitudes().size()));
    }
    row.push_back(std::to_string(node.bounds.bits) + " bits");
    table.add_row(row);
  }
  table.print(std::cout);
}

void print_time(const protocols::TimeEstimate& time) {
  std::cout << "time, at the speed measured on this machine just now, parties taking turns: "
            << human_seconds(time.total()) << "\n(server: linear layers " << human_seconds(time.server_linear)
            << ", steps " << human_seconds(time.server_steps) << "; client " << human_seconds(time.client)
            << "; oblivious transfers of both " << human_seconds(time.transfers) << "; without transport)\n";
}

void print_cost(const protocols::InferenceCost& cost, const InspectOptions& options) {
  using Align = Table::Align;
  Table table({{"step", Align::left},
               {"kind", Align::left},
               {"multiplications"},
               {"one power per weight"},
               {"ciphertexts up"},
               {"down"},
               {"bytes up"},
               {"down"}});
  for (const auto& layer : cost.layers) {
    table.add_row({layer.name, layer.kind, grouped(layer.multiplications),
                   grouped(layer.naive_multiplications), grouped(layer.ciphertexts_up),
                   grouped(layer.ciphertexts_down), human_bytes(layer.bytes_up),
                   human_bytes(layer.bytes_down)});
  }
  table.add_row({"all", "", grouped(cost.multiplications), grouped(cost.naive_multiplications),
                 grouped(cost.ciphertexts_up), grouped(cost.ciphertexts_down), human_bytes(cost.bytes_up),
                 human_bytes(cost.bytes_down)});
  std::cout << "\nOne encrypted inference with the engine " << cost.engine << ", a " << options.key.bits
            << "-bit key and the " << options.sign_test << " sign test, " << cost.rounds << " rounds\n";
  table.print(std::cout);
  std::cout << "memory of one session at its peak, at most: client " << human_bytes(cost.peak_memory_client)
            << ", server " << human_bytes(cost.peak_memory_server)
            << " (messages included; without what sessions share)\n";
  std::cout
      << "multiplications: by the server, modulo the square of the key's modulus, squarings included; \"one "
         "power per weight\":\nthe same layer with one exponentiation per weight\n";
}

/// "input: 3x224x224 rgb; shorter side to 256, bilinear (as Pillow), centre cut out"
std::string input_text(const models::InputEncoding& encoding) {
  if (!encoding.columns.empty()) {
    std::string text =
        "input: rows of " + std::to_string(encoding.columns.size()) + " numbers, each in 255 steps";
    constexpr std::size_t kShown = 20;
    for (std::size_t c = 0; c < std::min(kShown, encoding.columns.size()); ++c) {
      const models::InputColumn& column = encoding.columns[c];
      text += "\n  " + (column.name.empty() ? "column " + std::to_string(c + 1) : column.name) + ": " +
              plain(column.low) + " to " + plain(column.high);
    }
    return text + (encoding.columns.size() > kShown ? "\n  ..." : "");
  }
  const bool bilinear = encoding.filter == models::InputEncoding::Filter::bilinear;
  std::string text = "input: " + encoding.shape.to_string() + " " + encoding.color + "; pictures are ";
  text +=
      encoding.resize == models::InputEncoding::Resize::stretch
          ? "stretched to it"
          : "scaled to a shorter side of " + std::to_string(encoding.resize_shorter_side) + " and cut to it";
  text += bilinear ? " by the bilinear filter of Pillow and torchvision" : " by area average (box filter)";
  if (encoding.invert == models::InputEncoding::Invert::always) text += ", then inverted";
  if (encoding.invert == models::InputEncoding::Invert::dark_on_light) text += "; dark on light is inverted";
  return text;
}

/// @throws UsageError "inspect.engine" when engine and network do not fit
models::IntegerNetwork network_for(const InspectOptions& options) {
  models::IntegerNetwork network =
      options.engine == "shares" ? load_requantised_model(options.model) : load_model(options.model);
  if (options.engine.empty() || network.is_requantised() == (options.engine == "shares")) return network;
  throw UsageError("inspect.engine",
                   "the network " + network.name +
                       (network.is_requantised() ? " is requantised; ciphertexts need an exact one"
                                                 : " is exact; shares need a requantised one"));
}

Predicted predict_for(const models::IntegerNetwork& network, const InspectOptions& options) {
  Predicted cost;
  if (options.capacity) cost.capacity = capacity_of(network, options);
  if (!options.cost) return cost;
  if (network.is_requantised()) {
    cost.shares = protocols::estimate_shares(network, {options.key.bits, options.rounding != "fast"});
  } else {
    cost.ciphertexts = predict(network, options);
  }
  return cost;
}

int inspect(const InspectOptions& options) {
  check_key_bits(options.key);
  const models::IntegerNetwork network = network_for(options);
  const Predicted predicted = predict_for(network, options);
  const std::optional<Cost>& cost = predicted.ciphertexts;
  if (options.json) {
    print_as_json(network, predicted, options);
    return 0;
  }
  std::cout << network.name << ": " << network.description << '\n'
            << input_text(network.encoding) << '\n'
            << grouped(network.weights()) << " weights, " << grouped(network.nonzeros())
            << " of them not zero (" << human_percent(density_of(network), 1) << "), at most "
            << widest_weight(network) << " bits; config " << network.config_id().substr(0, 16) << '\n';
  for (const auto& [name, value] : network.facts) std::cout << name << ": " << value << '\n';
  std::cout << '\n';
  print_layers(network);
  if (cost) print_cost(cost->counted, options);
  if (cost && cost->time) print_time(*cost->time);
  if (predicted.shares) print_share_cost(*predicted.shares, options);
  if (predicted.capacity) print_capacity(*predicted.capacity, options);
  return 0;
}

}  // namespace

void add_inspect_command(CLI::App& app, Action& chosen) {
  auto options = std::make_shared<InspectOptions>();
  CLI::App* command = app.add_subcommand("inspect", "Layers of a model and the cost of an inference with it");
  command->add_option("model", options->model, "Path of a .popcorn file or name of a shipped model")
      ->required()
      ->type_name("MODEL");
  command->add_flag("--cost", options->cost,
                    "Also multiplications, ciphertexts, bytes, memory and time of an encrypted inference");
  std::vector<std::string> engines;
  for (const std::string_view name : protocols::engine_names()) engines.emplace_back(name);
  command
      ->add_option(
          "--engine", options->engine,
          "ciphertext: the exact network; shares: the requantised form, also of a shipped model, with "
          "its cost by formula (default: what the file is for)")
      ->check(CLI::IsMember(engines));
  command->add_option("--rounding", options->rounding, "Of the cost on shares: nearest, or fast")
      ->check(CLI::IsMember({"nearest", "fast"}))
      ->capture_default_str();
  command->add_flag("--no-time", options->no_time, "Do not measure this machine's speed for --cost");
  command->add_flag(
      "--capacity", options->capacity,
      "Also what servers need for so many answers an hour, from an inference that is run here now");
  command
      ->add_option("--cores", options->wish.cores,
                   "With --capacity: cores of all servers, like this machine's")
      ->check(CLI::Range(1, 100'000))
      ->type_name("C")
      ->capture_default_str();
  command
      ->add_option("--sessions-per-hour", options->wish.answers_per_hour, "With --capacity: answers an hour")
      ->check(CLI::Range(0.001, 1e9))
      ->type_name("S")
      ->capture_default_str();
  command
      ->add_option("--stock-hours", options->wish.stock_hours,
                   "With --capacity: for how many hours the stocks of all clients last")
      ->check(CLI::Range(0.0, 1000.0))
      ->type_name("H")
      ->capture_default_str();
  add_key_size_options(*command, options->key, paillier::kDefaultKeyBits);
  add_sign_test_option(*command, options->sign_test);
  command->add_flag("--json", options->json, "Report as JSON");
  command->footer(
      "Example:\n  popcorn inspect mnist-conv2 --cost --bits 2048\n"
      "  popcorn inspect mnist-conv2 --cost --engine shares --bits 2048\n"
      "  popcorn inspect mnist-conv2 --engine shares --capacity --cores 8 --sessions-per-hour 6000\n");
  command->callback([options, &chosen] { chosen = [options] { return inspect(*options); }; });
}

}  // namespace popcorn::cli
