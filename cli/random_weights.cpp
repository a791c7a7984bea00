#include "cli/random_weights.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <random>
#include <span>
#include <utility>

#include "base/error.h"
#include "models/network/graph_rewrites.h"

namespace popcorn::cli {

namespace {

using Kind = models::ZooLayer::Kind;
using models::Node;
using models::NodeKind;

constexpr unsigned kSyntheticBits = 5;
constexpr std::uint64_t kSyntheticSeed = 20210705;

/// The same numbers on every machine; for weights that nobody trained, not for secrets.
class RepeatableRng final : public Rng {
 public:
  void fill(std::span<std::uint8_t> out) override {
    for (std::size_t i = 0; i < out.size(); i += sizeof(std::uint64_t)) {
      std::uint64_t word = engine_();
      for (std::size_t k = i; k < std::min(out.size(), i + sizeof word); ++k, word >>= 8) {
        out[k] = static_cast<std::uint8_t>(word);
      }
    }
  }

 private:
  std::mt19937_64 engine_{kSyntheticSeed};
};

double density_of(const RandomWeights& weights, const std::string& layer) {
  double result = weights.density;
  for (const auto& [name, density] : weights.layers) {
    if (name == layer) return density;
    if (name == "*") result = density;
  }
  return result;
}

std::int32_t random_weight(const RandomWeights& weights, double density, Rng& rng) {
  constexpr double kResolution = 1e6;
  if (static_cast<double>(rng.below(static_cast<std::uint64_t>(kResolution))) >=
      std::round(density * kResolution)) {
    return 0;
  }
  const std::uint64_t magnitudes = weights.bits < 2 ? 1 : (std::uint64_t{1} << (weights.bits - 1)) - 1;
  const auto magnitude = static_cast<std::int32_t>(1 + rng.below(magnitudes));
  return rng.below(2) == 0 ? magnitude : -magnitude;
}

[[noreturn]] void refuse_variation(const std::string& reason) {
  throw UsageError("zoo.variation",
                   reason +
                       "; a network of the zoo may be followed by ,density=D (0 to 1), ,size=S "
                       "(4 to 4096) and ,repeat=K (1 to 64)");
}

/// A number in [low, high] and nothing after it.
double variation_number(const std::string& text, double low, double high) {
  const char* const end = text.data() + text.size();
  double value = 0;
  const auto [stopped, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc{} || stopped != end || !(value >= low && value <= high)) {
    refuse_variation("\"" + text + "\" is not a number that fits there");
  }
  return value;
}

double whole_variation(const std::string& text, double low, double high) {
  const double value = variation_number(text, low, high);
  if (value != std::floor(value)) refuse_variation("\"" + text + "\" is not a whole number");
  return value;
}

bool is_activation(const models::ZooLayer& layer) {
  return layer.kind == Kind::batch_norm || layer.kind == Kind::relu || layer.kind == Kind::sign;
}

/// Every convolution that keeps its shape, with what follows it up to its activation, `times` times.
void repeat_layers(models::ZooNetwork& network, unsigned times) {
  std::vector<models::ZooLayer> layers;
  models::Shape shape = network.encoding.shape;
  for (std::size_t i = 0; i < network.layers.size();) {
    std::size_t end = i + 1;
    while (end < network.layers.size() && is_activation(network.layers[end])) ++end;
    const models::Shape after = models::output_shape(network.layers[i], {shape});
    const bool again = network.layers[i].kind == Kind::conv2d && after == shape;
    for (unsigned k = 0; k < (again ? times : 1); ++k) {
      for (std::size_t part = i; part < end; ++part) {
        models::ZooLayer layer = network.layers[part];
        if (!layer.inputs.empty())
          refuse_variation(network.name + " is no chain, whose layers could be repeated");
        if (k > 0) layer.name += "." + std::to_string(k + 1);
        layers.push_back(std::move(layer));
      }
    }
    shape = after;
    i = end;
  }
  network.layers = std::move(layers);
}

NodeKind node_kind(Kind kind) {
  switch (kind) {
    case Kind::conv2d:
      return NodeKind::conv2d;
    case Kind::dense:
      return NodeKind::dense;
    case Kind::max_pool2d:
      return NodeKind::max_pool2d;
    case Kind::average_pool2d:
      return NodeKind::sum_pool2d;
    case Kind::relu:
      return NodeKind::relu;
    case Kind::sign:
      return NodeKind::sign;
    case Kind::add:
      return NodeKind::add;
    case Kind::concat:
      return NodeKind::concat;
    case Kind::flatten:
    case Kind::batch_norm:
      break;
  }
  return NodeKind::flatten;
}

}  // namespace

models::IntegerNetwork with_random_weights(const models::ZooNetwork& zoo, const RandomWeights& weights,
                                           Rng& rng) {
  models::IntegerNetwork network;
  network.name = zoo.name;
  network.description = zoo.description + "; random weights";
  network.encoding = zoo.encoding;
  network.labels = zoo.labels;
  const auto append = [&](NodeKind kind, const std::string& name, std::vector<std::size_t> inputs,
                          models::Shape shape) -> Node& {
    Node node;
    node.kind = kind;
    node.name = name;
    node.inputs = std::move(inputs);
    node.shape = shape;
    return network.nodes.emplace_back(std::move(node));
  };
  append(NodeKind::input, "input", {}, zoo.encoding.shape);
  std::map<std::string, std::size_t> node_of;  // of each layer
  std::size_t last = 0;
  for (const models::ZooLayer& layer : zoo.layers) {
    std::vector<std::size_t> inputs;
    for (const std::string& name : layer.inputs) inputs.push_back(node_of.at(name));
    if (inputs.empty()) inputs.push_back(last);
    last = layer.kind == Kind::batch_norm ? inputs.front() : network.nodes.size();
    node_of[layer.name] = last;
    if (layer.kind == Kind::batch_norm) continue;
    std::vector<models::Shape> operands;
    for (const std::size_t operand : inputs) operands.push_back(network.nodes[operand].shape);
    const models::Shape input = operands.front();
    Node& node =
        append(node_kind(layer.kind), layer.name, std::move(inputs), models::output_shape(layer, operands));
    node.window = layer.window;
    node.groups = layer.groups;
    std::int64_t count = 0;
    if (layer.kind == Kind::dense) count = input.size() * layer.outputs;
    if (layer.kind == Kind::conv2d) {
      count = layer.outputs * (input.channels / layer.groups) * layer.window.kernel_height *
              layer.window.kernel_width;
    }
    const double density = density_of(weights, layer.name);
    node.weights.reserve(static_cast<std::size_t>(count));
    for (std::int64_t i = 0; i < count; ++i) node.weights.push_back(random_weight(weights, density, rng));
  }
  append(NodeKind::output, "output", {last}, network.nodes[last].shape);
  network.finish();
  return network;
}

models::ZooNetwork zoo_variation(const std::string& text) {
  constexpr double kLargestSide = 4096;
  constexpr double kMostRepetitions = 64;
  constexpr double kPerCent = 100;
  std::size_t at = std::min(text.find(','), text.size());
  models::ZooNetwork network = models::zoo_network(text.substr(0, at));
  unsigned times = 1;
  while (at < text.size()) {
    const std::size_t end = std::min(text.find(',', at + 1), text.size());
    const std::string part = text.substr(at + 1, end - at - 1);
    at = end;
    const std::size_t equals = std::min(part.find('='), part.size());
    const std::string name = part.substr(0, equals);
    const std::string value = equals < part.size() ? part.substr(equals + 1) : "";
    if (name == "density") {
      const double density = variation_number(value, 0, 1);
      network.densities = {{"*", density}};
      network.density_source = "one share for all layers, as asked for";
      network.name += "-" + std::to_string(std::lround(density * kPerCent)) + "percent";
    } else if (name == "size") {
      const auto side = static_cast<std::int64_t>(whole_variation(value, 4, kLargestSide));
      network.encoding.shape.height = network.encoding.shape.width = side;
      if (network.encoding.resize_shorter_side > 0) network.encoding.resize_shorter_side = side;
      network.name += "-" + std::to_string(side) + "px";
    } else if (name == "repeat") {
      times = static_cast<unsigned>(whole_variation(value, 1, kMostRepetitions));
      network.name += "-x" + std::to_string(times);
    } else {
      refuse_variation("\"" + part + "\" is no variation");
    }
  }
  if (times > 1) repeat_layers(network, times);
  return network;
}

models::IntegerNetwork synthetic_network(const models::ZooNetwork& zoo) {
  RepeatableRng rng;
  models::IntegerNetwork network = with_random_weights(zoo, {kSyntheticBits, 1.0, zoo.densities}, rng);
  network.name = zoo.name + "-synthetic";
  network.description = "SYNTHETIC weights, for cost and speed only: " + zoo.description;
  const std::string source = zoo.density_source.empty() ? "none: every weight is kept" : zoo.density_source;
  network.facts = {{"weights", "synthetic: random, not trained; predictions mean nothing"},
                   {"densities", source}};
  models::optimise(network);
  return network;
}

}  // namespace popcorn::cli
