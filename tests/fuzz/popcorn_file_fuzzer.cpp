// parse_network: refuses with an InputError, or gives a network that survives its own file and that all
// evaluators and rewrites agree on.
#include <cstdint>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "models/evaluation/plaintext_evaluator.h"
#include "models/file/popcorn_file.h"
#include "models/network/graph_rewrites.h"

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t max_size);

namespace {

using namespace popcorn;
using namespace popcorn::models;
using Json = nlohmann::ordered_json;

void require(bool condition) {
  if (!condition) std::abort();
}

/// Few enough multiply-adds to evaluate the network without slowing the fuzzer down.
bool is_small(const IntegerNetwork& network) {
  constexpr double kMost = 1e5;
  double work = 0;
  for (const Node& node : network.nodes) {
    const auto positions = static_cast<double>(node.shape.height * node.shape.width);
    const auto taps = static_cast<double>(node.window.kernel_height * node.window.kernel_width);
    work += static_cast<double>(node.weights.size()) * positions;
    work += static_cast<double>(node.shape.size()) * (taps + static_cast<double>(node.inputs.size()));
  }
  return work < kMost;
}

void evaluate_everywhere(const IntegerNetwork& network) {
  WideVector input(static_cast<std::size_t>(network.input().shape.size()), 1);
  std::vector<std::int16_t> shorts;
  for (std::size_t i = 0; i < input.size(); ++i) {
    input.set_int64(i, i % 2 == 0 ? network.encoding.low : network.encoding.high);
    shorts.push_back(static_cast<std::int16_t>(input.to_int64(i)));
  }
  const std::vector<WideVector> outputs = evaluate_all(network, input);
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    require(outputs[i].max_bit_length() <= network.nodes[i].bounds.bits);
  }
  IntegerNetwork rewritten = network;
  optimise(rewritten);
  require(evaluate(rewritten, input) == outputs.back());
  const bool fits_short = network.encoding.low >= INT16_MIN && network.encoding.high <= INT16_MAX;
  if (!fits_short) return;
  for (const Node& node : network.nodes) {
    if (node.bounds.bits > 1000) return;  // beyond the fast evaluator
  }
  const FastEvaluator fast(network);
  const std::vector<double> logits = fast.run(shorts, 1);
  for (std::size_t i = 0; fast.is_exact() && i < logits.size(); ++i) {
    require(logits[i] == static_cast<double>(outputs.back().to_int64(i)));
  }
}

/// Header text and data of a container, when the bytes are one.
struct Parts {
  Json header;
  std::string data;

  static bool take_apart(const std::uint8_t* bytes, std::size_t size, Parts& parts) {
    if (size < 8) return false;
    const std::uint64_t length = ByteReader({bytes, 8}, "fuzz").u64();
    if (length > size - 8) return false;
    parts.header = Json::parse(bytes + 8, bytes + 8 + length, nullptr, false);
    if (!parts.header.is_object() || !parts.header.contains("__metadata__")) return false;
    parts.data.assign(reinterpret_cast<const char*>(bytes) + 8 + length, size - 8 - length);
    return parts.header["__metadata__"].is_object();
  }

  Bytes put_together() const {
    std::string text = header.dump(-1, ' ', false, Json::error_handler_t::replace);
    text.append((8 - text.size() % 8) % 8, ' ');
    Bytes bytes;
    ByteWriter writer(bytes);
    writer.u64(text.size());
    writer.bytes(as_bytes(text));
    writer.bytes(as_bytes(data));
    return bytes;
  }
};

void mutate_text(std::string& text) {
  constexpr std::size_t kRoom = 64;
  const std::size_t size = text.size();
  text.resize(size + kRoom);
  text.resize(LLVMFuzzerMutate(reinterpret_cast<std::uint8_t*>(text.data()), size, text.size()));
}

/// One metadata string (the graph more often than the rest), the tensor data, or the whole header is changed.
void mutate_part(Parts& parts, unsigned seed) {
  Json& metadata = parts.header["__metadata__"];
  std::vector<std::string> keys = {"graph", "graph", "graph"};
  for (const auto& [key, value] : metadata.items()) keys.push_back(key);
  const std::size_t choice = seed % (keys.size() + 2);
  if (choice < keys.size()) {
    Json& value = metadata[keys[choice]];
    std::string text = value.is_string() ? value.get<std::string>() : "";
    mutate_text(text);
    value = text;
  } else if (choice == keys.size()) {
    mutate_text(parts.data);
  } else {
    std::string text = parts.header.dump(-1, ' ', false, Json::error_handler_t::replace);
    mutate_text(text);
    const Json header = Json::parse(text, nullptr, false);
    if (!header.is_discarded()) parts.header = header;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    const IntegerNetwork network = parse_network({data, size});
    const Bytes file = serialise_network(network);
    const IntegerNetwork copy = parse_network(file);
    require(serialise_network(copy) == file);
    if (is_small(network)) evaluate_everywhere(network);
  } catch (const InputError& error) {
    require(error.code().starts_with("model."));
  }
  return 0;
}

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t max_size,
                                               unsigned seed) {
  Parts parts;
  if (seed % 8 == 0 || !Parts::take_apart(data, size, parts)) return LLVMFuzzerMutate(data, size, max_size);
  mutate_part(parts, seed / 8);
  const Bytes bytes = parts.put_together();
  if (bytes.size() > max_size) return LLVMFuzzerMutate(data, size, max_size);
  std::copy(bytes.begin(), bytes.end(), data);
  return bytes.size();
}
