#include "compress/quantisation/requantisation.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cmath>
#include <cstdlib>
#include <functional>
#include <map>
#include <optional>

#include "base/error.h"
#include "base/parallel.h"
#include "compress/interruption.h"
#include "models/evaluation/plaintext_evaluator.h"
#include "models/file/popcorn_format.h"
#include "models/network/bounds.h"
#include "models/network/shape_inference.h"

namespace popcorn::compress {

namespace {

using models::IntegerNetwork;
using models::Node;
using models::NodeKind;

/// Values of one node for all inputs.
using Values = std::vector<WideVector>;
/// Per channel: one unit of the new value is 2^exponent units of the exact one.
using Exponents = std::vector<int>;

/// Sum, squares and extremes of what one channel of one node takes over all inputs.
struct Spread {
  double mean_difference = 0;  ///< exact / unit − new
  double signal = 0, noise = 0;
  std::int64_t largest = 0;  ///< magnitude of the new values
};

bool passes_values_on(NodeKind kind) {
  return kind == NodeKind::flatten || kind == NodeKind::max_pool2d || kind == NodeKind::sum_pool2d ||
         kind == NodeKind::output;
}

/// What takes signed values of a layer or sum: a maximum, or weights, which bring a signed rescale.
const std::vector<NodeKind> kSignedSteps = {NodeKind::max_pool2d, NodeKind::dense, NodeKind::conv2d};

std::vector<std::size_t> last_readers(const IntegerNetwork& network) {
  std::vector<std::size_t> last(network.nodes.size(), network.nodes.size());
  for (std::size_t i = 0; i < network.nodes.size(); ++i) {
    for (const std::size_t operand : network.nodes[i].inputs) last[operand] = i;
  }
  return last;
}

/// Nodes whose values come to a sum without weights between, so that all channels need one unit.
std::vector<bool> feeds_sums(const IntegerNetwork& network) {
  std::vector<bool> feeds(network.nodes.size(), false);
  for (std::size_t i = network.nodes.size(); i-- > 0;) {
    const Node& node = network.nodes[i];
    const bool passes = passes_values_on(node.kind) || node.kind == NodeKind::concat;
    for (const std::size_t operand : node.inputs) {
      if (node.kind == NodeKind::add || (passes && feeds[i])) feeds[operand] = true;
    }
  }
  return feeds;
}

class Requantiser {
 public:
  Requantiser(const IntegerNetwork& exact, const std::vector<WideVector>& inputs,
              const RequantisationOptions& options)
      : exact_(exact),
        options_(options),
        count_(inputs.size()),
        feeds_sums_(feeds_sums(exact)),
        last_reader_(last_readers(exact)),
        exact_values_(exact.nodes.size()),
        place_(exact.nodes.size()) {
    result_.network = exact;
    result_.network.nodes.clear();
    exact_values_[0] = inputs;
    append(exact.nodes.front(), {}, Exponents(channels(exact.nodes.front()), 0));
    values_.back() = inputs;
  }

  RequantisedNetwork run() {
    for (std::size_t i = 1; i < exact_.nodes.size(); ++i) {
      throw_if_stopped(options_.stop);
      evaluate_exact(i);
      take_over(i);
      forget_operands(i);
    }
    IntegerNetwork& network = result_.network;
    network.facts.emplace_back("activation_bits", std::to_string(options_.activation_bits));
    network.facts.emplace_back("ring_margin_bits", std::to_string(options_.margin_bits));
    network.facts.emplace_back("calibration_inputs", std::to_string(count_));
    network.finish();
    return std::move(result_);
  }

 private:
  static std::size_t channels(const Node& node) { return static_cast<std::size_t>(node.shape.channels); }

  std::vector<Node>& nodes() { return result_.network.nodes; }

  void evaluate_exact(std::size_t index) {
    Values& values = exact_values_[index];
    values.resize(count_);
    for (std::size_t k = 0; k < count_; ++k) {
      std::vector<const WideVector*> operands;
      for (const std::size_t operand : exact_.nodes[index].inputs) {
        operands.push_back(&exact_values_[operand][k]);
      }
      values[k] = models::evaluate_node(exact_, index, operands);
    }
  }

  void forget_operands(std::size_t index) {
    for (const std::size_t operand : exact_.nodes[index].inputs) {
      if (last_reader_[operand] != index) continue;
      Values().swap(exact_values_[operand]);
      Values().swap(values_[place_[operand]]);
    }
  }

  /// Appends a node whose operands stand in the new network; values still to be made.
  std::size_t append(Node node, std::vector<std::size_t> inputs, Exponents exponents) {
    node.inputs = std::move(inputs);
    nodes().push_back(std::move(node));
    exponents_.push_back(std::move(exponents));
    values_.emplace_back();
    const std::size_t index = nodes().size() - 1;
    if (index == 0) place_[0] = 0;
    refresh(index);
    return index;
  }

  void refresh(std::size_t index) {
    models::infer_node(result_.network, index);
    nodes()[index].bounds = models::node_bounds(result_.network, index, models::Limits::kBoundWords);
  }

  void evaluate_new(std::size_t index) {
    values_[index].resize(count_);
    for (std::size_t k = 0; k < count_; ++k) {
      std::vector<const WideVector*> operands;
      for (const std::size_t operand : nodes()[index].inputs) operands.push_back(&values_[operand][k]);
      values_[index][k] = models::evaluate_node(result_.network, index, operands);
    }
  }

  std::vector<std::size_t> new_inputs(const Node& node) const {
    std::vector<std::size_t> inputs;
    for (const std::size_t operand : node.inputs) inputs.push_back(place_[operand]);
    return inputs;
  }

  void take_over(std::size_t index) {
    const Node& node = exact_.nodes[index];
    switch (node.kind) {
      case NodeKind::dense:
      case NodeKind::conv2d:
        place_[index] = take_over_layer(index);
        break;
      case NodeKind::add:
      case NodeKind::concat:
        place_[index] = take_over_join(index);
        break;
      case NodeKind::relu:
        place_[index] = append_rescale(index, place_[node.inputs.front()], true, feeds_sums_[index]);
        break;
      default:
        place_[index] = take_over_plain(index);
        break;
    }
  }

  std::size_t take_over_plain(std::size_t index) {
    const Node& node = exact_.nodes[index];
    const std::size_t from = place_[node.inputs.front()];
    Exponents exponents = exponents_[from];
    if (node.kind == NodeKind::sign) exponents.assign(exponents.size(), 0);
    if (node.kind == NodeKind::flatten) exponents = flattened(exponents, channels(node));
    const std::size_t place = append(node, {from}, std::move(exponents));
    evaluate_new(place);
    scale(place, index);
    if (node.kind == NodeKind::sum_pool2d) {
      choose_ring(place, index, kSignedSteps);
      describe(place, index);
    }
    return place;
  }

  static Exponents flattened(const Exponents& exponents, std::size_t size) {
    Exponents result(size);
    for (std::size_t i = 0; i < size; ++i) result[i] = exponents[i / (size / exponents.size())];
    return result;
  }

  /// Values that grew in weights or a sum and met no rounding since.
  bool is_large(std::size_t place) const {
    const Node& node = result_.network.nodes[place];
    if (passes_values_on(node.kind)) return is_large(node.inputs.front());
    if (node.kind == NodeKind::concat) {
      return std::ranges::any_of(node.inputs, [&](std::size_t operand) { return is_large(operand); });
    }
    return models::takes_weights(node.kind) || node.kind == NodeKind::add;
  }

  std::size_t take_over_layer(std::size_t index) {
    Node node = exact_.nodes[index];
    std::size_t from = place_[node.inputs.front()];
    // Before a sign small differences are answers, and none of its values goes on: nothing is rounded there.
    if (is_large(from) && !reaches(index, {NodeKind::sign})) from = signed_rescale(node.inputs.front(), from);
    const Exponents& inputs = exponents_[from];
    const int unit = *std::ranges::min_element(inputs);
    scale_weights(node, inputs, unit);
    for (std::size_t o = 0; o < node.bias.size(); ++o) {
      // The sum of a layer on shares is small: its bias fits a double's digits.
      set_bias(node, o, std::ldexp(node.bias.to_double(o), -unit));
    }
    node.bias = node.bias.resized(1);
    const std::size_t place = append(std::move(node), {from}, Exponents(channels(exact_.nodes[index]), unit));
    evaluate_new(place);
    correct_means(place, index);
    scale(place, index);
    choose_ring(place, index, kSignedSteps);
    describe(place, index);
    return place;
  }

  static void set_bias(Node& node, std::size_t output, double value) {
    if (!(std::abs(value) < std::ldexp(1.0, 50))) {
      throw InputError("requantise.bias", models::describe(node) + ": a bias does not fit 50 bits");
    }
    node.bias.set_int64(output, std::llround(value));
  }

  /// w · 2^(e − unit): the exact weights, for inputs of different units.
  static void scale_weights(Node& node, const Exponents& inputs, int unit) {
    const auto taps = static_cast<std::size_t>(node.window.kernel_height * node.window.kernel_width);
    const auto groups = static_cast<std::size_t>(node.groups);
    const std::size_t per_group = inputs.size() / groups;
    const std::size_t per_output = per_group * taps;
    for (std::size_t i = 0; i < node.weights.size(); ++i) {
      const std::size_t output = i / per_output;
      const std::size_t group = output / (channels(node) / groups);
      const std::int64_t scaled = std::int64_t{node.weights[i]}
                                  << (inputs[group * per_group + i % per_output / taps] - unit);
      if (std::abs(scaled) > INT32_MAX) {
        throw InputError("requantise.weights", models::describe(node) + ": a weight does not fit 31 bits");
      }
      node.weights[i] = static_cast<std::int32_t>(scaled);
    }
  }

  /// Channel by channel: the new outputs get the exact outputs' mean on the calibration inputs.
  void correct_means(std::size_t place, std::size_t index) {
    const std::vector<Spread> spreads = compare(place, index);
    Node& node = nodes()[place];
    std::vector<std::int64_t> moves;
    for (std::size_t o = 0; o < spreads.size(); ++o) {
      moves.push_back(std::llround(spreads[o].mean_difference));
      set_bias(node, o, node.bias.to_double(o) + static_cast<double>(moves.back()));
    }
    refresh(place);
    for (WideVector& y : values_[place]) {
      const std::size_t plane = y.size() / moves.size();
      for (std::size_t i = 0; i < y.size(); ++i) y.set_int64(i, y.to_int64(i) + moves[i / plane]);
    }
  }

  std::vector<Spread> compare(std::size_t place, std::size_t index) const {
    const Exponents& exponents = exponents_[place];
    std::vector<Spread> spreads(exponents.size());
    parallel_indices(spreads.size(), [&](std::size_t c) {
      Spread& spread = spreads[c];
      double sum = 0;
      std::size_t count = 0;
      for (std::size_t k = 0; k < count_; ++k) {
        const WideVector& y = values_[place][k];
        const WideVector& x = exact_values_[index][k];
        const std::size_t plane = y.size() / exponents.size();
        for (std::size_t i = c * plane; i < (c + 1) * plane; ++i, ++count) {
          const double exact = std::ldexp(x.to_double(i), -exponents[c]);
          const double difference = exact - y.to_double(i);
          sum += difference;
          // In the exact network's unit, so that channels add up.
          const double unit = std::ldexp(1.0, exponents[c]);
          spread.signal += exact * exact * unit * unit;
          spread.noise += difference * difference * unit * unit;
          spread.largest = std::max(spread.largest, std::abs(y.to_int64(i)));
        }
      }
      spread.mean_difference = count == 0 ? 0 : sum / static_cast<double>(count);
    });
    return spreads;
  }

  std::int64_t largest_magnitude(std::size_t place) const {
    std::atomic<std::int64_t> largest{0};
    parallel_indices(count_, [&](std::size_t k) {
      std::int64_t own = 0;
      const WideVector& y = values_[place][k];
      for (std::size_t i = 0; i < y.size(); ++i) own = std::max(own, std::abs(y.to_int64(i)));
      std::int64_t seen = largest;
      while (seen < own && !largest.compare_exchange_weak(seen, own)) {
      }
    });
    return largest;
  }

  /// Do the exact node's values come to one of these without another step between?
  bool reaches(std::size_t index, const std::vector<NodeKind>& kinds) const {
    for (std::size_t i = index + 1; i < exact_.nodes.size(); ++i) {
      const Node& reader = exact_.nodes[i];
      if (std::ranges::find(reader.inputs, index) == reader.inputs.end()) continue;
      if (std::ranges::find(kinds, reader.kind) != kinds.end()) return true;
      const bool passes = passes_values_on(reader.kind) || reader.kind == NodeKind::concat;
      if (passes && reaches(i, kinds)) return true;
    }
    return false;
  }

  /// A sign and the margin; one bit more where a step on signed values comes next, see models::step_range().
  /// @param index the exact node @param steps kinds that take or bring such a step
  void choose_ring(std::size_t place, std::size_t index, const std::vector<NodeKind>& steps) {
    const unsigned beside = 1 + (reaches(index, steps) ? 1 : 0);
    const auto bits =
        static_cast<unsigned>(std::bit_width(static_cast<std::uint64_t>(largest_magnitude(place))));
    const unsigned ring = std::max(2U, bits + beside + options_.margin_bits);
    Node& node = nodes()[place];
    if (ring >= node.bounds.bits + beside) return;  // the static bound costs no more
    node.ring_bits = ring;
    refresh(place);
  }

  std::size_t take_over_join(std::size_t index) {
    Node node = exact_.nodes[index];
    const std::vector<std::size_t> from = new_inputs(node);
    Exponents exponents;
    if (node.kind == NodeKind::add || feeds_sums_[index]) {
      exponents.assign(channels(node), common_multipliers(node, from));
    } else {
      for (std::size_t k = 0; k < from.size(); ++k) {
        const int unit = own_multiplier(node.multipliers[k]);
        for (const int e : exponents_[from[k]]) exponents.push_back(e + unit);
      }
    }
    const std::size_t place = append(std::move(node), from, std::move(exponents));
    evaluate_new(place);
    scale(place, index);
    if (nodes()[place].kind == NodeKind::add || is_large(place)) choose_ring(place, index, kSignedSteps);
    describe(place, index);
    return place;
  }

  static bool is_close(double ratio) {
    constexpr double kTolerance = 1.0 / 256;
    return std::abs(std::round(ratio) - ratio) <= kTolerance * ratio;
  }

  /// Multipliers in the ratio of the operands' units; returns the unit of the sum.
  int common_multipliers(Node& node, const std::vector<std::size_t>& from) {
    std::vector<int> exponents;
    std::vector<double> ratios;
    for (std::size_t k = 0; k < from.size(); ++k) {
      exponents.push_back(exponents_[from[k]].front());  // one for all channels of what a sum reads
      ratios.push_back(std::ldexp(static_cast<double>(node.multipliers[k]), exponents.back()));
    }
    int unit = std::ilogb(*std::ranges::min_element(ratios));
    const auto in_unit = [&](double ratio) { return std::ldexp(ratio, -unit); };
    while (!std::ranges::all_of(ratios, [&](double ratio) { return is_close(in_unit(ratio)); })) --unit;
    for (std::size_t k = 0; k < ratios.size(); ++k) {
      if (in_unit(ratios[k]) > INT32_MAX) {
        throw InputError("requantise.multipliers",
                         models::describe(node) + ": its operands' scales are too far apart");
      }
      node.multipliers[k] = std::llround(in_unit(ratios[k]));
    }
    return unit;
  }

  /// Makes the multiplier small; returns how many bits it lost.
  static int own_multiplier(std::int64_t& multiplier) {
    const auto exact = static_cast<double>(multiplier);
    int unit = std::ilogb(exact);
    while (!is_close(std::ldexp(exact, -unit))) --unit;
    multiplier = std::llround(std::ldexp(exact, -unit));
    return unit;
  }

  /// A rescale of the new node `from`; its values stand for those of the exact node `index`.
  std::size_t append_rescale(std::size_t index, std::size_t from, bool rectify, bool uniform) {
    const Node& exact_node = exact_.nodes[index];
    Node node;
    node.kind = NodeKind::rescale;
    node.name = rectify ? exact_node.name : free_name(exact_node.name + ".rescale");
    node.shape = exact_node.shape;
    node.rectify = rectify;
    node.shifts = shifts_for(from, rectify, uniform, activation_bits(node.name));
    Exponents exponents = exponents_[from];
    for (std::size_t c = 0; c < exponents.size(); ++c) exponents[c] += static_cast<int>(node.shift(c));
    node.scale = {1.0};
    node.rectify = false;  // so that both tails are seen
    const std::size_t place = append(std::move(node), {from}, std::move(exponents));
    evaluate_new(place);
    choose_ring(place, index, {NodeKind::max_pool2d});
    if (rectify) make_rectifying(place);
    scale(place, index);
    describe(place, index);
    return place;
  }

  /// One for all layers that read the node.
  std::size_t signed_rescale(std::size_t index, std::size_t from) {
    const auto found = signed_rescales_.find(from);
    if (found != signed_rescales_.end()) return found->second;
    const std::size_t place = append_rescale(index, from, false, false);
    signed_rescales_.emplace(from, place);
    return place;
  }

  void make_rectifying(std::size_t place) {
    nodes()[place].rectify = true;
    refresh(place);
    for (WideVector& y : values_[place]) {
      for (std::size_t i = 0; i < y.size(); ++i) {
        if (y.is_negative(i)) y.set_int64(i, 0);
      }
    }
  }

  std::string free_name(std::string name) const {
    while (exact_.find(name)) name += "_";
    return name;
  }

  int activation_bits(const std::string& name) const {
    for (const auto& [layer, bits] : options_.layers) {
      if (layer == name) return bits;
    }
    return options_.activation_bits;
  }

  /// Channel by channel so that the wanted share of the values fits; not too far apart.
  std::vector<std::int64_t> shifts_for(std::size_t from, bool rectify, bool uniform, int bits) const {
    const std::size_t count = exponents_[from].size();
    std::vector<std::int64_t> shifts(count);
    parallel_indices(count, [&](std::size_t c) {
      const std::vector<std::int64_t> found = magnitudes(from, c, rectify);
      shifts[c] = found.empty() ? -1 : shift_of(percentile(found), bits);  // −1: no life
    });
    const std::int64_t largest = std::max<std::int64_t>(0, *std::ranges::max_element(shifts));
    if (uniform || largest == 0) return {largest};
    // A unit is 2^(exponent + shift): these must not be too far apart, whatever came in.
    const Exponents& exponents = exponents_[from];
    std::int64_t coarsest = 0;
    for (std::size_t c = 0; c < count; ++c) coarsest = std::max(coarsest, unit_of(exponents[c], shifts[c]));
    for (std::size_t c = 0; c < count; ++c) {
      const std::int64_t finest = coarsest - options_.spread - exponents[c];
      shifts[c] =
          shifts[c] < 0 ? std::max<std::int64_t>(0, coarsest - exponents[c]) : std::max(shifts[c], finest);
    }
    if (std::ranges::adjacent_find(shifts, std::not_equal_to<>()) == shifts.end()) shifts.resize(1);
    return shifts;
  }

  static std::int64_t unit_of(int exponent, std::int64_t shift) {
    return exponent + std::max<std::int64_t>(0, shift);
  }

  /// Of a channel's values that are not zero: the positive ones, or all where no ReLU follows.
  std::vector<std::int64_t> magnitudes(std::size_t place, std::size_t channel, bool positive_only) const {
    std::vector<std::int64_t> found;
    for (const WideVector& x : values_[place]) {
      const std::size_t plane = x.size() / exponents_[place].size();
      for (std::size_t i = channel * plane; i < (channel + 1) * plane; ++i) {
        const std::int64_t value = x.to_int64(i);
        if (value > 0 || (value < 0 && !positive_only)) found.push_back(std::abs(value));
      }
    }
    return found;
  }

  std::int64_t percentile(std::vector<std::int64_t> values) const {
    const auto place = static_cast<std::size_t>(options_.kept * static_cast<double>(values.size() - 1));
    std::ranges::nth_element(values, values.begin() + static_cast<std::ptrdiff_t>(place));
    return values[place];
  }

  /// The least shift that brings the value below 2^bits.
  static std::int64_t shift_of(std::int64_t value, int bits) {
    const auto wide = static_cast<std::int64_t>(std::bit_width(static_cast<std::uint64_t>(value)));
    return std::clamp<std::int64_t>(wide - bits, 0, models::Limits::kShift);
  }

  /// What one unit of the new node means: the exact node's scale times 2^exponent.
  void scale(std::size_t place, std::size_t index) {
    const std::vector<double>& exact = exact_.nodes[index].scale;
    const Exponents& exponents = exponents_[place];
    std::vector<double> scales;
    for (std::size_t c = 0; c < exponents.size(); ++c) {
      scales.push_back(std::ldexp(exact[exact.size() == 1 ? 0 : c], exponents[c]));
    }
    if (std::ranges::adjacent_find(scales, std::not_equal_to<>()) == scales.end()) scales.resize(1);
    nodes()[place].scale = std::move(scales);
  }

  void describe(std::size_t place, std::size_t index) {
    const Node& node = nodes()[place];
    RequantisedLayer layer;
    layer.name = node.name;
    layer.exact_bits = exact_.nodes[index].bounds.bits;
    layer.calibrated = node.ring_bits != 0;
    layer.ring_bits = layer.calibrated ? node.ring_bits : node.bounds.bits + 1;
    if (!node.shifts.empty()) {
      const auto [least, largest] = std::ranges::minmax(node.shifts);
      layer.least_shift = least;
      layer.largest_shift = largest;
    }
    double signal = 0, noise = 0;
    for (const Spread& spread : compare(place, index)) {
      signal += spread.signal;
      noise += spread.noise;
    }
    layer.signal_to_noise_db = noise > 0 && signal > 0 ? 10 * std::log10(signal / noise) : INFINITY;
    result_.layers.push_back(std::move(layer));
  }

  const IntegerNetwork& exact_;
  const RequantisationOptions& options_;
  const std::size_t count_;
  const std::vector<bool> feeds_sums_;                  // by exact node
  const std::vector<std::size_t> last_reader_;          // by exact node
  std::vector<Values> exact_values_;                    // by exact node
  std::vector<std::size_t> place_;                      // by exact node: the new node that stands for it
  std::vector<Values> values_;                          // by new node
  std::vector<Exponents> exponents_;                    // by new node
  std::map<std::size_t, std::size_t> signed_rescales_;  // by the new node they read
  RequantisedNetwork result_;
};

void check_bits(int bits) {
  constexpr int kLeast = 2, kMost = 16;
  if (bits < kLeast || bits > kMost) {
    throw UsageError("requantise.bits", "activations have " + std::to_string(kLeast) + " to " +
                                            std::to_string(kMost) + " bits, not " + std::to_string(bits));
  }
}

void check(const IntegerNetwork& exact, const RequantisationOptions& options) {
  check_bits(options.activation_bits);
  for (const auto& [layer, bits] : options.layers) {
    check_bits(bits);
    const auto found = exact.find(layer);
    if (!found || exact.nodes[*found].kind != NodeKind::relu) {
      throw UsageError("requantise.layer", "the network has no ReLU named \"" + layer + "\"");
    }
  }
  if (exact.is_requantised()) {
    throw UsageError("requantise.network", "the network '" + exact.name + "' is requantised already");
  }
}

}  // namespace

RequantisedNetwork requantise(const IntegerNetwork& exact, const std::vector<WideVector>& inputs,
                              const RequantisationOptions& options) {
  check(exact, options);
  if (inputs.empty()) throw UsageError("requantise.inputs", "no inputs to calibrate on");
  return Requantiser(exact, inputs, options).run();
}

}  // namespace popcorn::compress
