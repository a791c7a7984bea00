// The whole way from a trained float network to a small integer network.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>

#include "compress/dataset.h"
#include "compress/float_graph.h"
#include "compress/pruning/pruning.h"
#include "compress/quantisation/layer_noise.h"
#include "compress/quantisation/quantisation.h"
#include "compress/training/training.h"

namespace popcorn::compress {

struct CompressionOptions {
  double filters = 0;  ///< share of whole filters that remove_filters() takes first
  PruningOptions pruning;
  QuantisationOptions quantisation;
  /// Fine-tuning while weights are removed step by step, and while they stay on their grid; 0 epochs = none.
  TrainingOptions pruning_training, quantisation_training;
  /// Share of the pruning epochs over which the sparsity grows; the rest heals.
  double ramp = 0.6;
  /// Above zero: no fine-tuning while pruning; so many training pictures steer the reconstruction
  /// (post_training.h). Fine-tuning on quantised weights may follow.
  std::size_t calibration_images = 0;
  /// Modular multiplications an inference, estimated: decides pruning.sparsity (see sparsity_for_cost()).
  /// With quantisation.activation_bits those on shares, see fit_share_budget().
  std::optional<std::uint64_t> target_cost;
  /// Bytes of an inference on shares: lowers quantisation.activations. With quantisation.activation_bits
  /// only.
  std::optional<std::uint64_t> target_bytes;
  /// Not empty: what the finished phases gave is kept in this file, and the epochs of the phase that runs in
  /// files with .prune and .quantise added to its name. A compression that finds its own checkpoint goes on
  /// from it and gives the same network as without the interruption. See remove_checkpoint().
  std::filesystem::path checkpoint;
  std::optional<double> max_drop;  ///< largest loss of accuracy against the float network, as a share
};

/// A network that the compression visited on its way, and how well it did on the test set.
struct VisitedPoint {
  std::string phase;   ///< "float", "prune", "pruned", "quantise", "integer"
  int epoch = 0;       ///< of the phases that train, from 1; else 0
  double density = 1;  ///< share of weights that are not zero (pruned, before the last point)
  int bits = 0;        ///< of the largest weight; 32 while weights are floats
  double accuracy = 0;
};

struct CompressionResult {
  models::IntegerNetwork network;
  /// The float network with all weights rounded to 8 bits, none pruned: what its cost is compared with.
  models::IntegerNetwork uncompressed;
  std::vector<VisitedPoint> points;  ///< in order; epochs only where they were measured
  FloatGraph graph;                  ///< the quantised float graph it was lowered from
  double float_accuracy = 0, pruned_accuracy = 0, integer_accuracy = 0;
  double same_answers = 0;  ///< share of test pictures with the float network's answer
  std::size_t test_images = 0;
  /// Of a requantised network: values on the test pictures, how many were beyond their range, and the largest
  /// magnitude of each node.
  std::uint64_t range_values = 0, beyond_range = 0;
  std::vector<std::int64_t> largest_values;
  bool equalised = false;     ///< channels were scaled across layers first, see equalise_channels()
  std::vector<CutLayer> cut;  ///< layers with channels whose steps are still cut; none after a resumed run
  std::vector<LayerNoise> noise;  ///< layer by layer, on kNoisePictures training pictures at most
};
inline constexpr std::size_t kNoisePictures = 32;

struct CompressionHooks {
  std::function<void(const EpochReport&)> report;
  const std::atomic<bool>* stop = nullptr;
  bool measure = false;  ///< the accuracy after each epoch for CompressionResult::points, report or not
};

/// With quantisation.activation_bits the network is requantised, if can_round_activations(); an exact one
/// comes back where not. Fine-tuning on quantised weights then rounds activations too.
///
/// Folds batch-norm, equalises channels where it must, prunes with fine-tuning, quantises with fine-tuning,
/// lowers, measures on all of `test`. The float network is the teacher where the training options ask for
/// distillation.
/// @throws CheckError "compress.accuracy" when more than `max_drop` is lost; UsageError, InputError
/// (also "checkpoint.*"), IoError, Interrupted
CompressionResult compress_network(FloatGraph graph, const Dataset& training, const Dataset& test,
                                   CompressionOptions options, const CompressionHooks& hooks = {});

/// Removes the files of a checkpoint, those that exist: when the result is safe.
void remove_checkpoint(const std::filesystem::path& path);

}  // namespace popcorn::compress
