// popcorn train: trains a network of the zoo and writes it as ONNX.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cmath>
#include <iostream>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/error.h"
#include "cli/compress_module/commands.h"
#include "cli/compress_module/config_file.h"
#include "cli/compress_module/interruption.h"
#include "cli/compress_module/training_data.h"
#include "cli/compress_module/training_progress.h"
#include "cli/options/argument_check.h"
#include "cli/terminal/notes.h"
#include "cli/terminal/output.h"
#include "compress/executor.h"
#include "compress/onnx/onnx_export.h"
#include "compress/onnx/onnx_import.h"
#include "compress/training/training.h"
#include "compress/zoo_graph.h"

namespace popcorn::cli {

namespace {

constexpr std::size_t kCheckedImages = 100;
constexpr double kTolerance = 1e-4;
constexpr std::size_t kDoubtfulShare = 10;  ///< one in so many pictures
/// Orthogonal steps are small beside the range of the weights behind ±1.
constexpr double kBinaryMuonRate = 10;

struct TrainOptions {
  std::string network;
  std::string data;
  std::string output;
  std::string teacher;                          ///< ONNX file; empty: none
  std::vector<std::int64_t> hidden = {32, 16};  ///< of a perceptron
  DataChoice table;
  compress::TrainingOptions training;
  bool plain = false;
  int shift = -1;  ///< pixels; negative: as the data set asks
  bool verbose = false;
  bool json = false;
};

std::string known_networks() {
  std::string names;
  for (const models::ZooNetwork& network : models::zoo()) names += (names.empty() ? "" : ", ") + network.name;
  return names;
}

void add_options(CLI::App& app, TrainOptions& o) {
  compress::TrainingOptions& t = o.training;
  app.add_option("network", o.network,
                 "Network of the zoo: " + known_networks() +
                     "; or mlp: a perceptron on the rows of a table (.csv, .npy)")
      ->required();
  app.add_option("--hidden", o.hidden, "Of mlp: units of the hidden layers")
      ->delimiter(',')
      ->check(CLI::Range(1, 65536))
      ->default_str("32,16");
  app.add_option("--label", o.table.label,
                 "Of a table: name or number of the column with the classes (default: the last)")
      ->type_name("COLUMN");
  app.add_option("--training-rows", o.table.training_images,
                 "Of a table: so many rows are for training (default: four fifths)")
      ->check(CLI::Range(1, 1'000'000'000))
      ->type_name("N");
  app.add_option("-d,--data", o.data,
                 "Folder of the data set, or the folder that holds it; of mlp the table's file")
      ->required()
      ->envname("POPCORN_DATA");
  app.add_option("-o,--output", o.output, "ONNX file to write")->required();
  app.add_option("--epochs", t.epochs, "Passes over the training pictures")
      ->check(CLI::Range(1, 10000))
      ->capture_default_str();
  app.add_option("--batch", t.batch, "Pictures per step")->check(CLI::Range(1, 65536))->capture_default_str();
  app.add_option("--lr", t.learning_rate, "Largest learning rate (warm-up, then a cosine down to zero)")
      ->check(CLI::Range(1e-12, 1e6))
      ->capture_default_str();
  app.add_option("--weight-decay", t.weight_decay, "Decoupled weight decay")
      ->check(CLI::Range(0.0, 100.0))
      ->capture_default_str();
  app.add_option("--optimizer", t.optimizer,
                 "adam, or muon: orthogonal steps for weight matrices, fewer epochs with batch-norm")
      ->transform(CLI::CheckedTransformer(std::map<std::string, compress::OptimizerKind>{
          {"adam", compress::OptimizerKind::adam}, {"muon", compress::OptimizerKind::muon}}))
      ->type_name("TEXT:{adam,muon}")
      ->default_str("adam");
  app.add_option("--label-smoothing", t.label_smoothing,
                 "Share of the target that is spread over all classes")
      ->check(CLI::Range(0.0, 0.9))
      ->capture_default_str();
  CLI::Option* teacher =
      app.add_option("--teacher", o.teacher, "Trained ONNX network to learn from as well")->type_name("FILE");
  teacher->needs(
      app.add_option("--distillation", t.distillation, "Weight of the teacher's outputs in the loss")
          ->check(CLI::Range(0.0, 1.0))
          ->needs(teacher));
  app.add_option("--temperature", t.temperature, "Softens the teacher's outputs")
      ->check(CLI::Range(1e-12, 1e6))
      ->capture_default_str()
      ->needs(teacher);
  app.add_option("--seed", t.seed, "Seed of weights, order and distortions")->capture_default_str();
  app.add_option("--threads", t.threads, "Threads; the result is the same for the same number")
      ->check(CLI::Range(1, 256))
      ->capture_default_str();
  app.add_option("--resume", t.checkpoint,
                 "Checkpoint, written after each epoch; if it exists already the training goes on from it")
      ->type_name("FILE");
  app.add_flag("--mixed-precision", t.mixed_precision,
               "Convolutions in bfloat16: about twice as fast on processors with AVX512_BF16 or AMX");
  app.add_flag("--no-augmentation", o.plain, "Train on the pictures as they are");
  app.add_option("--shift", o.shift,
                 "Largest shift of distorted pictures, in pixels (default: 4, of handwritten digits 2)")
      ->check(CLI::Range(0, 16));
  app.add_flag("-v,--verbose", o.verbose, "A line per epoch even when standard error is not a terminal");
  app.add_flag("--json", o.json, "Print the result as JSON");
  app.add_option("--config", "JSON file with these options in its section \"train\"; flags win")
      ->type_name("FILE");
  add_quiet_option(app);
  for (CLI::Option* option : app.get_options()) {
    if (option->get_name() != "--hidden") option->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  }
}

bool has_thresholds(const compress::FloatGraph& graph) {
  return std::any_of(graph.nodes.begin(), graph.nodes.end(),
                     [](const compress::FloatNode& node) { return node.kind == compress::FloatKind::sign; });
}

/// How many pictures' logits differ by more than rounding explains.
std::size_t different_pictures(const std::vector<float>& expected, const std::vector<float>& found,
                               std::size_t pictures) {
  double largest = 1;
  for (const float logit : expected) largest = std::max(largest, std::abs(static_cast<double>(logit)));
  const std::size_t classes = expected.size() / pictures;
  std::size_t result = 0;
  for (std::size_t i = 0; i < pictures; ++i) {
    double difference = 0;
    for (std::size_t k = i * classes; k < (i + 1) * classes; ++k) {
      difference =
          std::max(difference, std::abs(static_cast<double>(expected[k]) - static_cast<double>(found[k])));
    }
    result += difference > kTolerance * largest ? 1 : 0;
  }
  return result;
}

/// Reads the written file back and compares its outputs with those of the trained network. Sums in another
/// order may land on the other side of a threshold: then a few pictures may differ.
void check_written_file(const TrainOptions& o, const compress::FloatGraph& graph,
                        const compress::Dataset& test) {
  const compress::Dataset few = test.first(kCheckedImages);
  const std::size_t different = different_pictures(
      compress::logits(graph, few), compress::logits(compress::read_onnx(o.output), few), few.count());
  if (different > (has_thresholds(graph) ? few.count() / kDoubtfulShare : 0)) {
    throw CheckError("train.onnx", o.output + " computes something else than the trained network");
  }
}

compress::FloatGraph read_teacher(const std::string& path, const compress::FloatGraph& student) {
  compress::FloatGraph teacher = compress::read_onnx(path);
  if (!(teacher.input().shape == student.input().shape) ||
      teacher.output().shape.size() != student.output().shape.size()) {
    throw InputError("train.teacher", path + " maps " + teacher.input().shape.to_string() + " to " +
                                          teacher.output().shape.to_string() + ", the network maps " +
                                          student.input().shape.to_string() + " to " +
                                          student.output().shape.to_string());
  }
  return teacher;
}

constexpr const char* kPerceptron = "mlp";

struct Task {
  models::ZooNetwork network;
  compress::FloatGraph graph;
  std::optional<compress::FloatGraph> teacher;
  compress::Dataset training, test;
};

/// Before any data is read: a teacher that does not fit is told at once.
std::optional<compress::FloatGraph> chosen_teacher(const TrainOptions& o,
                                                   const compress::FloatGraph& student) {
  if (o.teacher.empty()) return std::nullopt;
  return read_teacher(o.teacher, student);
}

/// A perceptron for a table: its inputs have mean 0 and deviation 1 on the training rows.
Task table_task(const TrainOptions& o) {
  DataChoice choice = o.table;
  choice.folder = o.data;
  choice.dataset = "csv";
  const datasets::LabelledTable table = datasets::read_labelled_table(choice.folder, choice.label);
  const std::int64_t classes = 1 + *std::ranges::max_element(table.classes);
  Task task;
  task.network = compress::perceptron(static_cast<std::int64_t>(table.features.columns), o.hidden,
                                      std::max<std::int64_t>(2, classes));
  task.network.encoding.columns = columns_of(table, choice);
  task.network.labels = table.labels;
  task.graph = compress::build_zoo_graph(task.network, o.training.seed);
  task.teacher = chosen_teacher(o, task.graph);
  TrainingData data = read_training_data(choice, task.graph);
  task.training = std::move(data.training);
  task.test = std::move(data.test);
  const std::size_t columns = table.features.columns;
  task.graph.mean.assign(columns, 0);
  task.graph.deviation.assign(columns, 1);
  const auto count = static_cast<double>(task.training.count());
  for (std::size_t c = 0; c < columns; ++c) {
    double sum = 0, squares = 0;
    for (std::size_t i = c; i < task.training.pixels.size(); i += columns) {
      const double value = task.training.pixels[i] / 255.0;
      sum += value;
      squares += value * value;
    }
    task.graph.mean[c] = sum / count;
    task.graph.deviation[c] = std::max(
        1.0 / 255, std::sqrt(std::max(0.0, squares / count - task.graph.mean[c] * task.graph.mean[c])));
  }
  return task;
}

Task zoo_task(const TrainOptions& o) {
  Task task;
  task.network = models::zoo_network(o.network);
  task.graph = compress::build_zoo_graph(task.network, o.training.seed);
  task.teacher = chosen_teacher(o, task.graph);
  task.training = compress::read_dataset(task.network.dataset, o.data, compress::Split::train);
  task.test = compress::read_dataset(task.network.dataset, o.data, compress::Split::test);
  return task;
}

int train(const TrainOptions& o) {
  using Clock = std::chrono::steady_clock;
  const Clock::time_point start = Clock::now();
  const bool is_table = o.network == kPerceptron;
  Task task = is_table ? table_task(o) : zoo_task(o);
  const models::ZooNetwork& network = task.network;
  compress::FloatGraph& graph = task.graph;
  const compress::Dataset& training = task.training;
  const compress::Dataset& test = task.test;
  compress::TrainingOptions options = o.training;
  if (!o.plain && !is_table) options.augmentation = compress::Augmentation::for_dataset(network.dataset);
  if (!o.plain && !is_table && o.shift >= 0) options.augmentation.shift = o.shift;
  if (network.binary_weights) {  // the weights behind ±1 move between -1 and 1
    options.grid_rate = options.optimizer == compress::OptimizerKind::muon ? kBinaryMuonRate : 1;
  }
  compress::TrainingHooks hooks;
  hooks.report = training_progress(o.verbose);
  hooks.test = &test;
  hooks.stop = &watch_interruption();
  std::vector<float> teacher_logits;
  if (task.teacher) {
    teacher_logits = compress::logits(*task.teacher, training);
    hooks.teacher_logits = &teacher_logits;
  }
  compress::train(graph, training, options, hooks);
  const double accuracy = compress::accuracy(graph, test);
  compress::write_onnx(graph, o.output);
  check_written_file(o, graph, test);
  const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
  if (o.json) {
    print_json(std::cout, {{"network", network.name},
                           {"output", o.output},
                           {"parameters", graph.parameters()},
                           {"epochs", options.epochs},
                           {"images", test.count()},
                           {"accuracy", accuracy},
                           {"seconds", seconds}});
  } else {
    std::cout << network.name << ": " << human_percent(accuracy) << " of " << grouped(test.count())
              << " test images after " << counted(static_cast<std::uint64_t>(options.epochs), "epoch") << " ("
              << human_seconds(seconds) << "), " << grouped(graph.parameters())
              << " parameters\nWritten and checked: " << o.output << "\n";
  }
  return 0;
}

constexpr const char* kDescription = "Train a network of the zoo with LibTorch and write it as ONNX.";

/// The command keeps the options alive.
void describe(CLI::App& app, const std::shared_ptr<TrainOptions>& options) {
  app.footer(
      "Example:\n  popcorn train mnist-conv2 --data ../data -o mnist-conv2.onnx --epochs 40\n"
      "  popcorn train mlp --data loans.csv --label approved --hidden 32,16 -o loans.onnx");
  add_options(app, *options);
  app.callback([options] {});
}

}  // namespace

void add_train_command(CLI::App& program) {
  describe(*program.add_subcommand("train", kDescription), std::make_shared<TrainOptions>());
}

int run_train(const std::vector<std::string>& arguments) {
  const auto kept = std::make_shared<TrainOptions>();
  const TrainOptions& options = *kept;
  CLI::App app(kDescription, "popcorn train");
  describe(app, kept);
  std::vector<std::string> reversed = with_config_file("train", arguments);
  std::reverse(reversed.begin(), reversed.end());
  try {
    app.parse(reversed);
  } catch (const CLI::ParseError& error) {
    return app.exit(error, std::cout, std::cerr) == 0 ? 0 : 2;
  }
  if (only_checks_arguments()) return 0;
  return train(options);
}

}  // namespace popcorn::cli
