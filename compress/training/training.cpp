#include "compress/training/training.h"

#include <ATen/Parallel.h>
#include <ATen/autocast_mode.h>

#include <chrono>
#include <cmath>
#include <numbers>
#include <numeric>
#include <sstream>

#include "base/error.h"
#include "compress/executor.h"
#include "compress/training/checkpoint.h"
#include "compress/training/optimizer.h"
#include "compress/training/torch_graph.h"

namespace popcorn::compress {

namespace {

using Clock = std::chrono::steady_clock;

/// Fisher–Yates with our own arithmetic: std::shuffle differs between libraries.
void shuffle(std::vector<std::size_t>& order, std::mt19937_64& random) {
  for (std::size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[random() % i]);
}

void check(const FloatGraph& graph, const Dataset& data, const TrainingOptions& options) {
  if (!(data.shape == graph.input().shape) && data.shape.size() != graph.input().shape.size()) {
    throw InputError("training.shape", "the pictures are " + data.shape.to_string() +
                                           ", the network expects " + graph.input().shape.to_string());
  }
  const auto classes = graph.output().shape.size();
  for (const std::uint16_t label : data.classes) {
    if (label >= classes) {
      throw InputError("training.label", "the data have a class " + std::to_string(label) +
                                             ", the network has " + std::to_string(classes) + " outputs");
    }
  }
  if (options.epochs < 0 || options.batch < 1 || data.count() == 0) {
    throw UsageError("training.options",
                     "epochs must not be negative, the batch must hold at least one picture");
  }
}

/// Makes training batches: distorted, normalised pictures with their classes.
class BatchSource {
 public:
  BatchSource(const FloatGraph& graph, const Dataset& data, const TrainingOptions& options)
      : graph_(graph), data_(data), options_(options) {
    order_.resize(data.count());
  }

  void start_epoch(int epoch) {
    std::iota(order_.begin(), order_.end(), std::size_t{0});  // a function of the epoch alone
    random_.seed(options_.seed * 0x9e3779b97f4a7c15U + static_cast<std::uint64_t>(epoch));
    shuffle(order_, random_);
  }

  std::int64_t steps() const { return static_cast<std::int64_t>((data_.count() + batch() - 1) / batch()); }

  /// Rows of a table with one row for each training picture that belong to the batch's pictures.
  at::Tensor rows_at(std::int64_t step, const at::Tensor& table) const {
    const std::size_t first = static_cast<std::size_t>(step) * batch();
    const std::size_t count = std::min(batch(), data_.count() - first);
    const std::vector<std::int64_t> rows(order_.begin() + static_cast<std::ptrdiff_t>(first),
                                         order_.begin() + static_cast<std::ptrdiff_t>(first + count));
    return table.index_select(0, at::tensor(rows, at::kLong));
  }

  std::pair<at::Tensor, at::Tensor> batch_at(std::int64_t step) {
    const std::size_t first = static_cast<std::size_t>(step) * batch();
    const std::size_t count = std::min(batch(), data_.count() - first);
    const models::Shape& shape = graph_.input().shape;
    const auto size = static_cast<std::size_t>(shape.size());
    at::Tensor x = at::empty({static_cast<std::int64_t>(count), shape.channels, shape.height, shape.width});
    at::Tensor y = at::empty({static_cast<std::int64_t>(count)}, at::kLong);
    float* out = x.data_ptr<float>();
    for (std::size_t k = 0; k < count; ++k) {
      const std::size_t index = order_[first + k];
      fill(data_.picture(index), {out + k * size, size});
      y.data_ptr<std::int64_t>()[k] = data_.classes[index];
    }
    return {x, y};
  }

 private:
  std::size_t batch() const { return static_cast<std::size_t>(options_.batch); }

  void fill(std::span<const std::uint8_t> picture, std::span<float> out) {
    if (options_.augmentation.any()) {
      augment(options_.augmentation, data_.shape, picture, background(), random_, out);
    } else {
      std::copy(picture.begin(), picture.end(), out.begin());
    }
    normalise(graph_, out);
  }

  /// What lies outside a picture: black for digits, the mean grey for colour pictures.
  float background() const {
    return data_.shape.channels == 1 ? 0 : static_cast<float>(255 * graph_.mean.front());
  }

  const FloatGraph& graph_;
  const Dataset& data_;
  const TrainingOptions& options_;
  std::vector<std::size_t> order_;
  std::mt19937_64 random_;
};

at::Tensor cross_entropy(const at::Tensor& logits, const at::Tensor& classes, double smoothing) {
  const at::Tensor log_p = at::log_softmax(logits, 1);
  const at::Tensor picked = at::nll_loss(log_p, classes);
  return smoothing == 0 ? picked : picked * (1 - smoothing) - log_p.mean() * smoothing;
}

at::Tensor distillation_loss(const at::Tensor& logits, const at::Tensor& teacher, double temperature) {
  const at::Tensor target = at::softmax(teacher / temperature, 1);
  const at::Tensor log_p = at::log_softmax(logits / temperature, 1);
  return -(target * log_p).sum(1).mean() * (temperature * temperature);
}

double rate_at(double done, const TrainingOptions& options) {
  if (done < options.warm_up) return options.learning_rate * (done + 1e-3) / options.warm_up;
  const double x = (done - options.warm_up) / (1 - options.warm_up);
  return options.learning_rate * 0.5 * (1 + std::cos(std::numbers::pi * x));
}

class Trainer {
 public:
  Trainer(FloatGraph& graph, const Dataset& data, const TrainingOptions& options, const TrainingHooks& hooks)
      : graph_(graph),
        options_(options),
        hooks_(hooks),
        torch_(graph, TorchGraph::Mode::training),
        optimizer_(torch_.parameters(), options.weight_decay, options.grid_rate, options.optimizer,
                   options.mixed_precision),
        source_(graph, data, options) {
    if (hooks.teacher != nullptr && options.distillation > 0) {
      teacher_ = std::make_unique<TorchGraph>(*hooks.teacher, TorchGraph::Mode::inference);
    }
    if (hooks.teacher_logits != nullptr && options.distillation > 0) {
      teacher_logits_ =
          to_tensor(*hooks.teacher_logits, at::kFloat).reshape({static_cast<std::int64_t>(data.count()), -1});
    }
  }

  void run() {
    const Clock::time_point start = Clock::now();
    const int first = resume();
    for (int epoch = first; epoch < options_.epochs; ++epoch) {
      const double loss = run_epoch(epoch);
      torch_.store(graph_);
      if (!options_.checkpoint.empty()) write_checkpoint(options_.checkpoint, checkpoint(epoch + 1));
      const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
      report(epoch, loss, seconds / (epoch + 1 - first) * (options_.epochs - epoch - 1));
    }
    torch_.store(graph_);
    if (!options_.checkpoint.empty()) std::filesystem::remove(options_.checkpoint);
  }

 private:
  Checkpoint checkpoint(int epochs_done) const {
    std::ostringstream run;
    run.imbue(std::locale::classic());
    run << graph_.name << ", epochs " << options_.epochs << ", batch " << options_.batch << ", rate "
        << options_.learning_rate << ", decay " << options_.weight_decay << ", seed " << options_.seed
        << (options_.optimizer == OptimizerKind::muon ? ", muon" : "");
    if (has_teacher()) {
      run << ", distillation " << options_.distillation << " at " << options_.temperature;
    }
    Checkpoint result{run.str(), epochs_done, optimizer_.steps(), torch_.state()};
    for (const at::Tensor& moment : optimizer_.state()) result.tensors.push_back(moment);
    return result;
  }

  /// Returns how many epochs an earlier run has done.
  int resume() {
    if (options_.checkpoint.empty() || !std::filesystem::exists(options_.checkpoint)) return 0;
    Checkpoint state = checkpoint(0);
    read_checkpoint(options_.checkpoint, state);
    optimizer_.set_steps(state.steps);
    return state.epochs_done;
  }

  double run_epoch(int epoch) {
    source_.start_epoch(epoch);
    double loss_sum = 0;
    const std::int64_t steps = source_.steps();
    for (std::int64_t step = 0; step < steps; ++step) {
      throw_if_stopped(hooks_.stop);
      const double done = (epoch + static_cast<double>(step) / static_cast<double>(steps)) / options_.epochs;
      if (hooks_.rewrite && (epoch * steps + step) % hooks_.rewrite_steps == 0) rewrite(done);
      loss_sum += run_step(step, rate_at(done, options_));
    }
    return loss_sum / static_cast<double>(steps);
  }

  double run_step(std::int64_t step, double rate) {
    const auto [x, classes] = source_.batch_at(step);
    const at::Tensor logits = forward(torch_, x);
    at::Tensor loss = cross_entropy(logits, classes, options_.label_smoothing);
    if (has_teacher()) {
      loss = loss * (1 - options_.distillation) +
             distillation_loss(logits, taught(step, x), options_.temperature) * options_.distillation;
    }
    loss.backward();
    optimizer_.step(rate);
    torch_.project();
    const double value = loss.item<double>();
    if (!std::isfinite(value)) {
      throw Error("training.diverged", "the training diverged; a smaller learning rate may help");
    }
    return value;
  }

  bool has_teacher() const { return teacher_ || teacher_logits_.defined(); }

  /// The teacher's logits for a batch.
  at::Tensor taught(std::int64_t step, const at::Tensor& x) {
    if (teacher_logits_.defined()) return source_.rows_at(step, teacher_logits_);
    const at::NoGradGuard guard;
    return forward(*teacher_, x);
  }

  /// Convolutions in bfloat16 with sums in float32 where asked; everything else stays float32.
  at::Tensor forward(TorchGraph& graph, const at::Tensor& x) const {
    if (!options_.mixed_precision) return graph.forward(x);
    at::autocast::set_cpu_enabled(true);
    at::autocast::set_autocast_cpu_dtype(at::kBFloat16);
    at::Tensor result = graph.forward(x).to(at::kFloat);
    at::autocast::clear_cache();
    at::autocast::set_cpu_enabled(false);
    return result;
  }

  void rewrite(double done) {
    torch_.store(graph_);
    if (hooks_.rewrite(done, graph_)) torch_.load(graph_);
  }

  void report(int epoch, double loss, double seconds_left) {
    if (!hooks_.report) return;
    EpochReport result{hooks_.phase, epoch + 1, options_.epochs, loss, -1, seconds_left};
    if (hooks_.test != nullptr) result.test_accuracy = accuracy(graph_, *hooks_.test);
    hooks_.report(result);
  }

  FloatGraph& graph_;
  const TrainingOptions& options_;
  const TrainingHooks& hooks_;
  TorchGraph torch_;
  Optimizer optimizer_;
  BatchSource source_;
  std::unique_ptr<TorchGraph> teacher_;
  at::Tensor teacher_logits_;
};

}  // namespace

void train(FloatGraph& graph, const Dataset& data, const TrainingOptions& options,
           const TrainingHooks& hooks) {
  check(graph, data, options);
  at::set_num_threads(options.threads);
  Trainer(graph, data, options, hooks).run();
}

}  // namespace popcorn::compress
