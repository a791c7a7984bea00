#include "compress/equalisation.h"

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

std::size_t input_channels_of(const FloatNode& node, const models::Shape& input) {
  return static_cast<std::size_t>(node.kind == FloatKind::dense ? input.channels
                                                                : input.channels / node.groups);
}

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
      const std::size_t inputs = input_channels_of(node, graph_.nodes[from].shape);
      const std::size_t outputs = node.bias.size();
      const std::size_t kernel = node.weights.size() / outputs / inputs;
      const std::size_t per_group =
          outputs / static_cast<std::size_t>(node.kind == FloatKind::dense ? 1 : node.groups);
      for (std::size_t o = 0; o < outputs; ++o) {
        for (std::size_t c = 0; c < inputs; ++c) {
          double largest = 0;
          for (std::size_t k = 0; k < kernel; ++k) {
            const std::size_t at = (o * inputs + c) * kernel + k;
            if (node.mask.empty() || node.mask[at] != 0)
              largest = std::max(largest, std::abs(static_cast<double>(node.weights[at])));
          }
          if (largest == 0) continue;
          entries_.push_back(
              {sets_.set(index, o), sets_.set(from, o / per_group * inputs + c), std::log2(largest)});
        }
      }
    }
  }

  /// Whether a channel is scaled down where it is made and up where it is read, or the other way round, so
  /// far that plain quantisation would cut a step: a channel that is only small is left as training made it.
  bool out_of_balance() const {
    constexpr double kNone = -1e300;
    std::vector<double> made(sets_.total(), kNone), read(sets_.total(), kNone);
    for (const Entry& entry : entries_) {
      made[entry.output] = std::max(made[entry.output], entry.log);
      read[entry.input] = std::max(read[entry.input], entry.log);
    }
    for (const FloatNode& node : graph_.nodes) {
      const auto index = static_cast<std::size_t>(&node - graph_.nodes.data());
      if (!node.has_weights() || node.grid.active()) continue;
      std::vector<std::size_t> sets;
      double made_sum = 0, read_sum = 0;
      for (std::size_t c = 0; c < node.bias.size(); ++c) {
        const std::size_t set = sets_.set(index, c);
        if (sets_.fixed(set) || made[set] == kNone || read[set] == kNone) continue;
        sets.push_back(set);
        made_sum += made[set];
        read_sum += read[set];
      }
      const auto count = static_cast<double>(sets.size());
      for (const std::size_t set : sets) {
        const double up = made[set] - made_sum / count, down = read[set] - read_sum / count;
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
    constexpr double kNone = -1e300;
    std::vector<double> made(sets_.total(), kNone), read(sets_.total(), kNone);
    for (const Entry& entry : entries_) {
      const double log = entry.log - log_factor_[entry.output] + log_factor_[entry.input];
      made[entry.output] = std::max(made[entry.output], log);
      read[entry.input] = std::max(read[entry.input], log);
    }
    for (std::size_t set = 0; set < log_factor_.size(); ++set) {
      if (sets_.fixed(set) || made[set] == kNone || read[set] == kNone) continue;
      log_factor_[set] += (made[set] - read[set]) / 4;  // half of the way: neighbours move as well
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
      const std::size_t inputs = input_channels_of(node, graph_.nodes[from].shape);
      const std::size_t outputs = node.bias.size();
      const std::size_t kernel = node.weights.size() / outputs / inputs;
      const std::size_t per_group =
          outputs / static_cast<std::size_t>(node.kind == FloatKind::dense ? 1 : node.groups);
      for (std::size_t o = 0; o < outputs; ++o) {
        const int out = exponent[sets_.set(index, o)];
        node.bias[o] = std::ldexp(node.bias[o], -out);
        for (std::size_t c = 0; c < inputs; ++c) {
          const int in = exponent[sets_.set(from, o / per_group * inputs + c)];
          for (std::size_t k = 0; k < kernel; ++k) {
            float& weight = node.weights[(o * inputs + c) * kernel + k];
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
