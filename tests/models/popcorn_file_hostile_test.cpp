// Damaged and malicious model files: every one is an InputError that names the place, or loads as a valid
// network.
#include <catch2/catch.hpp>
#include <functional>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "models/evaluation/plaintext_evaluator.h"
#include "models/file/popcorn_file.h"
#include "tests/models/golden_network.h"
#include "tests/support/random_network.h"

using namespace popcorn;
using namespace popcorn::models;
using Json = nlohmann::ordered_json;

namespace {

/// A file taken apart, so that it can be damaged in one place and put together again.
struct File {
  Json header;
  Json graph;
  Bytes data;

  static File take_apart(const Bytes& bytes) {
    const auto size = static_cast<std::ptrdiff_t>(ByteReader(bytes, "test").u64());
    File file;
    file.header = Json::parse(bytes.begin() + 8, bytes.begin() + 8 + size);
    file.graph = Json::parse(file.header["__metadata__"]["graph"].get<std::string>());
    file.data.assign(bytes.begin() + 8 + size, bytes.end());
    return file;
  }

  Json& metadata() { return header["__metadata__"]; }
  Json& node(const std::string& name) {
    for (Json& json : graph) {
      if (json["name"] == name) return json;
    }
    throw std::logic_error("no node " + name);
  }

  Bytes put_together(bool keep_graph_text = false) {
    if (!keep_graph_text) metadata()["graph"] = graph.dump();
    return with_header(header.dump(), data);
  }

  static Bytes with_header(std::string text, const Bytes& data) {
    text.append((8 - text.size() % 8) % 8, ' ');
    Bytes bytes;
    ByteWriter writer(bytes);
    writer.u64(text.size());
    writer.bytes(as_bytes(text));
    writer.bytes(data);
    return bytes;
  }
};

void require_refused(const Bytes& bytes, const std::string& code, const std::string& names) {
  try {
    parse_network(bytes);
    FAIL("accepted");
  } catch (const InputError& error) {
    INFO(error.code() << ": " << error.what());
    REQUIRE(error.code() == code);
    REQUIRE(std::string(error.what()).find(names) != std::string::npos);
  }
}

struct Damage {
  const char* code;
  const char* names;
  std::function<void(File&)> apply;
};

const auto kHuge = std::numeric_limits<std::int64_t>::max();

std::vector<Damage> container_damages() {
  return {
      {"model.tensor", "conv1.weight", [](File& f) { f.header["conv1.weight"].erase("dtype"); }},
      {"model.tensor", "conv1.weight", [](File& f) { f.header["conv1.weight"]["extra"] = 1; }},
      {"model.tensor", "conv1.weight", [](File& f) { f.header["conv1.weight"] = 7; }},
      {"model.tensor", "dtype", [](File& f) { f.header["conv1.weight"]["dtype"] = "BF16"; }},
      {"model.tensor", "dtype", [](File& f) { f.header["conv1.weight"]["dtype"] = 8; }},
      {"model.tensor", "conv1.weight", [](File& f) { f.header["conv1.weight"]["dtype"] = "I16"; }},
      {"model.tensor", "conv1.weight", [](File& f) { f.header["conv1.weight"]["shape"][0] = 5; }},
      {"model.tensor", "shape", [](File& f) { f.header["conv1.weight"]["shape"][0] = -4; }},
      {"model.tensor", "shape", [](File& f) { f.header["conv1.weight"]["shape"][0] = 4.0; }},
      {"model.tensor", "shape", [](File& f) { f.header["conv1.weight"]["shape"][0] = 0; }},
      {"model.tensor", "shape", [](File& f) { f.header["conv1.weight"]["shape"] = Json::array(); }},
      {"model.tensor", "shape",
       [](File& f) {
         f.header["conv1.weight"]["shape"] = {1, 1, 1, 1, 108};
       }},
      {"model.tensor", "conv1.weight",
       [](File& f) {
         f.header["conv1.weight"]["shape"] = {kHuge, kHuge, kHuge, 4};
       }},
      {"model.tensor", "conv1.weight",  // 2^62 · 4 · 4 wraps to 0
       [](File& f) {
         f.header["conv1.weight"]["shape"] = {std::int64_t{1} << 62, 4, 4};
       }},
      {"model.tensor", "data_offsets",
       [](File& f) { f.header["conv1.weight"]["data_offsets"][0] = 1ULL << 63; }},
      {"model.tensor", "data_offsets", [](File& f) { f.header["conv1.weight"]["data_offsets"] = {0}; }},
      {"model.tensor", "ends before",
       [](File& f) {
         f.header["conv1.weight"]["data_offsets"] = {f.data.size(), 416};
       }},
      {"model.truncated", "conv1.weight",
       [](File& f) { f.header["conv1.weight"]["data_offsets"][1] = f.data.size() + 1; }},
      {"model.truncated", "conv1.weight", [](File& f) { f.data.pop_back(); }},
      {"model.trailing_bytes", "1 bytes", [](File& f) { f.data.push_back(0); }},
      {"model.overlap", "bias",
       [](File& f) { f.header["depthwise.bias"]["data_offsets"] = f.header["conv1.bias"]["data_offsets"]; }},
      {"model.gap", "conv1.scale", [](File& f) { f.header.erase("conv1.bias"); }},
      {"model.unaligned", "conv1.bias",
       [](File& f) {
         for (Json& offset : f.header["conv1.bias"]["data_offsets"]) offset = offset.get<int>() + 1;
       }},
      {"model.unknown_tensor", "stray",
       [](File& f) {
         f.header["stray"] = {
             {"dtype", "I8"}, {"shape", {1}}, {"data_offsets", {f.data.size(), f.data.size() + 1}}};
         f.data.push_back(0);
       }},
      {"model.missing_tensor", "conv1.weight",
       [](File& f) {
         f.header["conv1.weights"] = f.header["conv1.weight"];
         f.header.erase("conv1.weight");
       }},
      {"model.shape_mismatch", "conv1.weight",
       [](File& f) {
         f.header["conv1.weight"]["shape"] = {3, 4, 3, 3};
       }},
      {"model.shape_mismatch", "conv1.bias", [](File& f) { f.header["conv1.bias"]["dtype"] = "F64"; }},
      {"model.shape_mismatch", "conv1.scale", [](File& f) { f.header["conv1.scale"]["dtype"] = "I64"; }},
      {"model.shape_mismatch", "fc.bias",
       [](File& f) {
         f.header["fc.bias"]["shape"] = {4, 1};
       }},
  };
}

std::vector<Damage> metadata_damages() {
  return {
      {"model.metadata", "__metadata__", [](File& f) { f.header.erase("__metadata__"); }},
      {"model.metadata", "object", [](File& f) { f.header["__metadata__"] = 1; }},
      {"model.metadata", "softmax", [](File& f) { f.metadata().erase("softmax"); }},
      {"model.metadata", "softmax", [](File& f) { f.metadata()["softmax"] = true; }},
      {"model.metadata", "softmax", [](File& f) { f.metadata()["softmax"] = "maybe"; }},
      {"model.metadata", "author", [](File& f) { f.metadata()["author"] = "x"; }},
      {"model.format", "popcorn", [](File& f) { f.metadata()["format"] = "pt"; }},
      {"model.version", "version 2", [](File& f) { f.metadata()["version"] = "2"; }},
      {"model.version", "number", [](File& f) { f.metadata()["version"] = "-1"; }},
      {"model.version", "number", [](File& f) { f.metadata()["version"] = "01"; }},
      {"model.name", "name", [](File& f) { f.metadata()["name"] = "a/b"; }},
      {"model.encoding", "JSON", [](File& f) { f.metadata()["encoding"] = "{"; }},
      {"model.encoding", "color",
       [](File& f) { f.metadata()["encoding"] = R"({"shape":[3,6,6],"resize":"stretch"})"; }},
      {"model.labels", "JSON", [](File& f) { f.metadata()["labels"] = "[\"a\",]"; }},
      {"model.labels", "strings", [](File& f) { f.metadata()["labels"] = "[1, 2]"; }},
      {"model.labels", "3 labels", [](File& f) { f.metadata()["labels"] = "[\"a\",\"b\",\"c\"]"; }},
      {"model.facts", "pairs", [](File& f) { f.metadata()["facts"] = R"([["a"]])"; }},
      {"model.text", "description", [](File& f) { f.metadata()["description"] = "\x1b[2J"; }},
  };
}

std::vector<Damage> graph_damages() {
  return {
      {"model.graph", "array", [](File& f) { f.graph = Json::object(); }},
      {"model.graph", "node 3", [](File& f) { f.graph[3] = 5; }},
      {"model.graph", "node 3", [](File& f) { f.graph[3].erase("name"); }},
      {"model.graph", "conv1", [](File& f) { f.node("conv1").erase("window"); }},
      {"model.graph", "conv1", [](File& f) { f.node("conv1").erase("groups"); }},
      {"model.graph", "relu1", [](File& f) { f.node("relu1")["window"] = f.node("conv1")["window"]; }},
      {"model.graph", "relu1", [](File& f) { f.node("relu1")["colour"] = "red"; }},
      {"model.graph", "relu1",
       [](File& f) {
         f.node("relu1")["shape"] = {4, 6};
       }},
      {"model.graph", "relu1", [](File& f) { f.node("relu1")["scale"] = "1"; }},
      {"model.graph", "conv1", [](File& f) { f.node("conv1")["window"]["stride"][0] = 0; }},
      {"model.graph", "conv1", [](File& f) { f.node("conv1")["window"]["kernel"][0] = 1 << 20; }},
      {"model.graph", "conv1", [](File& f) { f.node("conv1")["groups"] = 0; }},
      {"model.graph", "join", [](File& f) { f.node("join")["multipliers"][1] = 0; }},
      {"model.graph", "join", [](File& f) { f.node("join")["multipliers"][1] = 1ULL << 63; }},
      {"model.multipliers", "join", [](File& f) { f.node("join")["multipliers"] = {1}; }},
      {"model.unknown_kind", "relu1", [](File& f) { f.node("relu1")["kind"] = "gelu"; }},
      {"model.unknown_node", "nowhere", [](File& f) { f.node("relu1")["inputs"] = {"nowhere"}; }},
      {"model.cycle", "relu1", [](File& f) { f.node("relu1")["inputs"] = {"depthwise"}; }},
      {"model.cycle", "relu1", [](File& f) { f.node("relu1")["inputs"] = {"relu1"}; }},
      {"model.duplicate_node", "conv1", [](File& f) { f.node("relu1")["name"] = "conv1"; }},
      {"model.operands", "conv1", [](File& f) { f.node("conv1")["inputs"] = Json::array(); }},
      {"model.operands", "relu1",
       [](File& f) {
         f.node("relu1")["inputs"] = {"conv1", "conv1"};
       }},
      {"model.operands", "join",
       [](File& f) {
         f.node("join")["inputs"] = {"sum"};
         f.node("both")["inputs"] = {"join", "sign", "max"};
       }},
      {"model.shape_mismatch", "relu1",
       [](File& f) {
         f.node("relu1")["shape"] = {4, 6, 7};
       }},
      {"model.shape", "relu1",
       [](File& f) {
         f.node("relu1")["shape"] = {4, kHuge, kHuge};
       }},
      {"model.shape_mismatch", "join",
       [](File& f) {
         f.node("join")["inputs"] = {"max", "sum", "depthwise"};
         f.node("join")["multipliers"] = {1, 1, 1};
       }},
      {"model.shape_mismatch", "both",
       [](File& f) {
         f.node("both")["inputs"] = {"join", "sign", "depthwise"};
         f.node("both")["multipliers"] = {1, 1, 1};
       }},
      {"model.scale", "relu1", [](File& f) { f.node("relu1")["scale"] = -0.5; }},
      {"model.node_count", "5000",
       [](File& f) {
         for (int i = 0; f.graph.size() < 5000; ++i) {
           f.graph.push_back(f.graph[2]);
           f.graph.back()["name"] = "copy" + std::to_string(i);
         }
       }},
      {"model.unused_node", "more",
       [](File& f) {
         Json more = f.node("relu1");
         more["name"] = "more";
         f.graph.insert(f.graph.begin() + 3, more);
       }},
  };
}

void check_all(const std::vector<Damage>& damages) {
  const Bytes golden = read_file(test::kGoldenFile);
  int index = 0;
  for (const Damage& damage : damages) {
    INFO("damage " << index++ << ", expected " << damage.code);
    File file = File::take_apart(golden);
    damage.apply(file);
    const bool keep_graph_text = !file.header.contains("__metadata__") || !file.metadata().is_object();
    require_refused(file.put_together(keep_graph_text), damage.code, damage.names);
  }
}

/// Loads, or is refused with an InputError of the model reader; nothing else may happen.
bool loads_or_is_refused(const Bytes& bytes) {
  try {
    const IntegerNetwork network = parse_network(bytes);
    REQUIRE(parse_network(serialise_network(network)).config_id() == network.config_id());
    return true;
  } catch (const InputError& error) {
    REQUIRE(error.code().starts_with("model."));
    return false;
  }
}

}  // namespace

TEST_CASE("an unharmed file taken apart and put together loads", "[models]") {
  REQUIRE_NOTHROW(parse_network(File::take_apart(read_file(test::kGoldenFile)).put_together()));
}

TEST_CASE("every damage to the container is refused by name", "[models]") {
  check_all(container_damages());
}

TEST_CASE("every damage to the metadata is refused by name", "[models]") {
  check_all(metadata_damages());
}

TEST_CASE("every damage to the graph is refused by name", "[models]") {
  check_all(graph_damages());
}

TEST_CASE("a file cut off anywhere is refused", "[models]") {
  const Bytes golden = read_file(test::kGoldenFile);
  for (std::size_t size = 0; size < golden.size(); ++size) {
    const Bytes cut(golden.begin(), golden.begin() + static_cast<std::ptrdiff_t>(size));
    INFO("cut at " << size);
    REQUIRE_THROWS_AS(parse_network(cut), InputError);
  }
}

TEST_CASE("header lengths that lie are refused without a large allocation", "[models]") {
  const Bytes golden = read_file(test::kGoldenFile);
  for (const std::uint64_t length :
       {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{1} << 26, (std::uint64_t{1} << 26) + 1,
        std::uint64_t{1} << 40, std::uint64_t{1} << 63, ~std::uint64_t{0}, ~std::uint64_t{7},
        static_cast<std::uint64_t>(golden.size()), static_cast<std::uint64_t>(golden.size()) - 8}) {
    Bytes changed;
    ByteWriter(changed).u64(length);
    changed.insert(changed.end(), golden.begin() + 8, golden.end());
    INFO("length " << length);
    REQUIRE_THROWS_AS(parse_network(changed), InputError);
  }
}

TEST_CASE("flipped bytes never do worse than a refusal", "[models]") {
  const Bytes golden = read_file(test::kGoldenFile);
  test::SeededRng rng(71);
  int loaded = 0;
  for (int round = 0; round < 3000; ++round) {
    Bytes changed = golden;
    for (std::int64_t k = rng.between(1, 3); k > 0; --k) {
      changed[static_cast<std::size_t>(rng.below(changed.size()))] =
          static_cast<std::uint8_t>(rng.next_u64());
    }
    INFO("round " << round);
    loaded += loads_or_is_refused(changed) ? 1 : 0;
  }
  REQUIRE(loaded > 10);  // weights are free to change
  REQUIRE(loaded < 3000);
}

TEST_CASE("random numbers in the header never do worse than a refusal", "[models]") {
  // Every run of digits in the header is replaced in turn by numbers near the limits of the types.
  const Bytes golden = read_file(test::kGoldenFile);
  const File file = File::take_apart(golden);
  const std::string header = file.header.dump();
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  for (std::size_t begin = 0; begin < header.size(); ++begin) {
    if (!is_digit(header[begin]) || (begin > 0 && is_digit(header[begin - 1]))) continue;
    std::size_t end = begin;
    while (end < header.size() && is_digit(header[end])) ++end;
    for (const char* number : {"0", "-1", "65535", "65537", "1048576", "2147483648", "9223372036854775807",
                               "9223372036854775808", "18446744073709551616", "1e3", "1e999", "0.5"}) {
      INFO("byte " << begin << " becomes " << number);
      loads_or_is_refused(
          File::with_header(header.substr(0, begin) + number + header.substr(end), file.data));
    }
  }
}

TEST_CASE("JSON that is deep, repeated, huge or not text is refused", "[models]") {
  const Bytes golden = read_file(test::kGoldenFile);
  File file = File::take_apart(golden);
  std::string text = file.header.dump();
  require_refused(File::with_header("{\"x\":" + std::string(100000, '['), {}), "model.header", "levels deep");
  require_refused(File::with_header("{\"x\":[" + std::string(3000000, ' ') + "1]}", {}), "model.metadata",
                  "__metadata__");
  std::string many = "{\"x\":[0";
  for (int i = 0; i < 1100000; ++i) many += ",0";
  require_refused(File::with_header(many + "]}", {}), "model.header", "elements");
  require_refused(File::with_header(text.substr(0, text.size() - 1) + ",\"fc.bias\":{}}", file.data),
                  "model.header", "fc.bias");
  require_refused(File::with_header(text.substr(0, text.size() - 1) + ",\"\xff\":{}}", file.data),
                  "model.header", "JSON");
  require_refused(File::with_header(text + "{}", file.data), "model.header", "JSON");
  require_refused(File::with_header("[]", file.data), "model.header", "object");
  file.metadata()["graph"] = std::string(1000, '[');
  require_refused(file.put_together(true), "model.graph", "levels deep");
}

TEST_CASE("messages carry no control characters from the file", "[models]") {
  File file = File::take_apart(read_file(test::kGoldenFile));
  file.node("relu1")["name"] = "\x1b]0;evil\x07";
  file.node("depthwise")["inputs"] = {"\x1b]0;evil\x07"};
  try {
    parse_network(file.put_together());
    FAIL("accepted");
  } catch (const InputError& error) {
    for (const char c : std::string(error.what())) REQUIRE(static_cast<unsigned char>(c) >= 0x20);
  }
}
