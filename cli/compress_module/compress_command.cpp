// popcorn compress: from a float ONNX network to a small integer network.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <iostream>
#include <memory>
#include <optional>

#include "base/error.h"
#include "base/file.h"
#include "cli/compress_module/commands.h"
#include "cli/compress_module/config_file.h"
#include "cli/compress_module/html_report.h"
#include "cli/compress_module/integer_export.h"
#include "cli/compress_module/interruption.h"
#include "cli/compress_module/report_table.h"
#include "cli/compress_module/requantise.h"
#include "cli/compress_module/training_data.h"
#include "cli/compress_module/training_progress.h"
#include "cli/options/argument_check.h"
#include "cli/terminal/notes.h"
#include "cli/terminal/output.h"
#include "compress/compression.h"
#include "compress/onnx/onnx_import.h"
#include "models/file/popcorn_file.h"

namespace popcorn::cli {

namespace {

struct CompressOptions {
  std::string input, output, onnx, html, shape, output_node, resize_filter, scope, grid = "uniform";
  DataChoice data;
  std::string name, color;
  std::optional<std::int64_t> shorter_side;
  std::vector<double> mean, deviation;
  std::vector<std::string> layer_sparsity, layer_bits, layer_grid;
  compress::CompressionOptions compression;
  RequantiseChoice requantise;
  std::optional<double> cost_exponent;
  int epochs = 20, quantise_epochs = -1;
  double quantise_rate = 1e-3;
  std::size_t calibration_images = 256;
  bool post_training = false;
  double max_drop = -1;
  bool plain = false, keep_saturation = false, verbose = false, json = false;
};

void add_network_options(CLI::App& app, CompressOptions& o) {
  app.add_option("input", o.input,
                 "Float network, ONNX; or, with --activation-bits, an exact integer network, .popcorn")
      ->required();
  app.add_option("-o,--output", o.output, "Integer network to write, .popcorn")->required();
  app.add_option("--export-onnx", o.onnx, "Also write the integer network as ONNX (see popcorn export)")
      ->type_name("FILE");
  app.add_option("--html", o.html, "Also write the report as one HTML file with plots; opens offline")
      ->type_name("FILE");
  app.add_option("--name", o.name, "Name of the network (default: from the file)");
  app.add_option(
         "--input-shape", o.shape,
         "CxHxW of the pictures, for a file whose input is a vector, N x H x W, or of open size (default: "
         "the data set's, where it fits)")
      ->type_name("CxHxW");
  app.add_option(
         "--output-node", o.output_node,
         "Output, value or node of the file that the network ends with (default: the obvious one, logits "
         "before their probabilities)")
      ->type_name("NAME");
  app.add_option("--resize-shorter-side", o.shorter_side,
                 "Pictures: scale the shorter side to N, then cut out the centre (default: stretch)")
      ->check(CLI::Range(1, 1'000'000'000))
      ->type_name("N");
  app.add_option(
         "--resize-filter", o.resize_filter,
         "How pictures are resized: box (area average; default), or bilinear as Pillow and torchvision do it")
      ->check(CLI::IsMember({"box", "bilinear"}));
  app.add_flag("--ignore-orientation", o.data.ignore_orientation,
               "Take pictures as they are stored, whatever their EXIF data say about how they were held");
  app.add_option("--color", o.color, "Order of the colour channels: gray, rgb, bgr")
      ->check(CLI::IsMember({"gray", "rgb", "bgr"}));
  app.add_option("--mean", o.mean, "Mean per channel, as a share of 255: x = (pixel/255 - mean)/std")
      ->delimiter(',');
  app.add_flag("--keep-saturation", o.keep_saturation,
               "Keep the upper limits of 8-bit activations of a quantised (QDQ) network as clips");
  app.add_option("--std", o.deviation, "Deviation per channel, as a share of 255")->delimiter(',');
}

void add_data_options(CLI::App& app, CompressOptions& o) {
  app.add_option(
         "-d,--data", o.data.folder,
         "Folder of the data set, or the folder that holds it; for --dataset folder a folder of pictures or "
         "a table of them")
      ->required()
      ->envname("POPCORN_DATA");
  app.add_option(
         "--dataset", o.data.dataset,
         "Data set to tune and measure on: mnist, cifar10, or folder: pictures in a sub-folder for each "
         "class, listed with their classes in labels.csv, or named 012_*.jpg; or csv: a table of numbers "
         "(.csv, .npy) with a label a "
         "row (default: what the ONNX file names, else mnist)")
      ->check(CLI::IsMember({"mnist", "cifar10", "folder", "csv"}));
  app.add_option("--label", o.data.label,
                 "Of a table: name or number of the column with the classes (default: the last)")
      ->type_name("COLUMN");
  app.add_option(
         "--training-images", o.data.training_images,
         "Pictures to train and calibrate on; of a folder without train/ and test/, accuracy is measured on "
         "the others (default there: --calibration-images with --post-training, else four fifths)")
      ->check(CLI::Range(1, 1'000'000'000))
      ->type_name("N");
  app.add_option("--test-images", o.data.test_images, "Measure accuracy on the first N test pictures only")
      ->check(CLI::Range(1, 1'000'000'000))
      ->type_name("N");
}

void add_size_options(CLI::App& app, CompressOptions& o) {
  compress::CompressionOptions& c = o.compression;
  app.add_option("--sparsity", c.pruning.sparsity, "Share of all weights that become zero")
      ->capture_default_str();
  app.add_option("--filters", c.filters,
                 "Share of whole filters of each layer that are removed first: those of the least weights")
      ->check(CLI::Range(0.0, 0.999))
      ->capture_default_str();
  app.add_option(
         "--scope", o.scope,
         "How thresholds are chosen: global, layer, adaptive (spares small layers), sensitivity (what the "
         "network's predictions depend on least; with --post-training) (default: adaptive, with "
         "--post-training and without --target-cost sensitivity)")
      ->check(CLI::IsMember({"global", "layer", "adaptive", "sensitivity"}));
  app.add_option("--layer-sparsity", o.layer_sparsity, "NAME=SHARE for one layer; NAME may end with *");
  app.add_option(
         "--cost-exponent", o.cost_exponent,
         "How strongly the homomorphic cost of a weight counts when choosing what to prune, 0 (not at "
         "all) to 2 (default: 0, with --target-cost 1)")
      ->check(CLI::Range(0.0, 2.0));
  app.add_option(
      "--target-cost", c.target_cost,
      "Modular multiplications an inference may need, as popcorn inspect --cost counts them; decides "
      "the sparsity in place of --sparsity; with --activation-bits those of an inference on shares");
  app.add_option("--target-bytes", c.target_bytes,
                 "With --activation-bits: bytes that an inference on shares may take, by formula; layers get "
                 "fewer bits than --activation-bits until it does");
  app.add_option("--bits", c.quantisation.bits, "Bits of the signed weights, 2 to 8")
      ->check(CLI::Range(2, 8))
      ->capture_default_str();
  app.add_option("--layer-bits", o.layer_bits, "NAME=BITS for one layer; NAME may end with *");
  app.add_option("--grid", o.grid,
                 "Values of the weights: uniform (of --bits), ternary, binary, codebook (clustered: "
                 "2^(bits-1) integer magnitudes)")
      ->check(CLI::IsMember({"uniform", "ternary", "binary", "codebook"}))
      ->capture_default_str();
  app.add_option("--layer-grid", o.layer_grid, "NAME=GRID for one layer; NAME may end with *");
  app.add_option("--max-drop", o.max_drop,
                 "Largest permitted loss of accuracy in percentage points; beyond it nothing is written "
                 "(exit code 8)")
      ->check(CLI::Range(0.0, 100.0));
}

void add_training_options(CLI::App& app, CompressOptions& o) {
  compress::TrainingOptions& t = o.compression.pruning_training;
  app.add_option("--epochs", o.epochs, "Fine-tuning epochs while pruning")
      ->check(CLI::Range(0, 10000))
      ->capture_default_str();
  app.add_option("--quantise-epochs", o.quantise_epochs,
                 "Fine-tuning epochs on quantised weights (default: as --epochs; none with --post-training)")
      ->check(CLI::Range(0, 10000));
  app.add_option("--lr", t.learning_rate, "Largest learning rate while pruning")
      ->check(CLI::Range(1e-12, 1e6))
      ->capture_default_str();
  app.add_option("--quantise-lr", o.quantise_rate, "Largest learning rate on quantised weights")
      ->check(CLI::Range(1e-12, 1e6))
      ->capture_default_str();
  app.add_option("--grid-rate", t.grid_rate,
                 "Learning rate of quantised weights, which move in units of their grid, as a multiple")
      ->check(CLI::Range(1e-12, 1e6))
      ->capture_default_str();
  app.add_option("--distillation", t.distillation, "Weight of the float network's outputs in the loss")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  app.add_option("--batch", t.batch, "Pictures per step")->check(CLI::Range(1, 65536))->capture_default_str();
  app.add_option("--seed", t.seed, "Seed of order and distortions")->capture_default_str();
  app.add_option("--threads", t.threads, "Threads; the result is the same for the same number")
      ->check(CLI::Range(1, 256))
      ->capture_default_str();
  app.add_option("--resume", o.compression.checkpoint,
                 "Checkpoint, written after each epoch (beside it FILE.prune and FILE.quantise); if it "
                 "exists already "
                 "the compression goes on from it, with the same result")
      ->type_name("FILE");
  app.add_flag("--mixed-precision", t.mixed_precision,
               "Convolutions of the fine-tuning in bfloat16: about twice as fast on processors with "
               "AVX512_BF16 or AMX");
  app.add_flag("--no-augmentation", o.plain, "Fine-tune on the pictures as they are");
}

void add_post_training_options(CLI::App& app, CompressOptions& o) {
  app.add_flag("--post-training", o.post_training,
               "Neither labels nor fine-tuning: weights are removed and rounded so that each layer's outputs "
               "on sample pictures change least; --quantise-epochs may still follow");
  app.add_option("--calibration-images", o.calibration_images,
                 "Training pictures that --post-training and --activation-bits look at")
      ->check(CLI::Range(1, 1000000))
      ->capture_default_str();
}

void add_requantisation_options(CLI::App& app, CompressOptions& o) {
  app.add_option(
         "--activation-bits", o.requantise.activation_bits,
         "Write the requantised network, for computation on shares: values are rounded to about so many "
         "bits after each non-linear step")
      ->check(CLI::Range(2, 16))
      ->type_name("BITS");
  app.add_flag(
      "--class-scales", o.compression.quantisation.class_scales,
      "A scale for each class: the last layer's weights have a step for each output, as other layers' "
      "have; for networks whose scores are opened, not for the label alone");
  app.add_option("--layer-activation-bits", o.requantise.layer_activations,
                 "NAME=BITS for the step of one layer; may be repeated")
      ->type_name("NAME=BITS");
}

void add_options(CLI::App& app, CompressOptions& o) {
  add_network_options(app, o);
  add_data_options(app, o);
  add_size_options(app, o);
  add_training_options(app, o);
  add_post_training_options(app, o);
  add_requantisation_options(app, o);
  app.add_option("--config", "JSON file with these options in its section \"compress\"; flags win")
      ->type_name("FILE");
  app.add_flag("-v,--verbose", o.verbose, "A line per epoch even when standard error is not a terminal");
  app.add_flag("--json", o.json, "Print the report as JSON");
  add_quiet_option(app);
  for (CLI::Option* option : app.get_options()) {
    const std::string flag = option->get_name();
    if (flag.starts_with("--layer-")) {
      option->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
    } else if (flag != "--mean" && flag != "--std") {
      option->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
    }
  }
}

/// "NAME=VALUE" → both parts. @throws UsageError "option.pair"
std::pair<std::string, std::string> split_pair(const std::string& text) {
  const std::size_t equals = text.rfind('=');
  if (equals == std::string::npos || equals == 0) {
    throw UsageError("option.pair", "\"" + text + "\" is not NAME=VALUE");
  }
  return {text.substr(0, equals), text.substr(equals + 1)};
}

/// @throws UsageError "option.pair"
std::pair<std::string, double> parse_pair(const std::string& text) {
  const auto [name, number] = split_pair(text);
  double value = 0;
  if (!CLI::detail::lexical_cast(number, value)) {
    throw UsageError("option.pair", "\"" + text + "\" is not NAME=VALUE with a number as its value");
  }
  return {name, value};
}

/// @throws UsageError "option.grid"
compress::GridKind parse_grid(const std::string& name) {
  if (name == "uniform") return compress::GridKind::uniform;
  if (name == "ternary") return compress::GridKind::ternary;
  if (name == "binary") return compress::GridKind::binary;
  if (name == "codebook") return compress::GridKind::codebook;
  throw UsageError("option.grid",
                   "\"" + name + "\" is no grid; there are uniform, ternary, binary and codebook");
}

models::Shape parse_shape(const std::string& text) {
  std::vector<std::int64_t> sides;
  for (const std::string& part : CLI::detail::split(text, 'x')) {
    std::int64_t side = 0;
    if (!CLI::detail::lexical_cast(part, side) || side < 1 || side > models::Limits::kExtent) sides.clear();
    sides.push_back(side);
  }
  if (sides.size() != 3) throw UsageError("option.shape", "\"" + text + "\" is not a shape like 1x28x28");
  return {sides[0], sides[1], sides[2]};
}

compress::ImportOptions import_options(const CompressOptions& o) {
  compress::ImportOptions result;
  if (!o.name.empty()) result.name = o.name;
  if (!o.color.empty()) result.color = o.color;
  if (!o.shape.empty()) result.input_shape = parse_shape(o.shape);
  if (o.data.dataset.empty() || o.data.dataset == "mnist") result.picture_shape = models::Shape{1, 28, 28};
  if (o.data.dataset == "cifar10") result.picture_shape = models::Shape{3, 32, 32};
  result.output_node = o.output_node;
  result.resize_shorter_side = o.shorter_side;
  if (!o.resize_filter.empty()) {
    result.resize_filter = o.resize_filter == "box" ? models::InputEncoding::Filter::box
                                                    : models::InputEncoding::Filter::bilinear;
  }
  result.mean = o.mean;
  result.deviation = o.deviation;
  result.keep_saturation = o.keep_saturation;
  return result;
}

/// @throws UsageError "option.scope"
compress::PruningScope scope_of(const CompressOptions& o) {
  const bool by_cost = o.compression.target_cost.has_value();
  if (o.scope == "sensitivity" && (!o.post_training || by_cost)) {
    throw UsageError("option.scope", "--scope sensitivity goes with --post-training and a --sparsity only");
  }
  if (o.scope == "global") return compress::PruningScope::global;
  if (o.scope == "layer") return compress::PruningScope::layer;
  const bool by_default = o.scope.empty() && o.post_training && !by_cost;
  return o.scope == "sensitivity" || by_default ? compress::PruningScope::sensitivity
                                                : compress::PruningScope::adaptive;
}

compress::CompressionOptions compression_options(const CompressOptions& o, const std::string& dataset) {
  compress::CompressionOptions result = o.compression;
  result.pruning.scope = scope_of(o);
  for (const std::string& pair : o.layer_sparsity) {
    const auto [name, share] = parse_pair(pair);
    result.pruning.layers.push_back({name, share});
  }
  for (const std::string& pair : o.layer_bits) {
    const auto [name, bits] = parse_pair(pair);
    result.quantisation.layers.push_back({name, static_cast<int>(bits)});
  }
  result.quantisation.activation_bits = o.requantise.activation_bits.value_or(0);
  for (const std::string& pair : o.requantise.layer_activations) {
    const auto [name, bits] = parse_pair(pair);
    result.quantisation.activations.push_back({name, static_cast<int>(bits)});
  }
  result.pruning.cost_exponent = o.cost_exponent.value_or(result.target_cost ? 1 : 0);
  result.quantisation.kind = parse_grid(o.grid);
  for (const std::string& pair : o.layer_grid) {
    const auto [name, grid] = split_pair(pair);
    result.quantisation.kinds.push_back({name, parse_grid(grid)});
  }
  if (!o.plain) result.pruning_training.augmentation = compress::Augmentation::for_dataset(dataset);
  result.pruning_training.epochs = o.epochs;
  result.quantisation_training = result.pruning_training;
  result.quantisation_training.epochs =
      o.quantise_epochs >= 0 ? o.quantise_epochs : (o.post_training ? 0 : o.epochs);
  result.quantisation_training.learning_rate = o.quantise_rate;
  result.quantisation_training.seed += 1;
  if (o.post_training) result.calibration_images = o.calibration_images;
  if (result.target_bytes && !o.requantise.activation_bits)
    throw UsageError("option.target_bytes", "--target-bytes goes with --activation-bits");
  if (o.max_drop >= 0) result.max_drop = o.max_drop / 100;
  return result;
}

RequantiseChoice requantise_choice(const CompressOptions& o) {
  RequantiseChoice choice = o.requantise;
  choice.images = o.calibration_images;
  return choice;
}

void add_facts(compress::CompressionResult& result, const TrainingData& data) {
  result.network.facts.insert(result.network.facts.begin(), data.facts.begin(), data.facts.end());
  result.network.facts.emplace_back("float_accuracy", fixed(result.float_accuracy, 4));
  const bool rounds = result.network.is_requantised();
  result.network.facts.emplace_back(rounds ? "requantised_accuracy" : "integer_accuracy",
                                    fixed(result.integer_accuracy, 4));
  if (rounds) {
    result.network.facts.emplace_back("beyond_range", std::to_string(result.beyond_range) + " of " +
                                                          std::to_string(result.range_values) + " values");
  }
}

/// A compression without fine-tuning takes no more pictures than it looks at.
DataChoice data_choice(const CompressOptions& o) {
  DataChoice choice = o.data;
  const bool trains = !o.post_training || o.quantise_epochs > 0;
  if (!choice.training_images && !trains) choice.training_images = o.calibration_images;
  return choice;
}

/// An interrupted user learns how the work done so far is kept, or could have been.
compress::CompressionResult compress_or_hint(const compress::FloatGraph& graph, const TrainingData& data,
                                             const CompressOptions& o,
                                             const compress::CompressionHooks& hooks) {
  const std::filesystem::path& file = o.compression.checkpoint;
  if (!file.empty() && std::filesystem::exists(file))
    notes() << "popcorn: going on from " << file.string() << '\n';
  try {
    return compress::compress_network(graph, data.training, data.test, compression_options(o, data.name),
                                      hooks);
  } catch (const compress::Interrupted&) {
    std::cerr << (file.empty()
                      ? "popcorn: nothing was kept; with --resume FILE an interrupted compression goes on "
                        "where it was\n"
                      : "popcorn: the same command goes on after the last finished epoch, from " +
                            file.string() + '\n');
    throw;
  }
}

/// An exact integer network gets its requantised form; nothing else of it changes.
int requantise_file(const CompressOptions& o) {
  if (!o.requantise.activation_bits) {
    throw UsageError("option.activation_bits", o.input +
                                                   " is an integer network already; --activation-bits "
                                                   "requantises it");
  }
  const models::IntegerNetwork exact = models::read_network(o.input);
  const TrainingData data = read_training_data(o.data, data_graph(exact));
  models::write_network(requantise_network(exact, data, requantise_choice(o), o.json ? nullptr : &std::cout),
                        o.output);
  if (!o.json) std::cout << "Written: " << o.output << '\n';
  return 0;
}

int compress_file(const CompressOptions& o) {
  if (std::filesystem::path(o.input).extension() == ".popcorn") return requantise_file(o);
  if (o.requantise.activation_bits && !o.onnx.empty()) {
    throw UsageError("option.export", "--export-onnx writes exact networks only, not with --activation-bits");
  }
  compress::FloatGraph graph = compress::read_onnx(o.input, import_options(o));
  if (o.data.dataset == "csv" || (o.data.dataset.empty() && graph.dataset == "csv"))
    describe_columns(data_choice(o), graph);
  const TrainingData data = read_training_data(data_choice(o), graph);
  if (graph.labels.empty() && static_cast<std::int64_t>(data.labels.size()) == graph.output().shape.size())
    graph.labels = data.labels;
  compress::CompressionHooks hooks;
  hooks.report = training_progress(o.verbose);
  hooks.stop = &watch_interruption();
  hooks.measure = !o.html.empty();
  compress::CompressionResult result = compress_or_hint(graph, data, o, hooks);
  add_facts(result, data);
  const Bytes file = models::serialise_network(result.network);
  if (o.requantise.activation_bits && !result.network.is_requantised()) {
    models::write_network(
        requantise_network(result.network, data, requantise_choice(o), o.json ? nullptr : &std::cout),
        o.output);
  } else {
    write_file(o.output, file);
  }
  std::string written = "Written: " + o.output + "\n";
  if (!o.onnx.empty()) written += export_summary(write_integer_onnx(result.network, o.onnx), o.onnx);
  const compress::CompressionReport report = compress::make_report(result, file.size());
  if (!o.html.empty()) {
    write_file(o.html, as_bytes(report_html(report)));
    written += "Report: " + o.html + "\n";
  }
  if (!o.compression.checkpoint.empty()) compress::remove_checkpoint(o.compression.checkpoint);
  if (o.json) {
    std::cout << compress::report_json(report);
  } else {
    print_report(std::cout, report);
    std::cout << written;
  }
  return 0;
}

constexpr const char* kDescription =
    "Prune, quantise and lower a float ONNX network to a small exact integer network.";

/// The command keeps the options alive.
void describe(CLI::App& app, const std::shared_ptr<CompressOptions>& options) {
  app.footer(
      "Example:\n  popcorn compress mnist-conv2.onnx -o mnist-conv2.popcorn --data ../data --sparsity 0.9 "
      "--bits 4\n  popcorn compress squeezenet.onnx -o squeezenet.popcorn --dataset folder --data pictures "
      "--post-training --sparsity 0.5 --bits 6 --activation-bits 8\n  popcorn compress mnist-conv2.popcorn "
      "-o "
      "mnist-conv2-shares.popcorn --activation-bits 8 --data ../data\n  popcorn compress loans.onnx -o "
      "loans.popcorn --dataset csv "
      "--data loans.csv "
      "--label approved --sparsity 0.5 --bits 6");
  add_options(app, *options);
  app.callback([options] {});
}

}  // namespace

void add_compress_command(CLI::App& program) {
  describe(*program.add_subcommand("compress", kDescription), std::make_shared<CompressOptions>());
}

int run_compress(const std::vector<std::string>& arguments) {
  const auto options = std::make_shared<CompressOptions>();
  CLI::App app(kDescription, "popcorn compress");
  describe(app, options);
  std::vector<std::string> reversed = with_config_file("compress", arguments);
  std::reverse(reversed.begin(), reversed.end());
  try {
    app.parse(reversed);
  } catch (const CLI::ParseError& error) {
    return app.exit(error, std::cout, std::cerr) == 0 ? 0 : 2;
  }
  if (only_checks_arguments()) return 0;
  return compress_file(*options);
}

}  // namespace popcorn::cli
