// What the benchmarks count must be exact; what they time is not tested.
#include <catch2/catch.hpp>

#include "base/error.h"
#include "cli/bench/linear_benchmark.h"
#include "cli/bench/paillier_benchmark.h"
#include "cli/bench/textbook_cost.h"
#include "cli/bench/transfers_benchmark.h"
#include "cli/random_weights.h"
#include "protocols/ciphertext/steps/linear_layer.h"
#include "tests/support/random_network.h"

using namespace popcorn;
using namespace popcorn::cli;
using paillier::LinearMap;

namespace {

models::IntegerNetwork network_with_weights(test::SeededRng& rng) {
  test::RandomNetworkOptions options;
  options.nodes = 4;
  options.bias_bits = 6;
  return test::random_network(rng, options);
}

paillier::PrivateKey small_key() {
  return paillier::PrivateKey::generate(512, paillier::KeyKind::ordinary,
                                        paillier::KeySizePolicy::insecure_test);
}

}  // namespace

TEST_CASE("the textbook's operations of a layer are counted exactly", "[bench]") {
  test::SeededRng rng(31);
  for (int round = 0; round < 20; ++round) {
    const models::IntegerNetwork network = network_with_weights(rng);
    for (std::size_t i = 0; i < network.nodes.size(); ++i) {
      const models::NodeKind kind = network.nodes[i].kind;
      if (kind != models::NodeKind::dense && kind != models::NodeKind::conv2d) continue;
      const LinearMap map = protocols::linear_map(network, i);
      std::uint64_t powers = 0;
      std::uint64_t divisions = 0;
      std::uint64_t additions = 0;
      for (std::size_t output = 0; output < map.outputs(); ++output) {
        const std::size_t channel = output / map.positions;
        bool negative = false;
        for (std::size_t k = map.row_start[channel]; k < map.row_start[channel + 1]; ++k) {
          negative = negative || map.weight[k] < 0;
          const std::size_t place = map.tap[k] * map.positions + output % map.positions;
          if (map.input_index[place] != LinearMap::kPadding) ++powers;
        }
        if (negative) ++divisions;
        if (!map.bias.is_zero(channel)) ++additions;
      }
      const TextbookLayer layer = TextbookLayer::of(map);
      REQUIRE(layer.powers == powers);
      REQUIRE(layer.divisions == divisions);
      REQUIRE(layer.additions == additions);
      if (powers > 0 && powers < 4096) REQUIRE(layer.sample.size() == powers);
    }
  }
}

TEST_CASE("measured layers are checked and cost what was planned", "[bench]") {
  test::SeededRng rng(32);
  const models::IntegerNetwork network = network_with_weights(rng);
  const LinearBenchmark benchmark = run_linear_benchmark(network, small_key(), 1, "");
  REQUIRE(!benchmark.layers.empty());
  for (const LinearFigure& layer : benchmark.layers) {
    REQUIRE(layer.multiplications == layer.planned_multiplications);
    REQUIRE(layer.multiplications <= layer.unshared_multiplications);
    REQUIRE(layer.checked_outputs == std::min<std::size_t>(64, layer.outputs));
    REQUIRE(layer.seconds.minimum <= layer.seconds.median);
    REQUIRE(layer.ratio_to_textbook() > 0);
  }
  REQUIRE_THROWS_AS(run_linear_benchmark(network, small_key(), 1, "no such layer"), UsageError);
}

TEST_CASE("networks of the zoo with random weights have the density and width asked for", "[bench]") {
  for (const models::ZooNetwork& zoo : models::zoo()) {
    test::SeededRng rng(33);
    INFO(zoo.name);
    const models::IntegerNetwork binary = with_random_weights(zoo, {1, 1.0}, rng);
    REQUIRE(binary.nonzeros() == binary.weights());
    REQUIRE(binary.output().shape.channels == static_cast<std::int64_t>(zoo.labels.size()));
    const models::IntegerNetwork sparse = with_random_weights(zoo, {4, 0.1}, rng);
    REQUIRE(sparse.weights() == binary.weights());
    const double density = static_cast<double>(sparse.nonzeros()) / static_cast<double>(sparse.weights());
    REQUIRE(density == Approx(0.1).margin(0.01));
    for (const models::Node& node : binary.nodes) {
      if (!node.weights.empty()) REQUIRE(node.magnitudes() == std::vector<std::int32_t>{1});
    }
    for (const models::Node& node : sparse.nodes) REQUIRE(node.weight_bits() <= 4);
  }
}

TEST_CASE("every primitive is measured, or the named one", "[bench]") {
  const auto key = small_key();
  const PaillierBenchmark all = run_paillier_benchmark(key, 1, "");
  REQUIRE(all.bits == 512);
  REQUIRE(all.figures.size() == primitive_names().size());
  for (std::size_t i = 0; i < all.figures.size(); ++i) REQUIRE(all.figures[i].op == primitive_names()[i]);
  const PaillierBenchmark one = run_paillier_benchmark(key, 1, "add");
  REQUIRE(one.figures.size() == 1);
  REQUIRE(one.figures[0].multiplications == 1);
  REQUIRE_THROWS_AS(run_paillier_benchmark(key, 1, "divide"), UsageError);
}

TEST_CASE("transfers and steps on shares are right and cost what was planned", "[bench]") {
  TransfersOptions options;
  options.sources = {"softspoken", "b10"};
  options.samples = 1;
  options.values = 1;
  const TransfersBenchmark benchmark = run_transfers_benchmark(options);
  CHECK(benchmark.figures.size() == 11);  // SoftSpoken's rows are not measured before they become pads
  for (const TransferFigure& figure : benchmark.figures) {
    INFO(figure.op << " from " << figure.source);
    CHECK(figure.checked > 0);
    CHECK(figure.wrong == 0);
    CHECK(figure.bytes > 0);
    const bool step = figure.op != "correlated" && figure.op != "random";
    CHECK((figure.flights > 0) == step);
    CHECK((figure.ring > 0) == step);
    if (!step) CHECK(figure.transfers == 1);
  }
}

TEST_CASE("operations and widths that are none are refused", "[bench]") {
  TransfersOptions options;
  options.sources = {"b10"};
  options.ops = {"relu", "softmax"};
  CHECK_THROWS_AS(run_transfers_benchmark(options), UsageError);
  options.ops = {"relu"};
  options.kept = options.ring;
  CHECK_THROWS_AS(run_transfers_benchmark(options), UsageError);
  options.kept = 8;
  options.sources = {"b99"};
  CHECK_THROWS_AS(run_transfers_benchmark(options), UsageError);
}
