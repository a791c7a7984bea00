#include <algorithm>
#include <map>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "models/file/popcorn_file.h"
#include "models/file/popcorn_format.h"
#include "models/file/safetensors.h"
#include "models/input/input_encoding.h"
#include "models/network/graph_rewrites.h"
#include "models/network/shape_inference.h"

namespace popcorn::models {

namespace {

constexpr const char* kGraphCode = "model.graph";
constexpr std::int64_t kMaxInteger = std::numeric_limits<std::int64_t>::max();

NodeKind kind_from(const std::string& text, const std::string& node) {
  for (int k = 0; k <= static_cast<int>(NodeKind::output); ++k) {
    if (text == to_string(static_cast<NodeKind>(k))) return static_cast<NodeKind>(k);
  }
  throw InputError("model.unknown_kind",
                   "node '" + printable(node) + "': its kind '" + printable(text) + "' is unknown");
}

Window window_from(const Json& json, const std::string& what) {
  const JsonFields fields(json, what + ": its window", kGraphCode, {"kernel", "stride", "pad", "dilation"});
  const auto kernel = fields.integers("kernel", 2, 2, 1, Limits::kExtent);
  const auto stride = fields.integers("stride", 2, 2, 1, Limits::kExtent);
  const auto pad = fields.integers("pad", 4, 4, 0, Limits::kExtent);
  const auto dilation = fields.integers("dilation", 2, 2, 1, Limits::kExtent);
  Window window;
  window.kernel_height = kernel[0];
  window.kernel_width = kernel[1];
  window.stride_height = stride[0];
  window.stride_width = stride[1];
  window.pad_top = pad[0];
  window.pad_left = pad[1];
  window.pad_bottom = pad[2];
  window.pad_right = pad[3];
  window.dilation_height = dilation[0];
  window.dilation_width = dilation[1];
  return window;
}

/// Turns the graph's JSON into nodes, in file order, taking weights, biases and scales from the tensors.
class GraphReader {
 public:
  GraphReader(const Json& graph, SafetensorsReader& tensors, unsigned version)
      : graph_(graph), tensors_(tensors), version_(version) {}

  std::vector<Node> read() {
    if (!graph_.is_array()) throw InputError(kGraphCode, "the graph must be a JSON array of nodes");
    if (graph_.size() > Limits::kNodes) {
      throw InputError("model.node_count", "the graph has " + std::to_string(graph_.size()) +
                                               " nodes, at most " + std::to_string(Limits::kNodes));
    }
    collect_names();
    for (const Json& json : graph_) nodes_.push_back(read_node(json));
    return std::move(nodes_);
  }

 private:
  void collect_names() {
    for (std::size_t i = 0; i < graph_.size(); ++i) {
      const Json& json = graph_[i];
      const std::string what = "node " + std::to_string(i);
      if (!json.is_object() || !json.contains("name") || !json["name"].is_string()) {
        throw InputError(kGraphCode, what + " of the graph must be an object with a name");
      }
      const auto name = json["name"].get<std::string>();
      if (!index_.emplace(name, i).second) {
        throw InputError("model.duplicate_node", "node '" + printable(name) + "': the name occurs twice");
      }
    }
  }

  Node read_node(const Json& json) {
    const std::string what = "node '" + printable(json["name"].get<std::string>()) + "'";
    const JsonFields fields(json, what, kGraphCode, {"name", "kind", "inputs", "shape"},
                            {"window", "groups", "multipliers", "shifts", "rectify", "ring_bits", "scale"});
    Node node;
    node.name = fields.text("name");
    node.kind = kind_from(fields.text("kind"), node.name);
    for (const std::string& operand : fields.texts("inputs", Limits::kOperands)) {
      node.inputs.push_back(operand_index(node, operand));
    }
    const auto shape = fields.integers("shape", 3, 3, 1, kMaxInteger);
    node.shape = {shape[0], shape[1], shape[2]};
    check_shape(describe(node), node.shape);
    expect(fields, "window", takes_window(node.kind));
    expect(fields, "groups", node.kind == NodeKind::conv2d);
    expect(fields, "multipliers", takes_multipliers(node.kind));
    if (takes_window(node.kind)) node.window = window_from(fields.at("window"), what);
    if (fields.has("groups")) node.groups = fields.integer("groups", 1, Limits::kChannels);
    if (fields.has("multipliers")) {
      node.multipliers = fields.integers("multipliers", 0, Limits::kOperands, 1, kMaxInteger);
    }
    read_rounding(fields, node);
    if (takes_weights(node.kind)) read_weights(node);
    node.scale = fields.has("scale") ? std::vector<double>{fields.number("scale")} : read_scales(node);
    return node;
  }

  static void expect(const JsonFields& fields, std::string_view key, bool wanted) {
    if (fields.has(key) != wanted) fields.fail(key, wanted ? "there" : "absent for this kind");
  }

  void read_rounding(const JsonFields& fields, Node& node) const {
    const bool rounds = node.kind == NodeKind::rescale;
    if (rounds && version_ < kRequantisedVersion) fields.fail("kind", "one of the file's version");
    expect(fields, "shifts", rounds);
    expect(fields, "rectify", rounds);
    if (rounds) {
      node.shifts =
          fields.integers("shifts", 1, static_cast<std::size_t>(Limits::kChannels), 0, Limits::kShift);
      node.rectify = fields.integer("rectify", 0, 1) == 1;
    }
    if (!fields.has("ring_bits")) return;
    if (!takes_ring(node.kind) || version_ < kRequantisedVersion) {
      fields.fail("ring_bits", "absent for this kind and version");
    }
    node.ring_bits = static_cast<unsigned>(fields.integer("ring_bits", 2, Limits::kRingBits));
  }

  std::size_t operand_index(const Node& node, const std::string& operand) const {
    const auto found = index_.find(operand);
    if (found == index_.end()) {
      throw InputError("model.unknown_node",
                       describe(node) + ": reads '" + printable(operand) + "', which does not exist");
    }
    if (found->second >= nodes_.size()) {
      throw InputError("model.cycle", describe(node) + ": reads '" + printable(operand) +
                                          "', which does not come before it");
    }
    return found->second;
  }

  void read_weights(Node& node) {
    if (node.inputs.size() != 1) {
      throw InputError("model.operands", describe(node) + ": has " + std::to_string(node.inputs.size()) +
                                             " operands, expected 1");
    }
    const std::int64_t inputs = nodes_[node.inputs.front()].shape.channels;
    std::vector<std::int64_t> shape = {node.shape.channels, inputs};
    if (node.kind == NodeKind::conv2d) {
      shape = {node.shape.channels, inputs / node.groups, node.window.kernel_height,
               node.window.kernel_width};
    }
    node.weights = tensors_.take_weights(node.name + kWeightSuffix, shape);
    node.bias = tensors_.take_integers(node.name + kBiasSuffix, node.shape.channels);
  }

  std::vector<double> read_scales(const Node& node) {
    return tensors_.take_doubles(node.name + kScaleSuffix, node.shape.channels);
  }

  const Json& graph_;
  SafetensorsReader& tensors_;
  unsigned version_;
  std::map<std::string, std::size_t> index_;
  std::vector<Node> nodes_;
};

unsigned checked_version(const JsonFields& metadata) {
  if (metadata.text("format") != kFormatName) {
    throw InputError("model.format", "the file's format is not '" + std::string(kFormatName) + "'");
  }
  const std::string version = metadata.text("version");
  const bool number = !version.empty() && version.size() <= 9 && version.front() != '0' &&
                      std::ranges::all_of(version, [](char c) { return c >= '0' && c <= '9'; });
  if (!number) throw InputError("model.version", "the file's version is no positive number");
  const unsigned long value = std::stoul(version);
  if (value > kRequantisedVersion) {
    throw InputError("model.version", "the file has format version " + version +
                                          ", this program reads versions " + std::to_string(kExactVersion) +
                                          " to " + std::to_string(kRequantisedVersion));
  }
  return static_cast<unsigned>(value);
}

std::vector<std::string> labels_from(const std::string& text) {
  const Json json = parse_json(text, "the list of labels", "model.labels");
  const Json holder = {{"labels", json}};
  return JsonFields(holder, "the metadata", "model.labels", {"labels"})
      .texts("labels", static_cast<std::size_t>(Limits::kChannels));
}

std::vector<std::pair<std::string, std::string>> facts_from(const std::string& text) {
  const Json json = parse_json(text, "the list of facts", "model.facts");
  const auto is_pair = [](const Json& fact) {
    return fact.is_array() && fact.size() == 2 && fact[0].is_string() && fact[1].is_string();
  };
  if (!json.is_array() || !std::ranges::all_of(json, is_pair)) {
    throw InputError("model.facts", "the facts must be an array of pairs of strings");
  }
  std::vector<std::pair<std::string, std::string>> facts;
  for (const Json& fact : json) facts.emplace_back(fact[0].get<std::string>(), fact[1].get<std::string>());
  return facts;
}

}  // namespace

IntegerNetwork parse_network(ByteView file) {
  SafetensorsReader tensors(file);
  const JsonFields metadata(
      tensors.metadata(), "the metadata", "model.metadata",
      {"format", "version", "name", "description", "encoding", "labels", "softmax", "graph", "facts"});
  const unsigned version = checked_version(metadata);
  IntegerNetwork network;
  network.name = metadata.text("name");
  network.description = metadata.text("description");
  network.encoding = encoding_from_json(metadata.text("encoding"));
  network.labels = labels_from(metadata.text("labels"));
  const std::string softmax = metadata.text("softmax");
  if (softmax != "true" && softmax != "false") metadata.fail("softmax", "true or false");
  network.softmax = softmax == "true";
  network.facts = facts_from(metadata.text("facts"));
  network.nodes =
      GraphReader(parse_json(metadata.text("graph"), "the graph", kGraphCode), tensors, version).read();
  tensors.expect_all_taken();
  network.finish();
  // One form for one network: what needs nothing of the newer version is a file of the older one.
  if (version == kRequantisedVersion && !network.is_requantised()) {
    throw InputError("model.version",
                     "the file has format version 2 but rounds nowhere: it must be version 1");
  }
  return network;
}

IntegerNetwork read_network(const std::filesystem::path& path) {
  const Bytes file = read_file(path);
  try {
    IntegerNetwork network = parse_network(file);
    optimise(network);
    return network;
  } catch (const InputError& error) {
    throw InputError(error.code(), path.string() + ": " + error.what());
  }
}

}  // namespace popcorn::models
