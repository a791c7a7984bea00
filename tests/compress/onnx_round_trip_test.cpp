#include <catch2/catch.hpp>

#include "compress/executor.h"
#include "compress/onnx/onnx_export.h"
#include "compress/onnx/onnx_import.h"
#include "compress/pruning/pruning.h"
#include "tests/compress/random_graph.h"

using namespace popcorn;
using namespace popcorn::compress;

TEST_CASE("a written network reads back as the same function") {
  test::SeededRng rng(1);
  for (int round = 0; round < 60; ++round) {
    FloatGraph graph = test::random_graph(rng, {true, true, true, true, true});
    graph.labels = {"a", "\"b\""};
    graph.dataset = "mnist";
    graph.softmax = round % 2 == 0;
    if (round % 3 == 0) {
      PruningOptions pruning;
      pruning.sparsity = 0.5;
      prune(graph, pruning);
    }
    const Bytes file = serialise_onnx(graph);
    CHECK(serialise_onnx(graph) == file);
    const FloatGraph read = parse_onnx(file, "file.onnx");
    CHECK(read.name == graph.name);
    CHECK(read.labels == graph.labels);
    CHECK(read.dataset == graph.dataset);
    CHECK(read.softmax == graph.softmax);
    CHECK(read.mean == graph.mean);
    CHECK(read.deviation == graph.deviation);
    CHECK(read.encoding.color == graph.encoding.color);
    const Dataset pictures = test::random_pictures(rng, graph.input().shape, 3);
    CHECK(test::relative_difference(logits(read, pictures), logits(graph, pictures)) < 1e-5);
  }
}

TEST_CASE("options override what the file says") {
  test::SeededRng rng(2);
  const FloatGraph graph = test::random_graph(rng);
  ImportOptions options;
  options.name = "other";
  options.mean = {0.25};
  options.deviation = {0.5};
  options.color = "bgr";
  options.labels = {"x"};
  const FloatGraph read = parse_onnx(serialise_onnx(graph), "file.onnx", options);
  const auto channels = static_cast<std::size_t>(graph.input().shape.channels);
  CHECK(read.name == "other");
  CHECK(read.mean == std::vector<double>(channels, 0.25));
  CHECK(read.deviation == std::vector<double>(channels, 0.5));
  CHECK(read.encoding.color == "bgr");
  CHECK(read.labels == std::vector<std::string>{"x"});
}
