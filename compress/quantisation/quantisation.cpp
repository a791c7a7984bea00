#include "compress/quantisation/quantisation.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <numeric>

#include "base/error.h"
#include "compress/pruning/layer_pattern.h"
#include "compress/quantisation/codebook.h"

namespace popcorn::compress {

namespace {

constexpr int kSearchSteps = 60;
constexpr double kSmallestMultiplier = 4;  // of operands whose channels have their own steps
constexpr double kLargestSpread = 8;       // of the steps of one layer below their mean
/// Largest magnitudes of codebooks.
constexpr std::int32_t kLimit = 127, kFineLimit = 1023;
constexpr double kLiveShare = 1e-3;    // of a layer's largest step
constexpr int kMostConstantBits = 18;  // of a bias, where values are rounded
constexpr int kSpareBits = 1;          // of the largest magnitude above the usual values
constexpr double kSmallestClip = 0.3;  // no better step was ever seen below this share of the largest weight

bool rounds(FloatKind kind) {
  return kind == FloatKind::relu || kind == FloatKind::clip;
}

/// Of the non-zero weights; 1 when there are none.
double mean_magnitude(const std::vector<double>& weights) {
  double sum = 0, count = 0;
  for (const double w : weights) {
    sum += std::abs(w);
    count += w != 0 ? 1 : 0;
  }
  return count == 0 ? 1 : sum / count;
}

double squared_error(const std::vector<double>& weights, double step, std::int32_t levels) {
  double error = 0;
  for (const double w : weights) {
    const double rounded =
        std::clamp(std::round(w / step), -static_cast<double>(levels), static_cast<double>(levels));
    error += (w - step * rounded) * (w - step * rounded);
  }
  return error;
}

/// Rewrites one graph. `factor_[i][c]` is the real value of one unit of channel c of node i in the rewritten
/// graph, `unit_[i]` what one integer of the lowered network is worth there.
class Quantiser {
 public:
  Quantiser(FloatGraph& graph, const QuantisationOptions& options, LayerRounder* rounder,
            std::vector<CutLayer>* cut, const RangeSource& ranges)
      : graph_(graph), options_(options), rounder_(rounder), cut_(cut), ranges_(ranges) {}

  void run() {
    check();
    find_tied_layers();
    factor_.resize(graph_.nodes.size());
    unit_.assign(graph_.nodes.size(), 1);
    quantise_input();
    for (std::size_t i = 1; i < graph_.nodes.size(); ++i) visit(i);
    if (options_.class_scales) graph_.class_scale.assign(factor_.back().begin(), factor_.back().end());
  }

 private:
  void check() const {
    const auto check_bits = [](int bits) {
      if (bits < 2 || bits > 8)
        throw UsageError("quantisation.bits", "weights take 2 to 8 bits, not " + std::to_string(bits));
    };
    check_bits(options_.bits);
    for (const LayerBits& layer : options_.layers) {
      check_bits(layer.bits);
      require_match(graph_, layer.pattern);
    }
    for (const LayerGrid& layer : options_.kinds) require_match(graph_, layer.pattern);
    check_activations();
    for (const FloatNode& node : graph_.nodes) {
      if (node.kind == FloatKind::batch_norm || node.kind == FloatKind::affine) {
        throw InputError("quantisation.batch_norm",
                         "node \"" + node.name + "\" must be folded before quantisation");
      }
    }
  }

  void check_activations() const {
    if (options_.activation_bits == 0) return;
    if (!ranges_ || !can_round_activations(graph_))
      throw UsageError("quantisation.activations", "the network's activations cannot be rounded in training");
    const auto check_bits = [](int bits) {
      constexpr int kLeast = 2, kMost = 16;
      if (bits < kLeast || bits > kMost)
        throw UsageError("requantise.bits", "activations have 2 to 16 bits, not " + std::to_string(bits));
    };
    check_bits(options_.activation_bits);
    for (const LayerBits& layer : options_.activations) {
      check_bits(layer.bits);
      const bool found = std::ranges::any_of(graph_.nodes, [&](const FloatNode& node) {
        return rounds(node.kind) && matches(layer.pattern, node.name);
      });
      if (!found)
        throw UsageError("requantise.layer", "the network has no ReLU named \"" + layer.pattern + "\"");
    }
  }

  /// Layers whose outputs must keep one common scale, and groups whose integers must have the same unit.
  void find_tied_layers() {
    tied_.assign(graph_.nodes.size(), false);
    if (!options_.class_scales) tie(graph_.nodes.size() - 1);
    for (const FloatNode& node : graph_.nodes) {
      if (node.kind == FloatKind::add) {
        for (const std::size_t input : node.inputs) tie(input);
      }
    }
  }

  void tie(std::size_t index) {
    const FloatNode& node = graph_.nodes[index];
    if (node.has_weights() || rounds(node.kind)) tied_[index] = true;
    if (node.has_weights() || node.kind == FloatKind::sign || node.kind == FloatKind::add) return;
    for (const std::size_t input : node.inputs) tie(input);
  }

  /// Sums and joins align the units of their operands by integer multipliers: layers that make a later
  /// operand choose theirs so that this is exact.
  void prefer_unit(std::size_t index, double unit) {
    const FloatNode& node = graph_.nodes[index];
    if (node.has_weights() || (options_.activation_bits > 0 && rounds(node.kind) && !tied_[index])) {
      preferred_[index] = unit;
      return;
    }
    if (node.kind == FloatKind::relu || node.kind == FloatKind::max_pool2d ||
        node.kind == FloatKind::flatten) {
      prefer_unit(node.inputs.front(), unit);
    }
  }

  void quantise_input() {
    const std::size_t channels = graph_.mean.size();
    const double common = std::accumulate(graph_.deviation.begin(), graph_.deviation.end(), 0.0) /
                          static_cast<double>(channels);
    std::vector<double> shift(channels);
    factor_[0].resize(channels);
    for (std::size_t c = 0; c < channels; ++c) {
      // Rows of numbers have no padding that zero must mean something to: their offset goes into the biases.
      const double whole = graph_.encoding.columns.empty() ? std::round(255 * graph_.mean[c]) / 255 : 0;
      shift[c] = (whole - graph_.mean[c]) / graph_.deviation[c];
      factor_[0][c] = common / graph_.deviation[c];
      graph_.mean[c] = whole;
      graph_.deviation[c] = common;
    }
    unit_[0] = 1 / (255 * common);
    for (const FloatNode& node : graph_.nodes) {
      const bool reads = !node.inputs.empty() && node.inputs.front() == 0 && node.kind != FloatKind::input;
      if (reads && !node.has_weights() && !graph_.encoding.columns.empty())
        throw InputError(
            "quantisation.columns",
            "node \"" + node.name + "\" reads a row of numbers, which a dense layer must do first");
    }
    for (FloatNode& node : graph_.nodes) {
      if (node.has_weights() && node.inputs.front() == 0) shift_bias(node, shift);
    }
  }

  /// bias ← bias + ΣW·shift: what rounding the mean took away (exact where no padding is involved).
  static void shift_bias(FloatNode& node, const std::vector<double>& shift) {
    const std::size_t row = node.weights.size() / node.bias.size();
    for (std::size_t o = 0; o < node.bias.size(); ++o) {
      double sum = 0;
      for (std::size_t i = 0; i < row; ++i) {
        const std::size_t at = o * row + i;
        if (node.mask.empty() || node.mask[at] != 0)
          sum += static_cast<double>(node.weights[at]) * shift[input_channel(node, o, i)];
      }
      node.bias[o] += static_cast<float>(sum);
    }
  }

  /// Input channel that weight i of output o reads.
  static std::size_t input_channel(const FloatNode& node, std::size_t o, std::size_t i) {
    if (node.kind == FloatKind::dense) return i;
    const auto kernel = static_cast<std::size_t>(node.window.kernel_height * node.window.kernel_width);
    const std::size_t row = node.weights.size() / node.bias.size();
    const std::size_t per_group = node.bias.size() / static_cast<std::size_t>(node.groups);
    return (o / per_group) * (row / kernel) + i / kernel;
  }

  void visit(std::size_t index) {
    FloatNode& node = graph_.nodes[index];
    const std::size_t first = node.inputs.front();
    unit_[index] = unit_[first];
    switch (node.kind) {
      case FloatKind::conv2d:
      case FloatKind::dense:
        quantise_layer(index);
        break;
      case FloatKind::flatten: {
        const auto pixels =
            static_cast<std::size_t>(graph_.nodes[first].shape.height * graph_.nodes[first].shape.width);
        for (const double f : factor_[first]) factor_[index].insert(factor_[index].end(), pixels, f);
        break;
      }
      case FloatKind::concat:
        for (const std::size_t input : node.inputs) {
          factor_[index].insert(factor_[index].end(), factor_[input].begin(), factor_[input].end());
        }
        break;
      case FloatKind::sign:
        factor_[index].assign(factor_[first].size(), 1);
        unit_[index] = 1;
        break;
      case FloatKind::average_pool2d:
        factor_[index] = factor_[first];
        unit_[index] /= static_cast<double>(node.window.kernel_height * node.window.kernel_width);
        break;
      case FloatKind::clip:
        factor_[index] = factor_[first];
        rescale_limits(node, factor_[index]);
        if (options_.activation_bits > 0) requantise(index);
        break;
      case FloatKind::relu:
        factor_[index] = factor_[first];
        if (options_.activation_bits > 0) requantise(index);
        break;
      case FloatKind::add:
        unit_[index] = std::min(unit_[first], unit_[node.inputs[1]]);
        factor_[index] = factor_[first];
        break;
      default:
        factor_[index] = factor_[first];
        break;
    }
    for (const FloatNode& reader : graph_.nodes) {
      if (reader.kind != FloatKind::concat && reader.kind != FloatKind::add) continue;
      if (std::find(reader.inputs.begin(), reader.inputs.end(), index) == reader.inputs.end()) continue;
      for (const std::size_t operand : reader.inputs) {
        if (operand > index) prefer_unit(operand, unit_[index]);
      }
    }
  }

  /// min(max(x, 0), u) commutes with a positive factor of each channel when its limit is divided by it too.
  static void rescale_limits(FloatNode& node, const std::vector<double>& factor) {
    if (node.gamma.empty()) node.gamma.assign(factor.size(), node.upper);
    for (std::size_t c = 0; c < factor.size(); ++c) {
      node.gamma[c] = static_cast<float>(static_cast<double>(node.gamma[c]) / factor[c]);
    }
  }

  int activation_bits_of(const FloatNode& node) const {
    for (const LayerBits& layer : options_.activations) {
      if (matches(layer.pattern, node.name)) return layer.bits;
    }
    return options_.activation_bits;
  }

  /// The binary digits that a ReLU drops of each channel.
  std::vector<int> shifts_of(std::size_t index) const {
    const std::vector<ChannelRange> ranges = ranges_(graph_, index);
    const int bits = activation_bits_of(graph_.nodes[index]);
    const double unit = unit_[graph_.nodes[index].inputs.front()];
    const auto digits = [&](double value) { return value > 0 ? std::ilogb(value / unit) + 1 : 0; };
    std::vector<int> shifts;
    for (const ChannelRange& range : ranges) {
      // Negative values count too: a step on shares takes them within the same ring.
      const int shift = std::max({digits(range.usual) - bits, digits(range.largest) - bits - kSpareBits,
                                  digits(-range.least) - bits - kSpareBits});
      shifts.push_back(std::clamp(shift, 0, static_cast<int>(models::Limits::kShift)));
    }
    if (tied_[index]) shifts.assign(shifts.size(), *std::ranges::max_element(shifts));
    return shifts;
  }

  /// Gives a ReLU or clip its steps; the unit of what it makes is free where no sum follows.
  void requantise(std::size_t index) {
    FloatNode& node = graph_.nodes[index];
    const double unit = unit_[node.inputs.front()];
    const std::vector<int> shifts = shifts_of(index);
    const double mean =
        std::accumulate(shifts.begin(), shifts.end(), 0.0) / static_cast<double>(shifts.size());
    const auto wanted = preferred_.find(index);
    node.gain =
        wanted != preferred_.end() ? wanted->second : std::ldexp(unit, static_cast<int>(std::lround(mean)));
    node.steps.clear();
    for (std::size_t c = 0; c < shifts.size(); ++c) {
      const double step = std::ldexp(unit, shifts[c]);
      node.steps.push_back(static_cast<float>(step));
      factor_[index][c] *= step / node.gain;
    }
    unit_[index] = node.gain;
  }

  int bits_of(const FloatNode& node) const {
    for (const LayerBits& layer : options_.layers) {
      if (matches(layer.pattern, node.name)) return layer.bits;
    }
    return options_.bits;
  }

  GridKind kind_of(const FloatNode& node) const {
    for (const LayerGrid& layer : options_.kinds) {
      if (matches(layer.pattern, node.name)) return layer.kind;
    }
    return options_.kind;
  }

  /// A layer that is on its grid already can only pass on one common scale.
  void pass_on(std::size_t index) {
    const FloatNode& node = graph_.nodes[index];
    const std::vector<double>& input = factor_[node.inputs.front()];
    const double factor = input.front();
    if (std::any_of(input.begin(), input.end(),
                    [&](double f) { return std::abs(f - factor) > 1e-9 * factor; })) {
      throw InputError(
          "quantisation.scales",
          "node \"" + node.name + "\" has weights on a grid but reads channels of different scales");
    }
    factor_[index].assign(node.bias.size(), factor);
    unit_[index] = node.gain * unit_[node.inputs.front()];
  }

  void quantise_layer(std::size_t index) {
    if (graph_.nodes[index].grid.active()) return pass_on(index);
    FloatNode& node = graph_.nodes[index];
    const std::vector<double>& input = factor_[node.inputs.front()];
    const std::size_t outputs = node.bias.size(), row = node.weights.size() / outputs;
    std::vector<double> folded(node.weights.size());
    for (std::size_t at = 0; at < folded.size(); ++at) {
      folded[at] =
          node.gain * static_cast<double>(node.weights[at]) * input[input_channel(node, at / row, at % row)];
      if (!node.mask.empty() && node.mask[at] == 0) folded[at] = 0;
    }
    std::vector<double> bias(node.bias.begin(), node.bias.end());
    for (double& b : bias) b *= node.gain;
    if (rounder_ != nullptr) rounder_->prepare(graph_, index, folded, node.mask);
    raised_ = 0;
    std::vector<double> steps = choose_grid(node, folded, tied_[index]);
    if (cut_ != nullptr && raised_ > 0) cut_->push_back({node.name, raised_});
    if (tied_[index]) {
      steps.assign(outputs, aligned(index, steps.front()));
    } else if (options_.activation_bits > 0 && kind_of(node) == GridKind::uniform) {
      limit_constants(steps, bias, unit_[node.inputs.front()]);
    }
    if (rounder_ != nullptr) {
      rounder_->round(folded, node.mask, steps, node.grid);
      bias = rounder_->biases(folded);
    }
    for (std::size_t o = 0; o < outputs; ++o) {
      for (std::size_t at = o * row; at < (o + 1) * row; ++at) {
        node.weights[at] =
            static_cast<float>(std::clamp(folded[at] / steps[o], -static_cast<double>(node.grid.largest()),
                                          static_cast<double>(node.grid.largest())));
      }
      node.bias[o] = static_cast<float>(bias[o] / steps[o]);
    }
    node.gain = choose_gain(index, steps);
    factor_[index].resize(outputs);
    for (std::size_t o = 0; o < outputs; ++o) factor_[index][o] = steps[o] / node.gain;
    unit_[index] = node.gain * unit_[node.inputs.front()];
  }

  /// A channel that training left with next to no weights is its bias; counted in steps of those weights it
  /// would widen the ring of the whole layer. Its steps become coarser.
  static void limit_constants(std::vector<double>& steps, const std::vector<double>& bias, double unit) {
    for (std::size_t o = 0; o < steps.size(); ++o)
      steps[o] = std::max(steps[o], std::abs(bias[o]) / std::ldexp(unit, kMostConstantBits));
  }

  /// Sets the grid of a layer with these real weights; returns the step of each output.
  std::vector<double> choose_grid(FloatNode& node, const std::vector<double>& weights, bool tied) {
    const std::size_t outputs = node.bias.size();
    const int bits = bits_of(node);
    node.grid = {};
    switch (kind_of(node)) {
      case GridKind::uniform:
      case GridKind::ternary:
        node.grid.levels = kind_of(node) == GridKind::ternary ? 1 : (1 << (bits - 1)) - 1;
        return choose_steps(weights, outputs, tied,
                            [&node](const std::vector<double>& w) { return best_step(w, node.grid.levels); });
      case GridKind::binary:
        node.grid.codebook = {-1, 1};
        return choose_steps(weights, outputs, tied, mean_magnitude);
      case GridKind::codebook:
        break;
    }
    // A layer that was clustered elsewhere keeps its values: one step for all its outputs, finer integers.
    const bool clustered = rounder_ == nullptr && is_clustered(node.weights, std::size_t{1} << bits);
    std::vector<double> steps = choose_steps(weights, outputs, tied || clustered, mean_magnitude);
    std::vector<double> relative(weights.size());
    for (std::size_t i = 0; i < weights.size(); ++i) {
      relative[i] = weights[i] / steps[i / (weights.size() / outputs)];
    }
    const Codebook codebook =
        integer_codebook(relative, std::size_t{1} << (bits - 1), clustered ? kFineLimit : kLimit);
    node.grid.codebook = codebook.values;
    for (double& step : steps) step *= codebook.unit;
    return steps;
  }

  std::vector<double> choose_steps(const std::vector<double>& weights, std::size_t outputs, bool tied,
                                   const std::function<double(const std::vector<double>&)>& rule) {
    if (tied) return std::vector<double>(outputs, rule(weights));
    std::vector<double> steps;
    const std::size_t row = weights.size() / outputs;
    for (std::size_t o = 0; o < outputs; ++o) {
      const auto begin = weights.begin() + static_cast<std::ptrdiff_t>(o * row),
                 end = begin + static_cast<std::ptrdiff_t>(row);
      const bool dead = std::all_of(begin, end, [](double w) { return w == 0; });
      steps.push_back(dead ? 0 : rule({begin, end}));
    }
    // Channels that training left with next to no weights say nothing about the others' scale.
    const double least = kLiveShare * *std::ranges::max_element(steps);
    double log_sum = 0;
    std::size_t live = 0;
    for (const double q : steps) {
      if (q <= least) continue;
      log_sum += std::log(q);
      ++live;
    }
    // A step far below the others would shrink its column in the next layer to nothing there, and a channel
    // without weights has no step of its own.
    const double mean = live == 0 ? 1 : std::exp(log_sum / static_cast<double>(live));
    for (double& q : steps) {
      if (q > least && q < mean / kLargestSpread) ++raised_;
      q = q == 0 ? mean : std::max(q, mean / kLargestSpread);
    }
    return steps;
  }

  /// Keeps activations at their size: the geometric mean of the steps.
  double choose_gain(std::size_t index, const std::vector<double>& steps) const {
    if (tied_[index]) return steps.front();
    double sum = 0;
    for (const double q : steps) sum += std::log(q);
    return aligned(index, std::exp(sum / static_cast<double>(steps.size())));
  }

  /// Where a sum or a join wants the unit of a layer to match another's: the gain nearest to the given one
  /// that makes it a whole multiple or a whole part of that.
  double aligned(std::size_t index, double gain) const {
    const auto wanted = preferred_.find(index);
    if (wanted == preferred_.end()) return gain;
    const double input_unit = unit_[graph_.nodes[index].inputs.front()];
    const double ratio = wanted->second / (gain * input_unit);
    double whole = ratio >= 1 ? std::round(ratio) : 1 / std::round(1 / ratio);
    // A layer with a step per channel takes up the difference in those; a multiplier would only widen values.
    const bool is_free = !tied_[index] && ratio < kSmallestMultiplier && ratio > 1 / kSmallestMultiplier;
    if (is_free) whole = 1;
    return wanted->second / whole / input_unit;
  }

  FloatGraph& graph_;
  const QuantisationOptions& options_;
  LayerRounder* rounder_;
  std::vector<CutLayer>* cut_;
  const RangeSource& ranges_;
  std::size_t raised_ = 0;  ///< steps of the layer at work
  std::vector<bool> tied_;
  std::map<std::size_t, double> preferred_;
  std::vector<std::vector<double>> factor_;
  std::vector<double> unit_;
};

}  // namespace

double best_step(const std::vector<double>& weights, std::int32_t levels) {
  double largest = 0;
  std::vector<double> nonzero;
  for (const double w : weights) {
    largest = std::max(largest, std::abs(w));
    if (w != 0) nonzero.push_back(w);
  }
  if (largest == 0) return 1;
  double best = largest / levels, best_error = squared_error(nonzero, best, levels);
  for (int k = 1; k < kSearchSteps; ++k) {
    const double step = largest / levels * (1 - (1 - kSmallestClip) * k / kSearchSteps);
    const double error = squared_error(nonzero, step, levels);
    if (error < best_error) {
      best = step;
      best_error = error;
    }
  }
  return best;
}

bool can_round_activations(const FloatGraph& graph) {
  std::vector<bool> large(graph.nodes.size(), false);  // values that grew and met no rounding since
  for (std::size_t i = 1; i < graph.nodes.size(); ++i) {
    const FloatNode& node = graph.nodes[i];
    if (node.kind == FloatKind::sign) return false;
    bool reads_large = false;
    for (const std::size_t input : node.inputs) reads_large = reads_large || large[input];
    if (node.has_weights() && reads_large) return false;
    large[i] = !rounds(node.kind) && (reads_large || node.has_weights() || node.kind == FloatKind::add);
  }
  return true;
}

void quantise(FloatGraph& graph, const QuantisationOptions& options, LayerRounder* rounder,
              std::vector<CutLayer>* cut, const RangeSource& ranges) {
  Quantiser(graph, options, rounder, cut, ranges).run();
  graph.finish();
}

}  // namespace popcorn::compress
