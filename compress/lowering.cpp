#include "compress/lowering.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>

#include "base/error.h"
#include "models/network/graph_rewrites.h"

namespace popcorn::compress {

namespace {

constexpr int kBiasMantissaBits = 62;
/// Multipliers that align scales are exact to this relative error; float training noise is far above.
constexpr double kAlignment = 1e-4;
constexpr std::int64_t kLargestDenominator = 1 << 12;

[[noreturn]] void fail(const char* code, const FloatNode& node, const std::string& problem) {
  throw InputError(code,
                   "node \"" + node.name + "\" (" + std::string(to_string(node.kind)) + "): " + problem);
}

/// round(value) for values of any size, as an integer of `limbs` words.
void set_rounded(WideVector& vector, std::size_t index, double value) {
  if (std::abs(value) < 0x1p62) {
    vector.set_int64(index, std::llround(value));
    return;
  }
  int exponent = 0;
  const double mantissa = std::frexp(value, &exponent);
  const auto leading = static_cast<std::int64_t>(std::ldexp(mantissa, kBiasMantissaBits));
  const auto shift = static_cast<std::size_t>(exponent - kBiasMantissaBits);
  vector.set_int64(index, leading);
  const std::span<std::uint64_t> words = vector[index];
  for (std::size_t done = 0; done < shift;) {  // shift left in steps of at most 63 bits
    const std::size_t step = std::min<std::size_t>(63, shift - done);
    for (std::size_t k = words.size(); k-- > 0;) {
      words[k] = (words[k] << step) | (k > 0 ? words[k - 1] >> (64 - step) : 0);
    }
    done += step;
  }
}

WideVector rounded(const std::vector<double>& values) {
  double largest = 0;
  for (const double v : values) largest = std::max(largest, std::abs(v));
  int exponent = 0;
  std::frexp(largest, &exponent);
  WideVector result(values.size(),
                    WideVector::limbs_for_bits(static_cast<std::size_t>(std::max(exponent, 1)) + 1));
  for (std::size_t i = 0; i < values.size(); ++i) set_rounded(result, i, values[i]);
  return result;
}

/// The fraction p/q closest to a ratio >= 1 with the smallest q that is good enough: continued fractions.
std::pair<std::int64_t, std::int64_t> fraction(double ratio) {
  std::int64_t p0 = 0, q0 = 1, p1 = 1, q1 = 0;
  double rest = ratio;
  for (int k = 0; k < 32; ++k) {
    const auto digit = static_cast<std::int64_t>(std::floor(rest));
    const std::int64_t p = digit * p1 + p0, q = digit * q1 + q0;
    if (q > kLargestDenominator) break;
    p0 = p1, q0 = q1, p1 = p, q1 = q;
    if (std::abs(static_cast<double>(p) / static_cast<double>(q) - ratio) <= kAlignment * ratio) break;
    rest = 1 / (rest - static_cast<double>(digit));
  }
  return {p1, q1};
}

class Lowering {
 public:
  explicit Lowering(const FloatGraph& graph) : graph_(graph), readers_(graph.readers()) {}

  models::IntegerNetwork run() {
    network_.name = graph_.name;
    network_.description = graph_.description;
    network_.labels = graph_.labels;
    network_.softmax = graph_.softmax;
    encode_input();
    made_.resize(graph_.nodes.size());
    unit_.resize(graph_.nodes.size());
    unit_[0] = 1 / (255 * graph_.deviation.front());
    network_.nodes[0].scale = {unit_[0]};
    for (std::size_t i = 1; i < graph_.nodes.size(); ++i) visit(i);
    models::Node output;
    output.kind = models::NodeKind::output;
    output.name = free_name("output");
    output.inputs = {made_.back()};
    output.scale = {unit_.back()};
    if (!graph_.class_scale.empty()) {
      output.scale.clear();
      for (const float factor : graph_.class_scale)
        output.scale.push_back(unit_.back() * static_cast<double>(factor));
    }
    network_.nodes.push_back(output);
    network_.finish();
    models::optimise(network_);
    return std::move(network_);
  }

 private:
  void encode_input() {
    network_.encoding = graph_.encoding;
    network_.encoding.shape = graph_.input().shape;
    network_.encoding.offset.clear();
    for (std::size_t c = 0; c < graph_.mean.size(); ++c) {
      const double pixel = 255 * graph_.mean[c];
      if (std::abs(pixel - std::round(pixel)) > 1e-6 || graph_.deviation[c] != graph_.deviation[0]) {
        fail("lowering.input", graph_.input(), "its normalisation was not quantised");
      }
      network_.encoding.offset.push_back(std::llround(pixel));
    }
    const auto [low, high] =
        std::minmax_element(network_.encoding.offset.begin(), network_.encoding.offset.end());
    network_.encoding.low = -*high;
    network_.encoding.high = 255 - *low;
    const auto& offsets = network_.encoding.offset;
    if (std::all_of(offsets.begin(), offsets.end(), [&](std::int64_t o) { return o == offsets.front(); })) {
      network_.encoding.offset = {offsets.front()};
    }
    models::Node input;
    input.kind = models::NodeKind::input;
    input.name = graph_.input().name;
    input.shape = graph_.input().shape;
    network_.nodes.push_back(input);
  }

  models::Node start(models::NodeKind kind, const FloatNode& node) const {
    models::Node result;
    result.kind = kind;
    result.name = node.name;
    for (const std::size_t input : node.inputs) result.inputs.push_back(made_[input]);
    return result;
  }

  std::size_t emit(models::Node node, double unit) {
    node.scale = {unit};
    network_.nodes.push_back(std::move(node));
    return network_.nodes.size() - 1;
  }

  void visit(std::size_t index) {
    const FloatNode& node = graph_.nodes[index];
    double unit = unit_[node.inputs.front()];
    switch (node.kind) {
      case FloatKind::conv2d:
      case FloatKind::dense:
        made_[index] = layer(node, unit);
        unit *= node.gain;
        break;
      case FloatKind::relu:
        made_[index] = relu(node, node.name, unit);
        break;
      case FloatKind::clip:
        made_[index] = clip(node, unit);
        break;
      case FloatKind::sign:
        unit = 1;
        made_[index] = emit(start(models::NodeKind::sign, node), unit);
        break;
      case FloatKind::max_pool2d:
      case FloatKind::average_pool2d: {
        const bool average = node.kind == FloatKind::average_pool2d;
        models::Node pool =
            start(average ? models::NodeKind::sum_pool2d : models::NodeKind::max_pool2d, node);
        pool.window = node.window;
        if (average) unit /= static_cast<double>(node.window.kernel_height * node.window.kernel_width);
        made_[index] = emit(std::move(pool), unit);
        break;
      }
      case FloatKind::add:
      case FloatKind::concat:
        made_[index] = aligned(node, unit);
        break;
      case FloatKind::flatten:
        made_[index] = emit(start(models::NodeKind::flatten, node), unit);
        break;
      default:
        fail("lowering.kind", node, "has no integer form");
    }
    unit_[index] = unit;
  }

  std::size_t layer(const FloatNode& node, double input_unit) {
    if (!node.grid.active()) fail("lowering.grid", node, "its weights are not quantised");
    models::Node result =
        start(node.kind == FloatKind::dense ? models::NodeKind::dense : models::NodeKind::conv2d, node);
    result.window = node.window;
    result.groups = node.groups;
    result.weights.resize(node.weights.size());
    for (std::size_t i = 0; i < node.weights.size(); ++i) {
      result.weights[i] = static_cast<std::int32_t>(node.effective_weight(i));
    }
    std::vector<double> bias(node.bias.size());
    const bool threshold = only_sign_counts(static_cast<std::size_t>(&node - graph_.nodes.data()));
    for (std::size_t o = 0; o < bias.size(); ++o) {
      bias[o] = static_cast<double>(node.bias[o]) / input_unit;
      if (threshold) bias[o] = std::floor(bias[o]);
    }
    result.bias = rounded(bias);
    return emit(std::move(result), input_unit * node.gain);
  }

  bool only_sign_counts(std::size_t index) const {
    if (readers_[index].empty()) return false;
    return std::all_of(readers_[index].begin(), readers_[index].end(), [&](std::size_t reader) {
      const FloatKind kind = graph_.nodes[reader].kind;
      return kind == FloatKind::sign ||
             ((kind == FloatKind::max_pool2d || kind == FloatKind::flatten) && only_sign_counts(reader));
    });
  }

  /// With or without a rounding, which changes the unit. @param node a ReLU or a clip
  std::size_t relu(const FloatNode& node, const std::string& name, double& unit) {
    models::Node result =
        start(node.steps.empty() ? models::NodeKind::relu : models::NodeKind::rescale, node);
    result.name = name;
    if (node.steps.empty()) return emit(std::move(result), unit);
    result.rectify = true;
    for (const float step : node.steps) {
      const double digits = std::log2(static_cast<double>(step) / unit);
      if (std::abs(digits - std::round(digits)) > kAlignment || digits < -kAlignment)
        fail("lowering.step", node, "its step is no power of two of its operand's unit");
      result.shifts.push_back(std::llround(digits));
    }
    if (std::ranges::adjacent_find(result.shifts, std::not_equal_to<>()) == result.shifts.end())
      result.shifts.resize(1);
    unit = node.gain;
    return emit(std::move(result), unit);
  }

  std::size_t clip(const FloatNode& node, double& unit) {
    const FloatNode& producer = graph_.nodes[node.inputs.front()];
    std::vector<double> limit;
    for (std::size_t c = 0; c < static_cast<std::size_t>(producer.shape.channels); ++c) {
      const double step = node.steps.empty() ? unit : static_cast<double>(node.steps[c]);
      limit.push_back(static_cast<double>(node.gamma.empty() ? node.upper : node.gamma[c]) / step);
    }
    const std::size_t below = relu(node, free_name(node.name + ".relu"), unit);
    const auto from_limit = [&](std::size_t input,
                                const std::string& name) {  // limit − x, channel by channel
      models::Node result;
      result.kind = models::NodeKind::conv2d;
      result.name = name;
      result.inputs = {input};
      result.groups = producer.shape.channels;
      result.weights.assign(static_cast<std::size_t>(producer.shape.channels), -1);
      result.bias = rounded(limit);
      return emit(std::move(result), unit);
    };
    models::Node rest;
    rest.kind = models::NodeKind::relu;
    rest.name = free_name(node.name + ".over");
    rest.inputs = {from_limit(below, free_name(node.name + ".rest"))};
    return from_limit(emit(std::move(rest), unit), node.name);
  }

  /// Sums and joins: the unit of the result divides each operand's unit, the quotients are the multipliers.
  std::size_t aligned(const FloatNode& node, double& unit) {
    models::Node result =
        start(node.kind == FloatKind::add ? models::NodeKind::add : models::NodeKind::concat, node);
    double smallest = unit;
    for (const std::size_t input : node.inputs) smallest = std::min(smallest, unit_[input]);
    std::int64_t denominator = 1;
    for (const std::size_t input : node.inputs) {
      const std::int64_t own = fraction(unit_[input] / smallest).second;
      denominator = std::min(kLargestDenominator, denominator / std::gcd(denominator, own) * own);
    }
    unit = smallest / static_cast<double>(denominator);
    for (const std::size_t input : node.inputs) {
      const double quotient = unit_[input] / unit;
      if (!(quotient < 0x1p62)) fail("lowering.scale", node, "the scales of its operands are too far apart");
      result.multipliers.push_back(std::max<std::int64_t>(1, std::llround(quotient)));
    }
    return emit(std::move(result), unit);
  }

  std::string free_name(const std::string& wanted) const {
    std::string name = wanted;
    const auto taken = [&] {
      return std::any_of(graph_.nodes.begin(), graph_.nodes.end(),
                         [&](const FloatNode& n) { return n.name == name; }) ||
             network_.find(name).has_value();
    };
    for (int k = 2; taken(); ++k) name = wanted + "_" + std::to_string(k);
    return name;
  }

  const FloatGraph& graph_;
  std::vector<std::vector<std::size_t>> readers_;
  models::IntegerNetwork network_;
  std::vector<std::size_t> made_;  // float node → integer node
  std::vector<double> unit_;       // float node → real value of one integer
};

}  // namespace

models::IntegerNetwork lower(const FloatGraph& graph) {
  return Lowering(graph).run();
}

}  // namespace popcorn::compress
