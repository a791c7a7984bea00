// Training and fine-tuning of a float graph, with LibTorch behind it.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "compress/dataset.h"
#include "compress/float_graph.h"
#include "compress/interruption.h"
#include "compress/training/augmentation.h"
#include "compress/training/optimizer_kind.h"

namespace popcorn::compress {

struct TrainingOptions {
  int epochs = 20;
  int batch = 100;
  double learning_rate = 1e-3;  ///< peak: linear warm-up, then half a cosine down to zero
  double warm_up = 0.05;        ///< share of all steps
  double weight_decay = 0.01;
  OptimizerKind optimizer = OptimizerKind::adam;
  double grid_rate = 20;  ///< learning rate of weights on an integer grid, as a multiple
  double label_smoothing = 0;
  /// Weight of the teacher's softened outputs in the loss (Hinton, Vinyals, Dean 2015); needs a teacher.
  double distillation = 0;
  double temperature = 3;
  std::uint64_t seed = 1;
  int threads = 1;  ///< results are the same for the same seed and the same number of threads
  /// Convolutions take bfloat16 operands and sum in float32; weights, statistics and steps stay float32.
  bool mixed_precision = false;
  Augmentation augmentation;
  /// Not empty: the state is written there after each epoch, and a training that finds its own state there
  /// goes on from it, with the same result as without the interruption. Removed at the end. Not for trainings
  /// with a rewrite.
  std::filesystem::path checkpoint;
};

struct EpochReport {
  std::string phase;
  int epoch = 0, epochs = 0;
  double loss = 0;
  double test_accuracy = -1;  ///< share; negative when no test set is given
  double seconds_left = 0;    ///< of this phase
};

struct TrainingHooks {
  std::string phase = "train";
  const Dataset* test = nullptr;        ///< measured after each epoch, for the progress line only
  const FloatGraph* teacher = nullptr;  ///< sees the same distorted pictures: a pass through it per step
  /// Instead of a teacher, its logits for every training picture as it is: one pass for the whole training.
  const std::vector<float>* teacher_logits = nullptr;
  std::function<void(const EpochReport&)> report;
  /// Called every `rewrite_steps` steps with the share of the training done; may change weights and masks
  /// (not the structure) and says whether it did.
  std::function<bool(double done, FloatGraph&)> rewrite;
  int rewrite_steps = 50;
  const std::atomic<bool>* stop = nullptr;
};

/// Minimises the cross-entropy of the logits; the graph holds the result. Reproducible from the seed.
/// @throws InputError "training.*" when pictures and network do not fit, Error "training.diverged",
/// Interrupted
void train(FloatGraph& graph, const Dataset& data, const TrainingOptions& options,
           const TrainingHooks& hooks);

}  // namespace popcorn::compress
