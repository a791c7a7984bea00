#include "compress/quantisation/equalisation.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace popcorn::compress {

namespace {

constexpr int kSweeps = 60;
/// A channel whose largest weight lies this far from its layer's mean.
constexpr double kSpread = 8;
constexpr int kLargestExponent = 60;

/// Channels that must have one factor: sets of (node, channel), numbered in a row.
class ChannelSets {
 public:
  explicit ChannelSets(const FloatGraph& graph) : graph_(graph) {
    std::size_t total = 0;
    for (const FloatNode& node : graph.nodes) {
      first_.push_back(total);
      total += static_cast<std::size_t>(node.shape.channels);
    }
    parent_.resize(total);
    std::iota(parent_.begin(), parent_.end(), std::size_t{0});
    fixed_.assign(total, false);
    for (std::size_t i = 0; i < graph.nodes.size(); ++i) join(i);
    fix(0);
    fix(graph.nodes.size() - 1);
  }

  std::size_t set(std::size_t node, std::size_t channel) const {
    std::size_t at = first_[node] + channel;
    while (parent_[at] != at) at = parent_[at];
    return at;
  }
  bool fixed(std::size_t set) const { return fixed_[set]; }
  std::size_t total() const { return parent_.size(); }

 private:
  void unite(std::size_t a, std::size_t b) {
    while (parent_[a] != a) a = parent_[a] = parent_[parent_[a]];
    while (parent_[b] != b) b = parent_[b] = parent_[parent_[b]];
    if (a == b) return;
    parent_[std::max(a, b)] = std::min(a, b);
    fixed_[std::min(a, b)] = fixed_[a] || fixed_[b];
  }

  void fix(std::size_t node) {
    for (std::size_t c = 0; c < static_cast<std::size_t>(graph_.nodes[node].shape.channels); ++c)
      fixed_[set(node, c)] = true;
  }

  void join(std::size_t index) {
    const FloatNode& node = graph_.nodes[index];
    switch (node.kind) {
      case FloatKind::input:
      case FloatKind::dense:
      case FloatKind::conv2d:
        if (node.grid.active()) {
          fix(index);
          fix(node.inputs.front());
        }
        return;
      case FloatKind::sign:
      case FloatKind::batch_norm:
      case FloatKind::affine:
        fix(index);
        if (node.kind != FloatKind::sign) fix(node.inputs.front());
        return;
      case FloatKind::concat: {
        std::size_t channel = 0;
        for (const std::size_t input : node.inputs) {
          for (std::size_t c = 0; c < static_cast<std::size_t>(graph_.nodes[input].shape.channels); ++c)
            unite(first_[index] + channel++, first_[input] + c);
        }
        return;
      }
      case FloatKind::flatten: {
        const models::Shape& from = graph_.nodes[node.inputs.front()].shape;
        const auto plane = static_cast<std::size_t>(from.height * from.width);
        for (std::size_t c = 0; c < static_cast<std::size_t>(node.shape.channels); ++c)
          unite(first_[index] + c, first_[node.inputs.front()] + c / plane);
        return;
      }
      default:
        for (const std::size_t input : node.inputs) {
          for (std::size_t c = 0; c < static_cast<std::size_t>(node.shape.channels); ++c)
            unite(first_[index] + c, first_[input] + c);
        }
    }
  }

  const FloatGraph& graph_;
  std::vector<std::size_t> first_;
  std::vector<std::size_t> parent_;
  std::vector<bool> fixed_;
};

/// One magnitude: the largest weight of an output over one input channel, and the sets of both.
struct Entry {
  std::size_t output, input;
  double log;  ///< base 2
};

/// How the weights of a layer lie: outputs × (input channels of a group) × kernel.
struct WeightLayout {
  std::size_t outputs, inputs, kernel, outputs_per_group;

  WeightLayout(const FloatNode& node, const models::Shape& input) {
    const auto groups = static_cast<std::size_t>(node.kind == FloatKind::dense ? 1 : node.groups);
    outputs = node.bias.size();
    inputs = static_cast<std::size_t>(input.channels) / groups;
    kernel = node.weights.size() / outputs / inputs;
    outputs_per_group = outputs / groups;
  }
  std::size_t first(std::size_t output, std::size_t input) const {
    return (output * inputs + input) * kernel;
  }
  /// The channel of the whole input that `output` reads as its `input`-th.
  std::size_t channel(std::size_t output, std::size_t input) const {
    return output / outputs_per_group * inputs + input;
  }
};

/// Largest logarithms of weights by set: where its channels are made, and where they are read.
struct Maxima {
  static constexpr double kNone = -1e300;
  std::vector<double> made, read;

  explicit Maxima(std::size_t sets) : made(sets, kNone), read(sets, kNone) {}
  void add(const Entry& entry, double log) {
    made[entry.output] = std::max(made[entry.output], log);
    read[entry.input] = std::max(read[entry.input], log);
  }
  bool known(std::size_t set) const { return made[set] != kNone && read[set] != kNone; }
};

class Equaliser {
 public:
  explicit Equaliser(FloatGraph& graph) : graph_(graph), sets_(graph) {}

  bool run() {
    collect();
    if (!out_of_balance()) return false;
    log_factor_.assign(sets_.total(), 0);
    for (int sweep = 0; sweep < kSweeps; ++sweep) balance();
    return apply();
  }

 private:
  void collect() {
    for (std::size_t index = 1; index < graph_.nodes.size(); ++index) {
      const FloatNode& node = graph_.nodes[index];
      if (!node.has_weights() || node.grid.active()) continue;
      const std::size_t from = node.inputs.front();
      const WeightLayout layout(node, graph_.nodes[from].shape);
      for (std::size_t o = 0; o < layout.outputs; ++o) {
        for (std::size_t c = 0; c < layout.inputs; ++c) {
          double largest = 0;
          for (std::size_t k = 0; k < layout.kernel; ++k) {
            const std::size_t at = layout.first(o, c) + k;
            if (node.mask.empty() || node.mask[at] != 0)
              largest = std::max(largest, std::abs(static_cast<double>(node.weights[at])));
          }
          if (largest == 0) continue;
          entries_.push_back(
              {sets_.set(index, o), sets_.set(from, layout.channel(o, c)), std::log2(largest)});
        }
      }
    }
  }

  /// Whether a channel is scaled down where it is made and up where it is read, or the other way round, so
  /// far that plain quantisation would cut a step: a channel that is only small is left as training made it.
  bool out_of_balance() const {
    Maxima maxima(sets_.total());
    for (const Entry& entry : entries_) maxima.add(entry, entry.log);
    for (std::size_t index = 0; index < graph_.nodes.size(); ++index) {
      const FloatNode& node = graph_.nodes[index];
      if (!node.has_weights() || node.grid.active()) continue;
      std::vector<std::size_t> sets;
      double made_sum = 0, read_sum = 0;
      for (std::size_t c = 0; c < node.bias.size(); ++c) {
        const std::size_t set = sets_.set(index, c);
        if (sets_.fixed(set) || !maxima.known(set)) continue;
        sets.push_back(set);
        made_sum += maxima.made[set];
        read_sum += maxima.read[set];
      }
      const auto count = static_cast<double>(sets.size());
      for (const std::size_t set : sets) {
        const double up = maxima.made[set] - made_sum / count;
        const double down = maxima.read[set] - read_sum / count;
        if (std::min(std::abs(up), std::abs(down)) > std::log2(kSpread) / 2 &&
            std::max(std::abs(up), std::abs(down)) > std::log2(kSpread) && (up < 0) != (down < 0))
          return true;
      }
    }
    return false;
  }

  /// One pass: every free set takes the factor that makes its largest weight as an output and as an input
  /// alike.
  void balance() {
    Maxima maxima(sets_.total());
    for (const Entry& entry : entries_)
      maxima.add(entry, entry.log - log_factor_[entry.output] + log_factor_[entry.input]);
    for (std::size_t set = 0; set < log_factor_.size(); ++set) {
      if (sets_.fixed(set) || !maxima.known(set)) continue;
      log_factor_[set] +=
          (maxima.made[set] - maxima.read[set]) / 4;  // half of the way: neighbours move as well
    }
  }

  bool apply() {
    std::vector<int> exponent(log_factor_.size());
    bool changed = false;
    for (std::size_t set = 0; set < exponent.size(); ++set) {
      exponent[set] = static_cast<int>(
          std::clamp(std::lround(log_factor_[set]), -long{kLargestExponent}, long{kLargestExponent}));
      changed = changed || exponent[set] != 0;
    }
    if (!changed) return false;
    for (std::size_t index = 1; index < graph_.nodes.size(); ++index) {
      FloatNode& node = graph_.nodes[index];
      if (node.kind == FloatKind::clip) scale_limits(index, exponent);
      if (!node.has_weights() || node.grid.active()) continue;
      const std::size_t from = node.inputs.front();
      const WeightLayout layout(node, graph_.nodes[from].shape);
      for (std::size_t o = 0; o < layout.outputs; ++o) {
        const int out = exponent[sets_.set(index, o)];
        node.bias[o] = std::ldexp(node.bias[o], -out);
        for (std::size_t c = 0; c < layout.inputs; ++c) {
          const int in = exponent[sets_.set(from, layout.channel(o, c))];
          for (std::size_t k = 0; k < layout.kernel; ++k) {
            float& weight = node.weights[layout.first(o, c) + k];
            weight = std::ldexp(weight, in - out);
          }
        }
      }
    }
    return true;
  }

  void scale_limits(std::size_t index, const std::vector<int>& exponent) {
    FloatNode& node = graph_.nodes[index];
    const auto channels = static_cast<std::size_t>(node.shape.channels);
    if (node.gamma.empty()) node.gamma.assign(channels, node.upper);
    for (std::size_t c = 0; c < channels; ++c)
      node.gamma[c] = std::ldexp(node.gamma[c], -exponent[sets_.set(index, c)]);
  }

  FloatGraph& graph_;
  ChannelSets sets_;
  std::vector<Entry> entries_;
  std::vector<double> log_factor_;  ///< base 2: an output of the set is divided by 2^this
};

}  // namespace

bool equalise_channels(FloatGraph& graph) {
  return Equaliser(graph).run();
}

}  // namespace popcorn::compress
