// Requantised networks as ONNX: evaluator, exported file and the reference evaluator agree bit for bit.
#include <onnx/onnx_pb.h>

#include <catch2/catch.hpp>
#include <set>

#include "compress/onnx/integer_onnx.h"
#include "models/evaluation/plaintext_evaluator.h"
#include "models/file/popcorn_format.h"
#include "tests/compress/onnx_interpreter.h"
#include "tests/models/reference_evaluator.h"
#include "tests/support/random_network.h"

using namespace popcorn;
using models::IntegerNetwork;
using models::NodeKind;

TEST_CASE("exported requantised networks round as the evaluator and the reference do") {
  test::SeededRng rng(76);
  std::set<NodeKind> kinds;
  std::uint64_t wrapped = 0;
  int single = 0, checked = 0;
  for (int round = 0; round < 200; ++round) {
    const IntegerNetwork network = test::random_network(rng, test::requantised_options());
    const compress::IntegerOnnx exported = compress::integer_onnx(network);
    if (!exported.inexact.empty()) continue;
    ++checked;
    single += exported.double_precision ? 0 : 1;
    onnx::ModelProto model;
    REQUIRE(model.ParseFromArray(exported.file.data(), static_cast<int>(exported.file.size())));
    for (const models::Node& node : network.nodes) kinds.insert(node.kind);
    for (int k = 0; k < 3; ++k) {
      const WideVector input = test::random_input(rng, network);
      models::RangeCounts counts(network);
      const WideVector expected = models::evaluate(network, input, {models::Rounding(), 0, &counts});
      wrapped += counts.beyond();
      REQUIRE(test::to_zz(expected) == test::reference_outputs(network, input).back());
      std::vector<double> values;
      for (std::size_t i = 0; i < input.size(); ++i) values.push_back(input.to_double(i));
      const std::vector<double> found = test::run_onnx(model.graph(), values);
      REQUIRE(found.size() == expected.size());
      for (std::size_t i = 0; i < found.size(); ++i) {
        INFO("round " << round << ", output " << i);
        REQUIRE(found[i] == expected.to_double(i));
      }
    }
  }
  CHECK(checked > 150);
  CHECK(single > 10);
  CHECK(wrapped > 0);
  CHECK(kinds.size() == 12);
}
