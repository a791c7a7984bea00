#include <algorithm>
#include <bit>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "models/file/popcorn_file.h"
#include "models/file/popcorn_format.h"
#include "models/input/input_encoding.h"

namespace popcorn::models {

namespace {

/// Keys keep their order, so the same network gives the same bytes.
using Json = nlohmann::ordered_json;

/// One tensor of the container: its entry in the header and its bytes.
struct Tensor {
  std::string name;
  ElementType type;
  std::vector<std::int64_t> shape;
  Bytes data;
};

ElementType narrowest_type(const std::vector<std::int32_t>& weights) {
  const auto [least, most] = std::ranges::minmax(weights);
  if (least >= INT8_MIN && most <= INT8_MAX) return ElementType::i8;
  if (least >= INT16_MIN && most <= INT16_MAX) return ElementType::i16;
  return ElementType::i32;
}

Tensor weight_tensor(const IntegerNetwork& network, const Node& node) {
  const Shape& input = network.nodes[node.inputs.front()].shape;
  Tensor tensor{
      node.name + kWeightSuffix, narrowest_type(node.weights), {node.shape.channels, input.channels}, {}};
  if (node.kind == NodeKind::conv2d) {
    tensor.shape = {node.shape.channels, input.channels / node.groups, node.window.kernel_height,
                    node.window.kernel_width};
  }
  ByteWriter writer(tensor.data);
  for (const std::int32_t weight : node.weights) {
    switch (tensor.type) {
      case ElementType::i8:
        writer.u8(static_cast<std::uint8_t>(weight));
        break;
      case ElementType::i16:
        writer.u16(static_cast<std::uint16_t>(weight));
        break;
      default:
        writer.u32(static_cast<std::uint32_t>(weight));
        break;
    }
  }
  return tensor;
}

/// I64 [channels], or U64 [channels, limbs] in two's complement when a bias needs more than one word.
Tensor bias_tensor(const Node& node) {
  const WideVector bias = node.bias.resized(WideVector::limbs_for_bits(node.bias.max_bit_length()));
  Tensor tensor{node.name + kBiasSuffix, ElementType::i64, {node.shape.channels}, {}};
  if (bias.limbs() > 1) {
    tensor.type = ElementType::u64;
    tensor.shape.push_back(static_cast<std::int64_t>(bias.limbs()));
  }
  ByteWriter writer(tensor.data);
  for (const std::uint64_t word : bias.words()) writer.u64(word);
  return tensor;
}

Tensor scale_tensor(const Node& node) {
  Tensor tensor{node.name + kScaleSuffix, ElementType::f64, {node.shape.channels}, {}};
  ByteWriter writer(tensor.data);
  for (const double scale : node.scale) writer.u64(std::bit_cast<std::uint64_t>(scale));
  return tensor;
}

/// Widest elements first: then every tensor is aligned without a gap between any two.
std::vector<Tensor> tensors_of(const IntegerNetwork& network) {
  std::vector<Tensor> tensors;
  for (const Node& node : network.nodes) {
    if (!node.weights.empty()) {
      tensors.push_back(weight_tensor(network, node));
      tensors.push_back(bias_tensor(node));
    }
    if (node.scale.size() > 1) tensors.push_back(scale_tensor(node));
  }
  std::ranges::stable_sort(tensors, std::ranges::greater{},
                           [](const Tensor& tensor) { return element_bytes(tensor.type); });
  return tensors;
}

Json window_json(const Window& window) {
  Json json;
  json["kernel"] = {window.kernel_height, window.kernel_width};
  json["stride"] = {window.stride_height, window.stride_width};
  json["pad"] = {window.pad_top, window.pad_left, window.pad_bottom, window.pad_right};
  json["dilation"] = {window.dilation_height, window.dilation_width};
  return json;
}

Json node_json(const IntegerNetwork& network, const Node& node) {
  Json json;
  json["name"] = node.name;
  json["kind"] = to_string(node.kind);
  json["inputs"] = Json::array();
  for (const std::size_t operand : node.inputs) json["inputs"].push_back(network.nodes[operand].name);
  json["shape"] = {node.shape.channels, node.shape.height, node.shape.width};
  if (takes_window(node.kind)) json["window"] = window_json(node.window);
  if (node.kind == NodeKind::conv2d) json["groups"] = node.groups;
  if (takes_multipliers(node.kind)) json["multipliers"] = node.multipliers;
  if (node.kind == NodeKind::rescale) {
    json["shifts"] = node.shifts;
    json["rectify"] = node.rectify ? 1 : 0;
  }
  if (node.ring_bits != 0) json["ring_bits"] = node.ring_bits;
  if (node.scale.size() == 1) json["scale"] = node.scale.front();
  return json;
}

Json metadata_json(const IntegerNetwork& network) {
  Json graph = Json::array();
  for (const Node& node : network.nodes) graph.push_back(node_json(network, node));
  Json facts = Json::array();
  for (const auto& [key, value] : network.facts) facts.push_back({key, value});
  Json json;
  json["format"] = kFormatName;
  json["version"] = std::to_string(network.is_requantised() ? kRequantisedVersion : kExactVersion);
  json["name"] = network.name;
  json["description"] = network.description;
  json["encoding"] = encoding_to_json(network.encoding);
  json["labels"] = Json(network.labels).dump();
  json["softmax"] = network.softmax ? "true" : "false";
  json["graph"] = graph.dump();
  json["facts"] = facts.dump();
  return json;
}

std::string header_text(const IntegerNetwork& network, const std::vector<Tensor>& tensors) {
  Json header;
  try {
    header["__metadata__"] = metadata_json(network);
    std::size_t offset = 0;
    for (const Tensor& tensor : tensors) {
      Json entry;
      entry["dtype"] = element_name(tensor.type);
      entry["shape"] = tensor.shape;
      entry["data_offsets"] = {offset, offset + tensor.data.size()};
      header[tensor.name] = std::move(entry);
      offset += tensor.data.size();
    }
    return header.dump();
  } catch (const Json::exception&) {
    throw InputError("model.text", "the network '" + network.name + "' has a text that is not valid UTF-8");
  }
}

}  // namespace

Bytes serialise_network(const IntegerNetwork& network) {
  const std::vector<Tensor> tensors = tensors_of(network);
  std::string header = header_text(network, tensors);
  header.append((8 - header.size() % 8) % 8, ' ');  // the data begins at a multiple of 8
  if (header.size() > kMaxHeaderBytes) {
    throw InputError("model.header", "the network '" + network.name + "' needs a header of more than " +
                                         std::to_string(kMaxHeaderBytes) + " bytes");
  }
  Bytes file;
  ByteWriter writer(file);
  writer.u64(header.size());
  writer.bytes(as_bytes(header));
  for (const Tensor& tensor : tensors) writer.bytes(tensor.data);
  return file;
}

void write_network(const IntegerNetwork& network, const std::filesystem::path& path) {
  write_file(path, serialise_network(network));
}

}  // namespace popcorn::models
