#include "models/file/popcorn_file.h"

#include <catch2/catch.hpp>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "models/evaluation/plaintext_evaluator.h"
#include "models/network/graph_rewrites.h"
#include "tests/models/golden_network.h"
#include "tests/support/random_network.h"

using namespace popcorn;
using namespace popcorn::models;
using Json = nlohmann::json;

namespace {

void require_same(const Node& a, const Node& b) {
  INFO("node " << a.name);
  REQUIRE(a.kind == b.kind);
  REQUIRE(a.name == b.name);
  REQUIRE(a.inputs == b.inputs);
  REQUIRE(a.shape == b.shape);
  REQUIRE(a.window == b.window);
  REQUIRE(a.groups == b.groups);
  REQUIRE(a.weights == b.weights);
  REQUIRE(a.bias == b.bias);
  REQUIRE(a.multipliers == b.multipliers);
  REQUIRE(a.scale == b.scale);  // to the last bit
  REQUIRE(a.bounds.low == b.bounds.low);
  REQUIRE(a.bounds.high == b.bounds.high);
  REQUIRE(a.bounds.bits == b.bounds.bits);
}

void require_same(const IntegerNetwork& a, const IntegerNetwork& b) {
  REQUIRE(a.name == b.name);
  REQUIRE(a.description == b.description);
  REQUIRE(a.labels == b.labels);
  REQUIRE(a.softmax == b.softmax);
  REQUIRE(a.facts == b.facts);
  REQUIRE(a.encoding.shape == b.encoding.shape);
  REQUIRE(a.encoding.color == b.encoding.color);
  REQUIRE(a.encoding.resize == b.encoding.resize);
  REQUIRE(a.encoding.resize_shorter_side == b.encoding.resize_shorter_side);
  REQUIRE(a.encoding.invert == b.encoding.invert);
  REQUIRE(a.encoding.offset == b.encoding.offset);
  REQUIRE(a.encoding.low == b.encoding.low);
  REQUIRE(a.encoding.high == b.encoding.high);
  REQUIRE(a.nodes.size() == b.nodes.size());
  for (std::size_t i = 0; i < a.nodes.size(); ++i) require_same(a.nodes[i], b.nodes[i]);
}

Json header_of(const Bytes& file) {
  const std::uint64_t size = ByteReader(file, "test").u64();
  return Json::parse(file.begin() + 8, file.begin() + 8 + static_cast<std::ptrdiff_t>(size));
}

/// A file in a folder of its own that goes away.
class TemporaryFile {
 public:
  explicit TemporaryFile(const std::string& name)
      : folder_(std::filesystem::temp_directory_path() /
                ("popcorn-models-test-" + std::to_string(reinterpret_cast<std::uintptr_t>(this)))) {
    std::filesystem::create_directories(folder_);
    path_ = folder_ / name;
  }
  ~TemporaryFile() { std::filesystem::remove_all(folder_); }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path folder_;
  std::filesystem::path path_;
};

}  // namespace

TEST_CASE("a network survives its file", "[models]") {
  test::SeededRng rng(61);
  for (int round = 0; round < 150; ++round) {
    test::RandomNetworkOptions options;
    options.max_weight = std::array<std::int32_t, 3>{7, 3000, INT32_MAX}[static_cast<std::size_t>(round) % 3];
    options.bias_bits = round % 5 == 0 ? 150 : 20;
    options.max_multiplier = round % 4 == 0 ? INT64_MAX : 5;
    IntegerNetwork network = test::random_network(rng, options);
    network.description = "round " + std::to_string(round);
    network.softmax = round % 2 == 0;
    if (round % 3 == 0) network.facts = {{"k", "v"}, {"k", "v2"}, {"\u20ac", "\"\\"}};
    const Bytes file = serialise_network(network);
    const IntegerNetwork copy = parse_network(file);
    require_same(network, copy);
    REQUIRE(serialise_network(copy) == file);
    REQUIRE(copy.config_id() == network.config_id());
  }
}

TEST_CASE("the file's bytes are pinned", "[models]") {
  const IntegerNetwork network = test::golden_network();
  const Bytes golden = read_file(test::kGoldenFile);
  REQUIRE(serialise_network(network) == golden);
  require_same(parse_network(golden), network);
}

TEST_CASE("any safetensors reader can open the file", "[models]") {
  test::SeededRng rng(62);
  for (int round = 0; round < 40; ++round) {
    const Bytes file =
        round == 0 ? read_file(test::kGoldenFile) : serialise_network(test::random_network(rng));
    const std::map<std::string, std::size_t> sizes = {{"I8", 1},  {"I16", 2}, {"I32", 4},
                                                      {"I64", 8}, {"U64", 8}, {"F64", 8}};
    const Json header = header_of(file);
    const std::size_t data = file.size() - 8 - ByteReader(file, "test").u64();
    REQUIRE((file.size() - data) % 8 == 0);
    REQUIRE(file[8] == '{');
    std::map<std::size_t, std::size_t> ranges;
    for (const auto& [name, entry] : header.items()) {
      if (name == "__metadata__") {
        for (const auto& [key, value] : entry.items()) REQUIRE(value.is_string());
        continue;
      }
      INFO(name);
      REQUIRE(entry.size() == 3);
      std::size_t bytes = sizes.at(entry.at("dtype").get<std::string>());
      REQUIRE(entry.at("data_offsets").at(0).get<std::size_t>() % bytes == 0);
      for (const auto& extent : entry.at("shape")) bytes *= extent.get<std::size_t>();
      const auto begin = entry.at("data_offsets").at(0).get<std::size_t>();
      REQUIRE(entry.at("data_offsets").at(1).get<std::size_t>() == begin + bytes);
      REQUIRE(ranges.emplace(begin, begin + bytes).second);
    }
    std::size_t place = 0;  // no gap, no overlap, nothing after the last
    for (const auto& [begin, end] : ranges) {
      REQUIRE(begin == place);
      place = end;
    }
    REQUIRE(place == data);
  }
}

TEST_CASE("weights take the narrowest type, wide biases words", "[models]") {
  const Json header = header_of(read_file(test::kGoldenFile));
  REQUIRE(header["conv1.weight"]["dtype"] == "I8");
  REQUIRE(header["depthwise.weight"]["dtype"] == "I16");
  REQUIRE(header["fc.weight"]["dtype"] == "I32");
  REQUIRE(header["conv1.bias"]["dtype"] == "I64");
  REQUIRE(header["fc.bias"]["dtype"] == "U64");
  REQUIRE(header["fc.bias"]["shape"] == Json::array({2, 2}));
  REQUIRE(header["conv1.scale"]["dtype"] == "F64");
}

TEST_CASE("files are written whole, read back and rewritten for encryption", "[models]") {
  test::SeededRng rng(63);
  test::RandomNetworkOptions options;
  options.kinds = {NodeKind::relu, NodeKind::max_pool2d, NodeKind::conv2d};
  const TemporaryFile file("network.popcorn");
  std::size_t rewritten = 0;
  for (int round = 0; round < 40; ++round) {
    const IntegerNetwork network = test::random_network(rng, options);
    write_network(network, file.path());
    const IntegerNetwork copy = read_network(file.path());
    IntegerNetwork expected = network;
    rewritten += move_max_pool_before_relu(expected);
    optimise(expected);
    require_same(copy, expected);
    const WideVector input = test::random_input(rng, network);
    REQUIRE(evaluate(copy, input) == evaluate(network, input));
  }
  REQUIRE(rewritten > 0);
}

TEST_CASE("a failure to read names the path", "[models]") {
  REQUIRE_THROWS_AS(read_network("tests/data/models/none.popcorn"), IoError);
  const TemporaryFile file("damaged.popcorn");
  write_file(file.path(), as_bytes("this is no network"));
  try {
    read_network(file.path());
    FAIL("accepted");
  } catch (const InputError& error) {
    REQUIRE(error.code() == "model.header");
    REQUIRE(std::string(error.what()).find("damaged.popcorn") != std::string::npos);
  }
}

TEST_CASE("texts that a reader would refuse are refused before they are written", "[models]") {
  IntegerNetwork network = test::golden_network();
  for (const std::string& text : {std::string("two\nlines"), std::string("\x1b[31m"),
                                  std::string("\u009b31m"), std::string(5000, 'x')}) {
    IntegerNetwork changed = network;
    changed.description = text;
    REQUIRE_THROWS_AS(changed.finish(), InputError);
    changed = network;
    changed.labels[1] = text;
    REQUIRE_THROWS_AS(changed.finish(), InputError);
    changed = network;
    changed.facts[0].second = text;
    REQUIRE_THROWS_AS(changed.finish(), InputError);
  }
  network.description = "\xff\xfe";  // no UTF-8
  REQUIRE_THROWS_AS(serialise_network(network), InputError);
}
