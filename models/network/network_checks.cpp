// IntegerNetwork::finish(): what a network must be, whoever built it.
#include <algorithm>
#include <set>

#include "base/error.h"
#include "models/input/input_encoding.h"
#include "models/network/bounds.h"
#include "models/network/integer_network.h"
#include "models/network/shape_inference.h"

namespace popcorn::models {

namespace {

bool is_safe_name(std::string_view name) {
  return std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
  });
}

bool is_printable_ascii(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c >= 0x20 && c < 0x7f; });
}

/// A network's name stands in paths and addresses, so it is kept to harmless characters.
void check_network_name(const std::string& name) {
  if (name.size() > Limits::kNameBytes || !is_safe_name(name) || name.starts_with('.')) {
    throw InputError("model.name", "the network's name may have letters, digits, '.', '_' and '-' only");
  }
}

void check_node_names(const std::vector<Node>& nodes) {
  std::set<std::string_view> seen;
  for (const Node& node : nodes) {
    if (node.name.empty() || node.name.size() > Limits::kNameBytes || !is_printable_ascii(node.name)) {
      throw InputError("model.node_name", "a node's name must have 1 to " +
                                              std::to_string(Limits::kNameBytes) +
                                              " printable ASCII characters");
    }
    if (!seen.insert(node.name).second) {
      throw InputError("model.duplicate_node", describe(node) + ": the name occurs twice");
    }
  }
}

void check_topology(const std::vector<Node>& nodes) {
  if (nodes.size() < 2 || nodes.size() > Limits::kNodes) {
    throw InputError("model.node_count", "a network has 2 to " + std::to_string(Limits::kNodes) +
                                             " nodes, found " + std::to_string(nodes.size()));
  }
  std::vector<bool> read(nodes.size(), false);
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    const Node& node = nodes[i];
    if ((node.kind == NodeKind::input) != (i == 0)) {
      throw InputError("model.input", describe(node) + ": the input must be the first node and the only one");
    }
    if ((node.kind == NodeKind::output) != (i + 1 == nodes.size())) {
      throw InputError("model.output",
                       describe(node) + ": the output must be the last node and the only one");
    }
    for (const std::size_t operand : node.inputs) {
      if (operand >= i) {
        throw InputError("model.cycle", describe(node) + ": reads a node that does not come before it");
      }
      read[operand] = true;
    }
  }
  for (std::size_t i = 0; i + 1 < nodes.size(); ++i) {
    if (!read[i]) throw InputError("model.unused_node", describe(nodes[i]) + ": no node reads it");
  }
}

/// Input node and encoding say the same; the one that is left out takes the other's shape.
void match_encoding(InputEncoding& encoding, Node& input) {
  if (input.shape.channels == 0) input.shape = encoding.shape;
  if (encoding.shape.channels == 0) encoding.shape = input.shape;
  if (encoding.offset.empty()) encoding.offset = {0};
  check_encoding(encoding);
  if (encoding.shape != input.shape) {
    throw InputError("model.encoding", "the input encoding has shape " + encoding.shape.to_string() +
                                           ", the input node " + input.shape.to_string());
  }
}

/// One line of bounded length: what is shown to people must not steer their terminal.
void check_text(const std::string& what, const std::string& text) {
  bool control = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const bool c1 = i > 0 && static_cast<unsigned char>(text[i - 1]) == 0xc2 && byte >= 0x80 && byte < 0xa0;
    control = control || byte < 0x20 || byte == 0x7f || c1;
  }
  if (control || text.size() > Limits::kTextBytes) {
    throw InputError("model.text", what + " must be one line of at most " +
                                       std::to_string(Limits::kTextBytes) +
                                       " bytes without control characters");
  }
}

void check_texts(const IntegerNetwork& network) {
  check_text("the description", network.description);
  for (const std::string& label : network.labels) check_text("a label", label);
  if (network.facts.size() > Limits::kFacts) {
    throw InputError("model.text", "a network has at most " + std::to_string(Limits::kFacts) + " facts");
  }
  for (const auto& [key, value] : network.facts) {
    check_text("a fact's name", key);
    check_text("the fact '" + key + "'", value);
  }
}

}  // namespace

void IntegerNetwork::finish() {
  check_network_name(name);
  check_texts(*this);
  check_topology(nodes);
  check_node_names(nodes);
  match_encoding(encoding, nodes.front());
  std::uint64_t weight_count = 0;
  std::size_t bound_words = 0;
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    infer_node(*this, i);
    weight_count += nodes[i].weights.size();
    if (weight_count > static_cast<std::uint64_t>(Limits::kWeights)) {
      throw InputError("model.weights", describe(nodes[i]) + ": the network has more than " +
                                            std::to_string(Limits::kWeights) + " weights");
    }
    nodes[i].bounds = node_bounds(*this, i, Limits::kBoundWords - bound_words);
    bound_words += nodes[i].bounds.low.words().size() + nodes[i].bounds.high.words().size();
  }
  if (answer == Answer::logits && !labels.empty() &&
      static_cast<std::int64_t>(labels.size()) != output().shape.size()) {
    throw InputError("model.labels", "the network has " + std::to_string(labels.size()) + " labels for " +
                                         std::to_string(output().shape.size()) + " outputs");
  }
}

}  // namespace popcorn::models
