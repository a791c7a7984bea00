#include "compress/float_graph.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "base/error.h"

namespace popcorn::compress {

namespace {

[[noreturn]] void fail(const char* code, const FloatNode& node, const std::string& problem) {
  throw InputError(code,
                   "node \"" + node.name + "\" (" + std::string(to_string(node.kind)) + "): " + problem);
}

void expect_count(const FloatNode& node, const char* what, std::size_t found, std::int64_t expected) {
  if (static_cast<std::int64_t>(found) != expected) {
    fail("graph.parameters", node,
         std::string(what) + " has " + std::to_string(found) + " values, expected " +
             std::to_string(expected));
  }
}

std::size_t operands_expected(FloatKind kind) {
  if (kind == FloatKind::input) return 0;
  return kind == FloatKind::add ? 2 : 1;
}

void check_operands(const FloatNode& node, std::size_t index) {
  const std::size_t expected = operands_expected(node.kind);
  const bool right =
      node.kind == FloatKind::concat ? node.inputs.size() >= 2 : node.inputs.size() == expected;
  if (!right) fail("graph.operands", node, "has " + std::to_string(node.inputs.size()) + " operands");
  for (const std::size_t input : node.inputs) {
    if (input >= index) fail("graph.order", node, "reads a node that does not come before it");
  }
}

void check_size(const FloatNode& node) {
  const models::Shape& s = node.shape;
  const std::int64_t limit = models::Limits::kTensorSize;
  const bool fits = s.channels >= 1 && s.height >= 1 && s.width >= 1 && s.channels <= limit &&
                    s.height <= limit && s.width <= limit && s.channels <= limit / s.height &&
                    s.channels * s.height <= limit / s.width;
  if (!fits) fail("graph.shape", node, "its output has no valid size");
}

models::Shape conv2d_shape(const FloatNode& node, const models::Shape& input) {
  const auto outputs = static_cast<std::int64_t>(node.bias.size());
  if (node.groups < 1 || input.channels % node.groups != 0 || outputs % node.groups != 0) {
    fail("graph.groups", node, std::to_string(node.groups) + " groups do not divide its channels");
  }
  const models::Shape shape = window_output(input, node.window, outputs, node.name);
  const std::int64_t kernel = node.window.kernel_height * node.window.kernel_width;
  expect_count(node, "the weight tensor", node.weights.size(),
               outputs * (input.channels / node.groups) * kernel);
  return shape;
}

models::Shape infer(const FloatNode& node, const std::vector<FloatNode>& nodes) {
  const models::Shape& input = nodes[node.inputs.front()].shape;
  switch (node.kind) {
    case FloatKind::conv2d:
      return conv2d_shape(node, input);
    case FloatKind::dense: {
      const auto outputs = static_cast<std::int64_t>(node.bias.size());
      if (input.height != 1 || input.width != 1) fail("graph.shape", node, "its operand must be a vector");
      expect_count(node, "the weight tensor", node.weights.size(), outputs * input.channels);
      return {outputs, 1, 1};
    }
    case FloatKind::batch_norm:
      expect_count(node, "mean", node.mean.size(), input.channels);
      expect_count(node, "variance", node.variance.size(), input.channels);
      [[fallthrough]];
    case FloatKind::affine:
      expect_count(node, "gamma", node.gamma.size(), input.channels);
      expect_count(node, "beta", node.beta.size(), input.channels);
      return input;
    case FloatKind::max_pool2d:
    case FloatKind::average_pool2d:
      return window_output(input, node.window, input.channels, node.name);
    case FloatKind::add:
      if (!(nodes[node.inputs[1]].shape == input)) {
        fail("graph.shape", node,
             "adds " + input.to_string() + " and " + nodes[node.inputs[1]].shape.to_string());
      }
      return input;
    case FloatKind::concat: {
      models::Shape sum = input;
      for (std::size_t k = 1; k < node.inputs.size(); ++k) {
        const models::Shape& other = nodes[node.inputs[k]].shape;
        if (other.height != input.height || other.width != input.width) {
          fail("graph.shape", node, "joins " + input.to_string() + " and " + other.to_string());
        }
        sum.channels += other.channels;
      }
      return sum;
    }
    case FloatKind::flatten:
      return {input.size(), 1, 1};
    case FloatKind::input:
    case FloatKind::relu:
    case FloatKind::clip:
    case FloatKind::sign:
      return input;
  }
  return input;
}

void check_parameters(const FloatNode& node) {
  if (!node.mask.empty() && node.mask.size() != node.weights.size()) {
    fail("graph.parameters", node, "its mask does not match its weights");
  }
  for (const std::vector<float>* values :
       {&node.weights, &node.bias, &node.gamma, &node.beta, &node.mean, &node.variance}) {
    if (!std::all_of(values->begin(), values->end(), [](float v) { return std::isfinite(v); })) {
      fail("graph.not_finite", node, "a parameter is infinite or not a number");
    }
  }
  if (node.kind == FloatKind::batch_norm && !std::all_of(node.variance.begin(), node.variance.end(),
                                                         [&](float v) { return v + node.epsilon > 0; })) {
    fail("graph.parameters", node, "a variance is negative");
  }
}

}  // namespace

std::string_view to_string(FloatKind kind) {
  switch (kind) {
    case FloatKind::input:
      return "input";
    case FloatKind::conv2d:
      return "conv2d";
    case FloatKind::dense:
      return "dense";
    case FloatKind::batch_norm:
      return "batch_norm";
    case FloatKind::affine:
      return "affine";
    case FloatKind::relu:
      return "relu";
    case FloatKind::clip:
      return "clip";
    case FloatKind::sign:
      return "sign";
    case FloatKind::max_pool2d:
      return "max_pool2d";
    case FloatKind::average_pool2d:
      return "average_pool2d";
    case FloatKind::add:
      return "add";
    case FloatKind::concat:
      return "concat";
    case FloatKind::flatten:
      return "flatten";
  }
  return "unknown";
}

std::int32_t WeightGrid::nearest(float weight) const {
  if (codebook.empty()) {
    const auto limit = static_cast<float>(levels);
    return static_cast<std::int32_t>(std::lround(std::clamp(weight, -limit, limit)));
  }
  const auto above = std::lower_bound(codebook.begin(), codebook.end(), weight,
                                      [](std::int32_t c, float w) { return static_cast<float>(c) < w; });
  if (above == codebook.begin()) return codebook.front();
  if (above == codebook.end()) return codebook.back();
  const std::int32_t below = *(above - 1);
  return weight - static_cast<float>(below) <= static_cast<float>(*above) - weight ? below : *above;
}

float FloatNode::effective_weight(std::size_t i) const {
  if (!mask.empty() && mask[i] == 0) return 0;
  return grid.active() ? static_cast<float>(grid.nearest(weights[i])) : weights[i];
}

std::uint64_t FloatNode::kept() const {
  if (mask.empty()) return weights.size();
  return static_cast<std::uint64_t>(
      std::count_if(mask.begin(), mask.end(), [](std::uint8_t m) { return m != 0; }));
}

std::vector<std::vector<std::size_t>> FloatGraph::readers() const {
  std::vector<std::vector<std::size_t>> result(nodes.size());
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    for (const std::size_t input : nodes[i].inputs) result[input].push_back(i);
  }
  return result;
}

std::uint64_t FloatGraph::weights() const {
  std::uint64_t sum = 0;
  for (const FloatNode& node : nodes) sum += node.weights.size();
  return sum;
}

std::uint64_t FloatGraph::kept() const {
  std::uint64_t sum = 0;
  for (const FloatNode& node : nodes) sum += node.kept();
  return sum;
}

std::uint64_t FloatGraph::parameters() const {
  std::uint64_t sum = 0;
  for (const FloatNode& node : nodes) {
    sum += node.weights.size() + node.bias.size() + node.gamma.size() + node.beta.size();
  }
  return sum;
}

void FloatGraph::finish() {
  if (nodes.empty() || nodes.front().kind != FloatKind::input) {
    throw InputError("graph.empty", "the network has no input node");
  }
  if (nodes.size() > models::Limits::kNodes) {
    throw InputError("graph.too_large",
                     "the network has more than " + std::to_string(models::Limits::kNodes) + " nodes");
  }
  std::set<std::string> names;
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    FloatNode& node = nodes[i];
    if (node.name.empty() || !names.insert(node.name).second) {
      throw InputError("graph.name", "the node name \"" + node.name + "\" is empty or used twice");
    }
    if (i > 0 && node.kind == FloatKind::input) fail("graph.input", node, "only one input is supported");
    check_operands(node, i);
    check_parameters(node);
    if (i > 0) node.shape = infer(node, nodes);
    check_size(node);
  }
  const auto channels = static_cast<std::size_t>(input().shape.channels);
  if (mean.size() != channels || deviation.size() != channels) {
    throw InputError("graph.normalisation", "the input has " + std::to_string(channels) + " channels but " +
                                                std::to_string(mean.size()) + " means and " +
                                                std::to_string(deviation.size()) + " deviations are given");
  }
  if (!std::all_of(deviation.begin(), deviation.end(), [](double d) { return d > 0; })) {
    throw InputError("graph.normalisation", "the deviations of the input must be positive");
  }
}

models::Shape window_output(const models::Shape& input, const models::Window& w, std::int64_t channels,
                            std::string_view node) {
  constexpr std::int64_t kLimit = std::int64_t{1} << 20;
  for (const std::int64_t value : {w.kernel_height, w.kernel_width, w.stride_height, w.stride_width,
                                   w.dilation_height, w.dilation_width}) {
    if (value < 1 || value > kLimit) {
      throw InputError("graph.window", "node \"" + std::string(node) + "\": its window has a size of " +
                                           std::to_string(value));
    }
  }
  for (const std::int64_t value : {w.pad_top, w.pad_bottom, w.pad_left, w.pad_right}) {
    if (value < 0 || value > kLimit) {
      throw InputError("graph.window",
                       "node \"" + std::string(node) + "\": its padding is " + std::to_string(value));
    }
  }
  const std::int64_t height =
      input.height + w.pad_top + w.pad_bottom - w.dilation_height * (w.kernel_height - 1) - 1;
  const std::int64_t width =
      input.width + w.pad_left + w.pad_right - w.dilation_width * (w.kernel_width - 1) - 1;
  if (height < 0 || width < 0) {
    throw InputError("graph.shape",
                     "node \"" + std::string(node) + "\": its window does not fit into " + input.to_string());
  }
  return {channels, height / w.stride_height + 1, width / w.stride_width + 1};
}

}  // namespace popcorn::compress
