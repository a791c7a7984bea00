#include "protocols/ciphertext/network_walk.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <numeric>

#include "tests/support/random_network.h"
#include "tests/support/seeded_rng.h"

namespace popcorn::protocols {
namespace {

/// Computes nothing: a tensor is how many values it has. Looks at what the walk holds whenever a step opens.
class Watcher {
 public:
  struct Tensor {
    std::size_t values = 0;
  };

  explicit Watcher(const CiphertextNetwork& network) : network_(network), walk_(network, *this) {}

  void run() {
    walk_.set_input({values_of(0)});
    while (walk_.advance()) walk_.close_step();
    for (std::size_t node = 0; node < network_.nodes.size(); ++node) {
      CAPTURE(node);
      CHECK((walk_.state().tensors[node] != nullptr) == (node + 1 == network_.nodes.size()));
    }
    CHECK(walk_.output().values == values_of(network_.nodes.size() - 1));
    CHECK(walk_.state().values.values == 0);
    CHECK(walk_.state().parts.empty());
  }
  std::size_t opened() const noexcept { return opened_; }

  Tensor evaluate(std::size_t node, std::span<const Tensor* const> operands) {
    for (std::size_t i = 0; i < operands.size(); ++i) {
      REQUIRE(operands[i] != nullptr);
      CHECK(operands[i]->values == values_of(network_.network.nodes[node].inputs[i]));
    }
    return {values_of(node)};
  }
  Tensor choose(const Tensor& /*values*/, std::span<const std::uint32_t> places) { return {places.size()}; }
  Tensor differences(const Tournament::Level& /*level*/, const Step& step, const Tensor& /*values*/) {
    return {step.count};
  }
  Tensor part(const Step& step, const Tensor& /*values*/) { return {step.count}; }
  Tensor winners(const Tournament::Level& /*level*/, const Step& /*step*/, Tensor result,
                 const Tensor& /*values*/) {
    return result;
  }
  Tensor join(const std::vector<Tensor>& parts) { return {sum(parts)}; }
  Tensor next_level(const std::vector<Tensor>& parts, const Tournament::Level& level,
                    const Tensor& /*values*/) {
    CHECK(sum(parts) == level.left.size());
    return {level.left.size() + level.kept.size()};
  }
  void open(std::size_t number, Tensor x) {
    ++opened_;
    const Step& step = network_.steps[number];
    CHECK(x.values == step.count);
    for (std::size_t node = 0; node < network_.nodes.size(); ++node) {
      CAPTURE(step.name, node);
      CHECK((walk_.state().tensors[node] != nullptr) == is_read_later(node, step.node));
    }
    CHECK((walk_.state().values.values == 0) == (step.level == 0));
    CHECK(sum(walk_.state().parts) == step.first);
  }
  Tensor close(std::size_t number) { return {static_cast<std::size_t>(network_.steps[number].count)}; }
  void stored(std::size_t node, const Tensor& tensor) { CHECK(tensor.values == values_of(node)); }

 private:
  std::size_t values_of(std::size_t node) const {
    return static_cast<std::size_t>(network_.network.nodes[node].shape.size());
  }
  /// By the graph alone: is `node` there before `now`, and read by `now` or a node behind it?
  bool is_read_later(std::size_t node, std::size_t now) const {
    const auto& nodes = network_.network.nodes;
    return node < now &&
           std::any_of(nodes.begin() + static_cast<std::ptrdiff_t>(now), nodes.end(),
                       [&](const models::Node& reader) {
                         return std::count(reader.inputs.begin(), reader.inputs.end(), node) > 0;
                       });
  }
  static std::size_t sum(const std::vector<Tensor>& parts) {
    return std::accumulate(parts.begin(), parts.end(), std::size_t{0},
                           [](std::size_t all, const Tensor& part) { return all + part.values; });
  }

  const CiphertextNetwork& network_;
  NetworkWalk<Watcher, Tensor> walk_;
  std::size_t opened_ = 0;
};

TEST_CASE("at every step the walk holds the tensors that are still read, and no other") {
  test::SeededRng rng(61);
  std::size_t opened = 0;
  for (int run = 0; run < 200; ++run) {
    CAPTURE(run);
    const models::IntegerNetwork network = test::random_network(rng);
    const CiphertextNetwork prepared(network, run % 2 == 0 ? kDefaultChunk : 7);  // a layer in several steps
    Watcher watcher(prepared);
    watcher.run();
    CHECK(watcher.opened() == prepared.steps.size());
    opened += watcher.opened();
  }
  CHECK(opened > 1000);
}

}  // namespace
}  // namespace popcorn::protocols
