#include "compress/compression.h"

#include <algorithm>
#include <iomanip>
#include <sstream>

#include "base/error.h"
#include "compress/compression_checkpoint.h"
#include "compress/cost_budget.h"
#include "compress/executor.h"
#include "compress/fold_batch_norm.h"
#include "compress/integer_accuracy.h"
#include "compress/lowering.h"
#include "compress/pruning/filter_pruning.h"
#include "compress/quantisation/calibration.h"
#include "compress/quantisation/equalisation.h"
#include "compress/quantisation/post_training.h"
#include "compress/quantisation/ring_fitting.h"
#include "compress/share_budget.h"
#include "compress/training/checkpoint_progress.h"
#include "protocols/shares/share_estimate.h"

namespace popcorn::compress {

namespace {

std::string percent(double share) {
  std::ostringstream text;
  text.imbue(std::locale::classic());
  text << std::fixed << std::setprecision(2) << 100 * share << " %";
  return text.str();
}

constexpr int kFloatBits = 32;
constexpr std::size_t kMeanPictures = 256, kBudgetPictures = 32, kPoolPictures = 16;
/// Files of the epochs of a phase, beside the checkpoint of the whole compression.
constexpr char kPruneSuffix[] = ".prune", kQuantiseSuffix[] = ".quantise";

double density(const FloatGraph& graph) {
  return graph.weights() == 0 ? 1 : static_cast<double>(graph.kept()) / static_cast<double>(graph.weights());
}

models::IntegerNetwork rounded_to_8_bits(FloatGraph graph) {
  QuantisationOptions options;
  options.bits = 8;
  quantise(graph, options);
  return lower(graph);
}

int weight_bits(const models::IntegerNetwork& network) {
  unsigned bits = 0;
  for (const models::Node& node : network.nodes) bits = std::max(bits, node.weight_bits());
  return static_cast<int>(bits);
}

void guard(const CompressionResult& result, double max_drop) {
  const double drop = result.float_accuracy - result.integer_accuracy;
  if (drop <= max_drop) return;
  throw CheckError("compress.accuracy", "accuracy fell from " + percent(result.float_accuracy) + " to " +
                                            percent(result.integer_accuracy) + ", more than the permitted " +
                                            percent(max_drop) + "; nothing was written");
}

/// Gives the outputs of a network that was only rounded the mean that the float network's have on sample
/// pictures.
void match_output_means(FloatGraph& graph, const FloatGraph& wanted, const Dataset& pictures,
                        const std::atomic<bool>* stop) {
  FloatNode& last = graph.nodes.back();
  if (!last.has_weights() || pictures.count() == 0) return;
  const std::vector<float> right = logits(wanted, pictures, stop), rounded = logits(graph, pictures, stop);
  const std::size_t outputs = last.bias.size();
  if (static_cast<std::size_t>(last.shape.size()) != outputs) return;
  for (std::size_t o = 0; o < outputs; ++o) {
    double difference = 0;
    for (std::size_t i = o; i < right.size(); i += outputs)
      difference += static_cast<double>(right[i]) - static_cast<double>(rounded[i]);
    if (!graph.class_scale.empty()) difference /= static_cast<double>(graph.class_scale[o]);
    last.bias[o] += static_cast<float>(difference / static_cast<double>(pictures.count()) / last.gain);
  }
}

/// Whether a training had, before this epoch, already asked for the whole share of zeros: train() calls its
/// rewrite at every `every`-th step with the share of the training that is done.
bool is_ramp_over(int epochs_done, const TrainingOptions& training, std::size_t pictures, int every,
                  double ramp) {
  const auto batch = static_cast<std::size_t>(training.batch);
  const auto steps = static_cast<std::int64_t>((pictures + batch - 1) / batch);
  const std::int64_t before = epochs_done * steps;
  if (before == 0) return false;
  const std::int64_t last = (before - 1) / every * every;
  const double done =
      (static_cast<int>(last / steps) + static_cast<double>(last % steps) / static_cast<double>(steps)) /
      training.epochs;
  return ramp <= 0 || done / ramp >= 1;
}

/// One compression, phase by phase.
class Compression {
 public:
  Compression(FloatGraph graph, const Dataset& training, const Dataset& test, CompressionOptions options,
              const CompressionHooks& hooks)
      : training_(training), test_(test), options_(std::move(options)), hooks_(hooks) {
    fold_batch_norm(graph);
    result_.equalised = equalise_channels(graph);
    if (!can_round_activations(graph)) options_.quantisation.activation_bits = 0;
    teacher_ = graph;
    graph_ = std::move(graph);
    result_.test_images = test.count();
    if (!options_.checkpoint.empty()) state_.run = compression_run(teacher_, training, options_);
  }

  CompressionResult run() {
    float_answers_ = answers(graph_, test_, hooks_.stop);
    result_.float_accuracy = share_of_equal(float_answers_, test_.classes);
    result_.uncompressed = rounded_to_8_bits(graph_);
    if (options_.filters > 0) remove_filters(graph_, options_.filters);
    if (options_.quantisation.activation_bits > 0 && (options_.target_cost || options_.target_bytes)) {
      fit_share_budget(graph_, training_.first(kBudgetPictures),
                       {options_.target_cost, options_.target_bytes}, options_.pruning, options_.quantisation,
                       hooks_.stop);
    } else if (options_.target_cost) {
      options_.pruning.sparsity =
          sparsity_for_cost(graph_, options_.pruning, options_.quantisation, *options_.target_cost);
    }
    resume();
    if (state_.phase != Phase::quantised) {
      if (options_.calibration_images > 0) {
        compress_post_training(
            graph_, training_.first(options_.calibration_images),
            {.pruning = options_.pruning, .quantisation = options_.quantisation, .stop = hooks_.stop},
            &result_.cut);
        state_.pruned_accuracy = accuracy(graph_, test_, hooks_.stop);
      } else {
        prune_with_training();
        state_.pruned_accuracy = accuracy(graph_, test_, hooks_.stop);
        state_.points.push_back({"pruned", 0, density(graph_), kFloatBits, state_.pruned_accuracy});
        quantise_plainly();
        if (options_.quantisation_training.epochs == 0)
          match_output_means(graph_, teacher_, training_.first(kMeanPictures), hooks_.stop);
      }
      finish_phase(Phase::quantised);
    }
    if (options_.quantisation_training.epochs > 0) {
      const TrainingOptions training = with_checkpoint(options_.quantisation_training, kQuantiseSuffix);
      epochs_done("quantise", training);
      train(graph_, training_, training, training_hooks("quantise", 0));
    }
    return finish();
  }

 private:
  using Phase = CompressionCheckpoint::Phase;
  std::filesystem::path epochs_file(const char* suffix) const {
    if (options_.checkpoint.empty()) return {};
    std::filesystem::path path = options_.checkpoint;
    return path += suffix;
  }

  TrainingOptions with_checkpoint(TrainingOptions training, const char* suffix) const {
    training.checkpoint = epochs_file(suffix);
    return training;
  }

  void quantise_plainly() {
    if (options_.quantisation.activation_bits == 0)
      return quantise(graph_, options_.quantisation, nullptr, &result_.cut);
    const Calibration calibration(teacher_, training_.first(kMeanPictures), hooks_.stop);
    quantise(graph_, options_.quantisation, nullptr, &result_.cut,
             [&](const FloatGraph& graph, std::size_t node) { return calibration.ranges(graph, node); });
  }

  void fit_network_rings() {
    const std::size_t wanted = options_.calibration_images > 0 ? options_.calibration_images : kMeanPictures;
    const std::size_t count = std::min(wanted, training_.count());
    const auto bytes = [](const models::IntegerNetwork& network) {
      protocols::ShareEstimateOptions estimate;
      estimate.multiplications = false;
      return protocols::estimate_shares(network, estimate).all.bytes();
    };
    const std::size_t few = std::min(count, kPoolPictures);
    place_pools(result_.network, integer_inputs(result_.network, training_, 0, few), few, bytes);
    fit_rings(result_.network, integer_inputs(result_.network, training_, 0, count), count);
    result_.network.facts.emplace_back("activation_bits",
                                       std::to_string(options_.quantisation.activation_bits));
    result_.network.facts.emplace_back("calibration_inputs", std::to_string(count));
  }

  /// @param stop may be null
  void measure(const std::atomic<bool>* stop) {
    models::RangeCounts counts(result_.network);
    models::ValueExtremes extremes(result_.network);
    const std::vector<std::uint16_t> answers =
        integer_answers(result_.network, test_, stop, &counts, &extremes);
    result_.integer_accuracy = share_of_equal(answers, test_.classes);
    result_.same_answers = share_of_equal(answers, float_answers_);
    result_.range_values = counts.values();
    result_.beyond_range = counts.beyond();
    for (std::size_t i = 0; i < result_.network.nodes.size(); ++i)
      result_.largest_values.push_back(extremes.largest_magnitude(i));
  }

  void resume() {
    state_.points = {{"float", 0, density(graph_), kFloatBits, result_.float_accuracy}};
    if (options_.checkpoint.empty()) return;
    if (!std::filesystem::exists(options_.checkpoint)) return save();
    state_.graph = graph_;
    read_compression_checkpoint(options_.checkpoint, state_);
    if (state_.phase == Phase::pruning) return;
    graph_ = state_.graph;
    std::filesystem::remove(epochs_file(kPruneSuffix));
  }

  void save() const {
    if (!options_.checkpoint.empty()) write_compression_checkpoint(options_.checkpoint, state_);
  }

  void finish_phase(Phase phase) {
    state_.phase = phase;
    state_.graph = graph_;
    save();
  }

  /// Epochs of this phase that an earlier run has done; what it noted about later ones is forgotten.
  int epochs_done(const char* phase, const TrainingOptions& training) {
    const int done = training.checkpoint.empty() ? 0 : epochs_in_checkpoint(training.checkpoint);
    std::erase_if(state_.points,
                  [&](const VisitedPoint& point) { return point.phase == phase && point.epoch > done; });
    return done;
  }

  /// @param bits of the points that the epochs add
  TrainingHooks training_hooks(const char* phase, int bits) {
    TrainingHooks result;
    result.phase = phase;
    result.test = hooks_.report || hooks_.measure ? &test_ : nullptr;
    result.teacher = &teacher_;
    result.report = [this, bits](const EpochReport& report) {
      if (report.test_accuracy >= 0)
        state_.points.push_back({report.phase, report.epoch, density(graph_), bits, report.test_accuracy});
      // The last epoch of pruning ends its phase here, while the epochs' own checkpoint still exists.
      const bool is_pruned = state_.phase == Phase::pruning && report.epoch == report.epochs;
      is_pruned ? finish_phase(Phase::pruned) : save();
      if (hooks_.report) hooks_.report(report);
    };
    result.stop = hooks_.stop;
    return result;
  }

  void prune_with_training() {
    const TrainingOptions training = with_checkpoint(options_.pruning_training, kPruneSuffix);
    TrainingHooks hooks = training_hooks("prune", kFloatBits);
    const int done_before = state_.phase == Phase::pruned ? training.epochs : epochs_done("prune", training);
    bool reached = training.epochs > 0 &&
                   is_ramp_over(done_before, training, training_.count(), hooks.rewrite_steps, options_.ramp);
    hooks.rewrite = [&](double done, FloatGraph& current) {
      if (reached) return false;
      const double ramp = options_.ramp > 0 ? done / options_.ramp : 1;
      reached = ramp >= 1;
      prune(current, options_.pruning, gradual_sparsity(1, ramp));
      return true;
    };
    if (training.epochs > 0 && state_.phase == Phase::pruning) {
      for (FloatNode& node : graph_.nodes) {  // so that a checkpoint holds the masks
        if (node.has_weights() && node.mask.empty()) node.mask.assign(node.weights.size(), 1);
      }
      train(graph_, training_, training, hooks);
    }
    if (!reached) prune(graph_, options_.pruning);
  }

  CompressionResult finish() {
    result_.network = lower(graph_);
    if (options_.quantisation.activation_bits > 0) fit_network_rings();
    // A stop during the last epoch of a fine-tuning comes too late: everything is done.
    const bool trained = options_.quantisation_training.epochs > 0;
    measure(trained ? nullptr : hooks_.stop);
    result_.pruned_accuracy = state_.pruned_accuracy;
    result_.points = state_.points;
    const double nonzero =
        static_cast<double>(result_.network.nonzeros()) / static_cast<double>(result_.network.weights());
    const int bits = weight_bits(result_.network);
    for (VisitedPoint& point : result_.points) point.bits = point.phase == "quantise" ? bits : point.bits;
    result_.points.push_back({"integer", 0, nonzero, bits, result_.integer_accuracy});
    result_.noise = layer_noise(teacher_, graph_, training_, kNoisePictures, trained ? nullptr : hooks_.stop);
    result_.graph = std::move(graph_);
    if (options_.max_drop) guard(result_, *options_.max_drop);
    return std::move(result_);
  }

  const Dataset& training_;
  const Dataset& test_;
  CompressionOptions options_;
  const CompressionHooks& hooks_;
  FloatGraph teacher_;
  FloatGraph graph_;             // what is compressed
  CompressionCheckpoint state_;  // its graph is the one that the last finished phase gave
  CompressionResult result_;
  std::vector<std::uint16_t> float_answers_;
};

}  // namespace

CompressionResult compress_network(FloatGraph graph, const Dataset& training, const Dataset& test,
                                   CompressionOptions options, const CompressionHooks& hooks) {
  return Compression(std::move(graph), training, test, std::move(options), hooks).run();
}

void remove_checkpoint(const std::filesystem::path& path) {
  for (const char* suffix : {"", kPruneSuffix, kQuantiseSuffix}) {
    std::filesystem::path file = path;
    std::error_code ignored;
    std::filesystem::remove(file += suffix, ignored);
  }
}

}  // namespace popcorn::compress
