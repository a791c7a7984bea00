#include "protocols/shares/share_facts.h"

#include <algorithm>
#include <limits>
#include <string>

#include "base/error.h"
#include "base/json.h"
#include "models/network/sliding_window.h"
#include "protocols/shares/share_dry_run.h"

namespace popcorn::protocols::shares {

namespace {

using models::NodeKind;

constexpr const char* kCode = "bundle.shares";
constexpr const char* kWhat = "client bundle: \"shares\"";
constexpr std::size_t kMostFlights = 1 << 16;
constexpr std::int64_t kMostFlightBytes = std::int64_t{1} << 34;
constexpr std::int64_t kMostValues = std::int64_t{1} << 27;  // of all tensors
constexpr std::int64_t kMostPooled = std::int64_t{1} << 24;  // places of all windows of a channel
constexpr std::int64_t kMostMultiplier = std::int64_t{1} << 20;

[[noreturn]] void fail(const ShareNode& node, const std::string& problem) {
  throw InputError(kCode, std::string(kWhat) + ": node '" + printable(node.name) + "' " + problem);
}

NodeKind kind_of(const std::string& text) {
  for (int kind = 0; kind <= static_cast<int>(NodeKind::output); ++kind) {
    if (models::to_string(static_cast<NodeKind>(kind)) == text) return static_cast<NodeKind>(kind);
  }
  throw InputError(kCode, std::string(kWhat) + ": there is no node kind '" + printable(text) + "'");
}

std::vector<std::int64_t> window_numbers(const models::Window& w) {
  return {w.kernel_height, w.kernel_width, w.stride_height, w.stride_width,    w.pad_top,
          w.pad_left,      w.pad_bottom,   w.pad_right,     w.dilation_height, w.dilation_width};
}

models::Window window_of(const std::vector<std::int64_t>& n) {
  return {n[0], n[1], n[2], n[3], n[4], n[5], n[6], n[7], n[8], n[9]};
}

bool has_window(NodeKind kind) {
  return kind == NodeKind::conv2d || kind == NodeKind::sum_pool2d || kind == NodeKind::max_pool2d;
}

Json node_to_json(const ShareNode& node) {
  Json json = {{"kind", models::to_string(node.kind)},
               {"name", node.name},
               {"inputs", node.inputs},
               {"shape", {node.shape.channels, node.shape.height, node.shape.width}},
               {"ring", node.ring},
               {"step_ring", node.step_ring},
               {"non_negative", node.non_negative}};
  if (has_window(node.kind)) json["window"] = window_numbers(node.window);
  if (!node.multipliers.empty()) json["multipliers"] = node.multipliers;
  if (!node.shifts.empty()) json["shifts"] = node.shifts;
  if (node.kind == NodeKind::rescale && node.kept < kMostShareBits) json["kept"] = node.kept;
  if (node.rectify) json["rectify"] = true;
  if (node.mirrors) json["mirrors"] = true;
  return json;
}

bool flag(const JsonFields& fields, std::string_view name) {
  if (!fields.has(name)) return false;
  if (!fields.at(name).is_boolean()) fields.fail(name, "true or false");
  return fields.at(name).get<bool>();
}

ShareNode node_from_json(const Json& json, std::size_t index) {
  using Limits = models::Limits;
  const JsonFields fields(json, kWhat, kCode, {"kind", "name", "inputs", "shape", "ring", "step_ring"},
                          {"non_negative", "window", "multipliers", "shifts", "kept", "rectify", "mirrors"});
  ShareNode node;
  node.kind = kind_of(fields.text("kind"));
  node.name = printable(fields.text("name"));
  const auto last = static_cast<std::int64_t>(index) - 1;
  for (const std::int64_t input :
       fields.integers("inputs", 0, Limits::kOperands, 0, std::max<std::int64_t>(last, 0)))
    node.inputs.push_back(static_cast<std::size_t>(input));
  const auto shape = fields.integers("shape", 3, 3, 1, Limits::kChannels);
  node.shape = {shape[0], shape[1], shape[2]};
  if (shape[1] > Limits::kExtent || shape[2] > Limits::kExtent ||
      shape[0] > Limits::kTensorSize / (shape[1] * shape[2])) {
    fail(node, "is too large");
  }
  node.ring = static_cast<unsigned>(fields.integer("ring", 1, kMostShareBits));
  node.step_ring = static_cast<unsigned>(fields.integer("step_ring", 0, kMostShareBits));
  if (fields.has("kept")) node.kept = static_cast<unsigned>(fields.integer("kept", 2, kMostShareBits));
  node.non_negative = flag(fields, "non_negative");
  node.rectify = flag(fields, "rectify");
  node.mirrors = flag(fields, "mirrors");
  if (fields.has("window")) {
    const auto numbers = fields.integers("window", 10, 10, 0, Limits::kExtent);
    node.window = window_of(numbers);
    const bool positive = numbers[0] > 0 && numbers[1] > 0 && numbers[2] > 0 && numbers[3] > 0 &&
                          numbers[8] > 0 && numbers[9] > 0;
    if (!positive) fail(node, "has a window without extent");
    if (numbers[0] * numbers[1] > WeightedLayer::kMostTaps) fail(node, "has a window of too many places");
  }
  if (fields.has("multipliers"))
    node.multipliers = fields.integers("multipliers", 1, Limits::kOperands, 1, kMostMultiplier);
  if (fields.has("shifts")) {
    node.shifts =
        fields.integers("shifts", 1, static_cast<std::size_t>(node.shape.channels), 0, kMostShareBits);
  }
  return node;
}

/// Every window has a maximum, and all of them together can be listed.
void check_pool(const ShareNode& node, const models::Shape& in) {
  const models::Window& w = node.window;
  if (w.kernel_height * w.kernel_width > kMostPooled / (node.shape.height * node.shape.width))
    fail(node, "has too many windows of too many places");
  const models::Axis rows = models::vertical_axis(w, in, node.shape);
  const models::Axis columns = models::horizontal_axis(w, in, node.shape);
  if (rows.taps_inside().begin == 0 || columns.taps_inside().begin == 0)
    fail(node, "has a window that lies wholly in the padding");
}

void check_window(const ShareNode& node, const models::Shape& in) {
  const models::Window& w = node.window;
  const std::int64_t height = models::window_outputs(in.height, w.kernel_height, w.stride_height, w.pad_top,
                                                     w.pad_bottom, w.dilation_height);
  const std::int64_t width = models::window_outputs(in.width, w.kernel_width, w.stride_width, w.pad_left,
                                                    w.pad_right, w.dilation_width);
  const bool fits = node.shape.height == height && node.shape.width == width &&
                    (node.kind == NodeKind::conv2d || node.shape.channels == in.channels);
  if (!fits) fail(node, "has a shape that its window does not give");
  if (node.kind == NodeKind::max_pool2d) check_pool(node, in);
}

void check_operands(const std::vector<ShareNode>& nodes, const ShareNode& node) {
  std::int64_t channels = 0;
  if (node.multipliers.size() != node.inputs.size()) fail(node, "needs a multiplier for each operand");
  for (const std::size_t input : node.inputs) {
    const models::Shape& shape = nodes[input].shape;
    channels += shape.channels;
    if (shape.height != node.shape.height || shape.width != node.shape.width ||
        (node.kind == NodeKind::add && shape.channels != node.shape.channels)) {
      fail(node, "has operands of other shapes");
    }
  }
  if (node.kind == NodeKind::concat && channels != node.shape.channels) {
    fail(node, "has operands of other shapes");
  }
}

void check_node(const std::vector<ShareNode>& nodes, std::size_t index) {
  const ShareNode& node = nodes[index];
  if (node.kind == NodeKind::input) {
    if (index != 0 || !node.inputs.empty()) fail(node, "must be the first and read nothing");
    return;
  }
  if (index == 0 || node.inputs.empty()) fail(node, "must be an input, or read one");
  const models::Shape& in = nodes[node.inputs.front()].shape;
  const bool many = node.kind == NodeKind::add || node.kind == NodeKind::concat;
  if (!many && node.inputs.size() != 1) fail(node, "reads one tensor");
  const bool steps = node.kind == NodeKind::rescale || node.kind == NodeKind::relu ||
                     node.kind == NodeKind::sign || node.kind == NodeKind::max_pool2d;
  if (steps && node.step_ring < 2) fail(node, "needs a ring of its step");
  if (node.kind == NodeKind::rescale ? node.shifts.empty() : !node.shifts.empty()) {
    fail(node, "has shifts where none belong, or none");
  }
  const std::int64_t most_shift = std::int64_t{node.step_ring} - 2;  // what is left has a sign and a digit
  if (std::ranges::any_of(node.shifts, [&](std::int64_t shift) { return shift > most_shift; }))
    fail(node, "drops more digits than its ring has");
  if (node.shifts.size() > 1 && node.shifts.size() != static_cast<std::size_t>(node.shape.channels)) {
    fail(node, "needs one shift, or one a channel");
  }
  if (node.mirrors && (node.kind != NodeKind::conv2d || !(node.shape == in))) {
    fail(node, "negates, and has another shape than what it reads");
  }
  if (has_window(node.kind)) return check_window(node, in);
  if (many) return check_operands(nodes, node);
  if (node.kind == NodeKind::flatten ? node.size() != static_cast<std::size_t>(in.size())
                                     : node.kind != NodeKind::dense && !(node.shape == in)) {
    fail(node, "has another shape than what it reads");
  }
}

void check_network(const std::vector<ShareNode>& nodes) {
  std::vector<bool> read(nodes.size(), false);
  std::int64_t values = 0;
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    check_node(nodes, i);
    values += nodes[i].shape.size();
    if (values > kMostValues) fail(nodes[i], "makes the network too large");
    for (const std::size_t input : nodes[i].inputs) read[input] = true;
  }
  if (nodes.back().kind != NodeKind::output || read.back()) fail(nodes.back(), "must be the output");
  for (std::size_t i = 0; i + 1 < nodes.size(); ++i) {
    if (!read[i] || nodes[i].kind == NodeKind::output) fail(nodes[i], "is read by nothing");
  }
}

PackedFacts layer_from_json(const Json& json, const std::vector<ShareNode>& nodes) {
  const JsonFields fields(json, kWhat, kCode, {"node", "groups", "sum_bits"});
  PackedFacts facts;
  facts.node =
      static_cast<std::size_t>(fields.integer("node", 0, static_cast<std::int64_t>(nodes.size()) - 1));
  facts.groups = fields.integer("groups", 1, models::Limits::kChannels);
  facts.sum_bits = static_cast<unsigned>(fields.integer("sum_bits", 0, WeightedLayer::kMostSlotBits));
  const ShareNode& node = nodes[facts.node];
  if (!node.weighted()) fail(node, "has no weights");
  const std::int64_t inputs = nodes[node.inputs.front()].shape.channels;
  const bool divides = node.shape.channels % facts.groups == 0 &&
                       (node.kind == NodeKind::dense ? facts.groups == 1 : inputs % facts.groups == 0);
  if (!divides) fail(node, "has groups that do not divide its channels");
  return facts;
}

Json pairs_to_json(const std::vector<FlightPair>& flights) {
  Json json = Json::array();
  for (const FlightPair& flight : flights) json.push_back({flight.client, flight.server});
  return json;
}

Json flights_to_json(const ShareFlights& flights) {
  return {{"transfers", pairs_to_json(flights.transfers)}, {"online", pairs_to_json(flights.online)}};
}

std::vector<FlightPair> pairs_from_json(const JsonFields& fields, std::string_view name) {
  const Json& array = fields.at(name);
  if (!array.is_array() || array.size() > kMostFlights) fields.fail(name, "an array of pairs");
  std::vector<FlightPair> flights;
  for (const Json& pair : array) {
    const Json named = {{"pair", pair}};
    const auto bytes = JsonFields(named, kWhat, kCode, {"pair"}).integers("pair", 2, 2, 0, kMostFlightBytes);
    flights.push_back({static_cast<std::uint64_t>(bytes[0]), static_cast<std::uint64_t>(bytes[1])});
  }
  return flights;
}

ShareFlights flights_from_json(const JsonFields& facts, std::string_view rounding) {
  const std::string what = std::string(kWhat) + ": \"" + std::string(rounding) + "\"";
  const JsonFields fields(facts.at(rounding), what, kCode, {"transfers", "online"});
  ShareFlights flights{pairs_from_json(fields, "transfers"), pairs_from_json(fields, "online")};
  if (flights.online.empty()) fields.fail("online", "an array of pairs");
  return flights;
}

}  // namespace

ShareFacts facts_without_flights(const models::IntegerNetwork& network) {
  if (!network.is_requantised()) {
    throw InputError("shares.network", "the network " + network.name +
                                           " is exact; inference on shares needs a requantised one (popcorn "
                                           "compress --activation-bits)");
  }
  ShareFacts facts;
  facts.network = share_network(network);
  for (std::size_t i = 0; i < facts.network.nodes.size(); ++i) {
    if (!facts.network.nodes[i].weighted()) continue;
    const WeightedLayer layer = weighted_layer(network, i, 1);
    facts.layers.push_back({i, layer.groups, layer.slot_bits - layer.ring - 1});
  }
  if (facts.layers.empty()) {
    throw InputError("shares.network", "the network " + network.name + " has no layer with weights");
  }
  return facts;
}

ShareFacts share_facts(const models::IntegerNetwork& network) {
  ShareFacts facts = facts_without_flights(network);
  facts.nearest = dry_run_flights(network, ShareRounding::nearest);
  facts.fast = dry_run_flights(network, ShareRounding::fast);
  return facts;
}

PreparationPlan preparation_plan(const ShareFacts& facts, const SharePlan& plan) {
  PreparationPlan preparation;
  for (const PackedFacts& packed : facts.layers) {
    const ShareNode& node = facts.network.nodes[packed.node];
    const std::size_t source = node.inputs.front();
    const ShareNode& operand = facts.network.nodes[source];
    PreparationPlan::Layer& layer = preparation.layers.emplace_back();
    layer.node = packed.node;
    layer.facts.name = node.name;
    layer.facts.input = operand.shape;
    layer.facts.output = node.shape;
    layer.facts.groups = packed.groups;
    if (node.kind == NodeKind::dense) {
      layer.facts.input = {operand.shape.size(), 1, 1};
    } else {
      layer.facts.window = node.window;
    }
    layer.facts.ring = plan.ring_of_layer(packed.node);
    layer.facts.slot_bits = layer.facts.ring + packed.sum_bits + 1;
    if (layer.facts.ring == 0 || layer.facts.slot_bits > WeightedLayer::kMostSlotBits) {
      fail(node, "needs slots of " + std::to_string(layer.facts.slot_bits) + " bits");
    }
    const auto known = std::ranges::find(preparation.sources, source, &PreparationPlan::Source::node);
    layer.source = static_cast<std::size_t>(known - preparation.sources.begin());
    if (known == preparation.sources.end()) {
      preparation.sources.push_back({source, operand.size(), plan.held[source]});
    }
  }
  return preparation;
}

Json facts_to_json(const ShareFacts& facts) {
  Json json = {{"nodes", Json::array()}, {"layers", Json::array()}};
  for (const ShareNode& node : facts.network.nodes) json["nodes"].push_back(node_to_json(node));
  for (const PackedFacts& layer : facts.layers) {
    json["layers"].push_back({{"node", layer.node}, {"groups", layer.groups}, {"sum_bits", layer.sum_bits}});
  }
  if (facts.network.label) json["label"] = true;
  json["nearest"] = flights_to_json(facts.nearest);
  json["fast"] = flights_to_json(facts.fast);
  return json;
}

ShareFacts facts_from_json(const Json& json) {
  const JsonFields fields(json, kWhat, kCode, {"nodes", "layers", "nearest", "fast"}, {"label"});
  const Json& nodes = fields.at("nodes");
  if (!nodes.is_array() || nodes.size() < 2 || nodes.size() > models::Limits::kNodes) {
    fields.fail("nodes", "an array of nodes");
  }
  ShareFacts facts;
  facts.network.label = flag(fields, "label");
  for (std::size_t i = 0; i < nodes.size(); ++i) facts.network.nodes.push_back(node_from_json(nodes[i], i));
  check_network(facts.network.nodes);
  const Json& layers = fields.at("layers");
  const auto weighted = static_cast<std::size_t>(
      std::ranges::count_if(facts.network.nodes, [](const ShareNode& node) { return node.weighted(); }));
  if (!layers.is_array() || layers.size() != weighted || weighted == 0) {
    fields.fail("layers", "an array of all nodes with weights");
  }
  for (const Json& layer : layers) {
    facts.layers.push_back(layer_from_json(layer, facts.network.nodes));
    const std::size_t count = facts.layers.size();
    if (count > 1 && facts.layers[count - 2].node >= facts.layers[count - 1].node) {
      fields.fail("layers", "in the order of the nodes");
    }
  }
  facts.nearest = flights_from_json(fields, "nearest");
  facts.fast = flights_from_json(fields, "fast");
  return facts;
}

}  // namespace popcorn::protocols::shares
