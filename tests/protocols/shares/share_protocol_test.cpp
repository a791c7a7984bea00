// What a run on shares shows and takes: fast rounding, labels, uniform messages, flights of a wrong size.
#include <catch2/catch.hpp>
#include <cmath>

#include "base/error.h"
#include "models/evaluation/plaintext_evaluator.h"
#include "protocols/shares/run/share_cost.h"
#include "protocols/shares/run/share_run_local.h"
#include "tests/support/seeded_rng.h"

using namespace popcorn;
using namespace popcorn::protocols::shares;
using models::IntegerNetwork;
using models::Node;
using models::NodeKind;

namespace {

/// A small network with every kind of step, whose values keep to their rings.
class Builder {
 public:
  explicit Builder(test::SeededRng& rng) : rng_(rng) {
    network_.name = "small";
    network_.encoding.low = -100;
    network_.encoding.high = 100;
  }
  Node& add(NodeKind kind, const std::string& name, std::vector<std::size_t> inputs) {
    Node node;
    node.kind = kind;
    node.name = name;
    node.inputs = std::move(inputs);
    network_.nodes.push_back(std::move(node));
    return network_.nodes.back();
  }
  std::size_t last() const { return network_.nodes.size() - 1; }
  std::size_t input(models::Shape shape) {
    add(NodeKind::input, "input", {}).shape = shape;
    return last();
  }
  std::size_t weighted(NodeKind kind, const std::string& name, std::size_t from, models::Shape shape,
                       std::size_t weights, std::int64_t most, std::int64_t kernel = 1) {
    Node& node = add(kind, name, {from});
    node.shape = shape;
    if (kind == NodeKind::conv2d) {
      node.window.kernel_height = node.window.kernel_width = kernel;
      node.window.pad_top = node.window.pad_left = node.window.pad_bottom = node.window.pad_right =
          kernel / 2;
    }
    for (std::size_t i = 0; i < weights; ++i)
      node.weights.push_back(static_cast<std::int32_t>(rng_.between(-most, most)));
    return last();
  }
  std::size_t rescale(const std::string& name, std::size_t from, std::vector<std::int64_t> shifts,
                      bool rectify) {
    Node& node = add(NodeKind::rescale, name, {from});
    node.shifts = std::move(shifts);
    node.rectify = rectify;
    return last();
  }
  std::size_t pool(NodeKind kind, const std::string& name, std::size_t from, std::int64_t kernel,
                   std::int64_t stride) {
    Node& node = add(kind, name, {from});
    node.window.kernel_height = node.window.kernel_width = kernel;
    node.window.stride_height = node.window.stride_width = stride;
    return last();
  }
  IntegerNetwork finish(std::size_t from) {
    add(NodeKind::output, "output", {from});
    network_.finish();
    return network_;
  }

 private:
  test::SeededRng& rng_;
  IntegerNetwork network_;
};

IntegerNetwork small_network(test::SeededRng& rng, std::int64_t classes = 5) {
  Builder build(rng);
  std::size_t x = build.input({2, 8, 8});
  x = build.weighted(NodeKind::conv2d, "conv1", x, {4, 8, 8}, 4 * 2 * 9, 3, 3);
  const std::size_t relu = x = build.rescale("relu1", x, {4, 5, 6, 5}, true);
  x = build.weighted(NodeKind::conv2d, "conv2", x, {4, 8, 8}, 4 * 4 * 9, 3, 3);
  build.add(NodeKind::add, "sum", {relu, x}).multipliers = {5, 1};
  x = build.rescale("signed", build.last(), {6}, false);
  x = build.pool(NodeKind::sum_pool2d, "average", x, 2, 2);
  x = build.weighted(NodeKind::conv2d, "conv3", x, {6, 4, 4}, 6 * 4, 5);
  x = build.pool(NodeKind::max_pool2d, "largest", x, 3, 1);
  x = build.rescale("relu3", x, {6, 7, 8, 7, 6, 6}, true);
  build.add(NodeKind::flatten, "flatten", {x});
  x = build.weighted(NodeKind::dense, "fc", build.last(), {classes, 1, 1},
                     static_cast<std::size_t>(classes) * 24, 3);
  return build.finish(x);
}

WideVector random_picture(test::SeededRng& rng, const IntegerNetwork& network) {
  WideVector input(static_cast<std::size_t>(network.input().shape.size()), 1);
  for (std::size_t i = 0; i < input.size(); ++i) input.set_int64(i, rng.between(-100, 100));
  return input;
}

WideVector as_vector(const std::vector<std::int64_t>& values) {
  return WideVector::from_int64(values);
}

/// What an interactive node may make of its operand with the least and the largest rounding.
std::pair<WideVector, WideVector> step_bounds(const IntegerNetwork& network, std::size_t node,
                                              const WideVector& operand) {
  const Node& facts = network.nodes[node];
  if (facts.kind != NodeKind::rescale) {
    const WideVector y = models::evaluate_node(network, node, {&operand});
    return {y, y};
  }
  WideVector low(operand.size(), 1), high(operand.size(), 1);
  const std::size_t plane = operand.size() / static_cast<std::size_t>(facts.shape.channels);
  for (std::size_t j = 0; j < operand.size(); ++j) {
    const auto t = static_cast<unsigned>(facts.shift(j / plane));
    const std::int64_t floor = operand.to_int64(j) >> t;
    low.set_int64(j, facts.rectify ? std::max<std::int64_t>(0, floor) : floor);
    high.set_int64(j, facts.rectify ? std::max<std::int64_t>(0, floor + 1) : floor + 1);
  }
  return {low, high};
}

}  // namespace

TEST_CASE("every kind of step in one network, both ways of counting digits", "[shares][run]") {
  test::SeededRng rng(201);
  for (const bool few_flights : {false, true}) {
    const IntegerNetwork network = small_network(rng);
    ShareOptions options;
    options.few_flights = few_flights;
    LocalShares shares(network, options, rng);
    for (int i = 0; i < 3; ++i) {
      const WideVector input = random_picture(rng, network);
      OpenedCheck check(network, input);
      const LocalInference run = shares.infer(input, check.observer());
      INFO(check.first_wrong());
      CHECK(check.wrong() == 0);
      CHECK(check.values() > 1000);
      CHECK(as_vector(run.answer.logits) == models::evaluate(network, input));
    }
  }
}

TEST_CASE("fast rounding gives the floor or one more, without bias", "[shares][fast]") {
  test::SeededRng rng(202);
  double error = 0, variance = 0;
  std::size_t checked = 0;
  for (int round = 0; round < 8; ++round) {
    const IntegerNetwork network = small_network(rng);
    ShareOptions options;
    options.rounding = ShareRounding::fast;
    LocalShares shares(network, options, rng);
    for (int i = 0; i < 4; ++i) {
      std::map<std::size_t, WideVector> opened;
      const WideVector input = random_picture(rng, network);
      const LocalInference run =
          shares.infer(input, [&](std::size_t node, unsigned, const std::vector<std::int64_t>& values) {
            opened[node] = as_vector(values);
          });
      CHECK(run.online.flights == predict_shares(shares.plan()).all.flights);
      for (const auto& [node, y] : opened) {
        const Node& facts = network.nodes[node];
        if (facts.inputs.empty()) continue;
        INFO("node " << facts.name);
        std::size_t from = facts.inputs.front();
        if (opened.count(from) == 0)
          from = network.nodes[from].inputs.front();  // a pool that the step took in
        if (facts.kind == NodeKind::rescale) {
          const WideVector x = from == facts.inputs.front()
                                   ? opened.at(from)
                                   : models::evaluate_node(network, facts.inputs.front(), {&opened.at(from)});
          const auto [low, high] = step_bounds(network, node, x);
          const std::size_t plane = y.size() / static_cast<std::size_t>(facts.shape.channels);
          for (std::size_t j = 0; j < y.size(); ++j) {
            ++checked;
            REQUIRE((y.to_int64(j) == low.to_int64(j) || y.to_int64(j) == high.to_int64(j)));
            const auto t = static_cast<unsigned>(facts.shift(j / plane));
            const bool clipped = facts.rectify && x.to_int64(j) < std::int64_t{1} << t;
            if (clipped || from != facts.inputs.front()) continue;
            const double exact = std::ldexp(static_cast<double>(x.to_int64(j)), -static_cast<int>(t));
            const double part = exact - std::floor(exact);
            error += static_cast<double>(y.to_int64(j)) - exact;
            variance += part * (1 - part);
          }
        } else if (shares.plan().network.nodes[node].weighted() || facts.kind == NodeKind::flatten) {
          WideVector x = opened.at(from);
          const WideVector exact = models::evaluate_node(network, node, {&x});
          for (std::size_t j = 0; j < y.size(); ++j) {
            const std::int64_t more = y.to_int64(j) - exact.to_int64(j);
            REQUIRE((more == 0 || more == 1));
          }
        }
      }
    }
  }
  CHECK(checked > 10'000);
  CAPTURE(error, variance);
  CHECK(variance > 1000);
  CHECK(std::abs(error) < 3 * std::sqrt(variance));
}

TEST_CASE("a label is the index of the first largest logit, and nothing else is sent", "[shares][label]") {
  test::SeededRng rng(203);
  for (const std::int64_t classes : {2, 3, 5, 7, 10, 40}) {
    for (const ShareRounding rounding : {ShareRounding::nearest, ShareRounding::fast}) {
      IntegerNetwork network = small_network(rng, classes);
      // The last two classes are the same: the first of them wins.
      std::vector<std::int32_t>& weights = network.nodes[network.nodes.size() - 2].weights;
      std::copy(weights.end() - 48, weights.end() - 24, weights.end() - 24);
      network.finish();
      ShareOptions options;
      options.label_only = true;
      options.rounding = rounding;
      LocalShares shares(network, options, rng);
      for (int i = 0; i < 4; ++i) {
        const WideVector input = random_picture(rng, network);
        std::vector<std::int64_t> logits;
        const LocalInference run =
            shares.infer(input, [&](std::size_t node, unsigned, const std::vector<std::int64_t>& values) {
              if (node == network.nodes.size() - 2) logits = values;
            });
        REQUIRE(run.answer.label);
        CHECK(run.answer.logits.empty());
        CHECK(*run.answer.label == models::arg_max(as_vector(logits)));
        CHECK(run.online.bytes[0] == predict_shares(shares.plan()).all.bytes[0]);
        CHECK(run.online.flights == predict_shares(shares.plan()).all.flights);
      }
    }
  }
}

namespace {

/// How often each bit of an inference's flights was 1.
struct BitCounts {
  std::vector<int> ones;
  int runs = 0;

  void add(const IntegerNetwork& network, LocalShares& shares, const WideVector& input, int more,
           test::SeededRng& rng) {
    for (int run = 0; run < more; ++run) {
      std::size_t at = 0;
      const DealtPreparation preparation = deal_preparation(network, shares.plan(), rng);
      shares.infer(input, preparation, {}, [&](bool, Bytes& flight) {
        for (const std::uint8_t byte : flight) {
          for (int bit = 0; bit < 8; ++bit, ++at) {
            if (ones.size() <= at) ones.push_back(0);
            ones[at] += byte >> bit & 1;
          }
        }
      });
    }
    runs += more;
  }
  double deviation(std::size_t bit) const { return (ones[bit] - runs / 2.0) / std::sqrt(runs / 4.0); }
};

/// Held against fair coins. The largest of a million deviations is above 5.5 once in 26 tries.
void check_fair(const BitCounts& counts) {
  std::size_t padding = 0;
  double squares = 0, farthest = 0;
  for (std::size_t bit = 0; bit < counts.ones.size(); ++bit) {
    padding += counts.ones[bit] == 0 ? 1 : 0;
    if (counts.ones[bit] == 0) continue;
    const double z = counts.deviation(bit);
    squares += z * z;
    farthest = std::max(farthest, std::abs(z));
  }
  CAPTURE(counts.ones.size(), counts.runs, padding, farthest);
  CHECK(padding < counts.ones.size() / 20);  // unused bits of a plane's last byte
  CHECK(farthest < 6);
  const double counted = static_cast<double>(counts.ones.size() - padding);
  CHECK(std::abs(squares - counted) < 5 * std::sqrt(2 * counted));
}

}  // namespace

TEST_CASE("all that a party receives is uniform, whatever the input", "[shares][uniform]") {
  test::SeededRng rng(2040);
  const IntegerNetwork network = small_network(rng);
  for (const ShareRounding rounding : {ShareRounding::nearest, ShareRounding::fast}) {
    ShareOptions options;
    options.rounding = rounding;
    LocalShares shares(network, options, rng);
    for (const bool zero : {true, false}) {
      const WideVector input = zero ? WideVector(static_cast<std::size_t>(network.input().shape.size()), 1)
                                    : random_picture(rng, network);
      BitCounts counts;
      counts.add(network, shares, input, 300, rng);
      check_fair(counts);
    }
  }
}

// A bit that is not fair is farther off the longer one looks, whoever draws; one that only looked so is not.
TEST_CASE("the bits of twenty seeds together are uniform, and none that was far off stays so",
          "[.][shares][uniform-seeds]") {
  test::SeededRng of_network(204);
  const IntegerNetwork network = small_network(of_network);
  for (const ShareRounding rounding : {ShareRounding::nearest, ShareRounding::fast}) {
    ShareOptions options;
    options.rounding = rounding;
    for (const bool zero : {true, false}) {
      test::SeededRng of_input(204);
      const WideVector input = zero ? WideVector(static_cast<std::size_t>(network.input().shape.size()), 1)
                                    : random_picture(of_input, network);
      BitCounts all;
      for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        test::SeededRng rng(20'400 + seed);
        LocalShares shares(network, options, rng);
        BitCounts of_seed;
        of_seed.add(network, shares, input, 300, rng);
        std::size_t farthest = 0;
        for (std::size_t bit = 0; bit < of_seed.ones.size(); ++bit) {
          if (of_seed.ones[bit] != 0 &&
              std::abs(of_seed.deviation(bit)) > std::abs(of_seed.deviation(farthest)))
            farthest = bit;
        }
        if (all.ones.empty()) all.ones.assign(of_seed.ones.size(), 0);
        for (std::size_t bit = 0; bit < all.ones.size(); ++bit) all.ones[bit] += of_seed.ones[bit];
        all.runs += of_seed.runs;
        WARN((rounding == ShareRounding::fast ? "fast" : "nearest")
             << (zero ? ", zeros" : ", picture") << ", seed " << seed << ": bit " << farthest << " of "
             << of_seed.ones.size() << " is " << of_seed.deviation(farthest)
             << " sigma off, of all seeds so far " << all.deviation(farthest));
      }
      check_fair(all);
    }
  }
}

TEST_CASE("a flight that is cut, too long or foreign ends the run", "[shares][hostile]") {
  test::SeededRng rng(205);
  const IntegerNetwork network = small_network(rng);
  const WideVector input = random_picture(rng, network);
  const SharePlan plan = plan_shares(share_network(network));
  const std::size_t flights = predict_shares(plan).flights.size();
  const auto altered = [&](std::size_t at, const std::function<void(Bytes&)>& change) {
    LocalShares shares(network, {}, rng);
    std::size_t flight = 0;
    shares.infer(input, deal_preparation(network, shares.plan(), rng), {}, [&](bool, Bytes& bytes) {
      if (flight++ == at) change(bytes);
    });
  };
  for (std::size_t at = 0; at < flights; ++at) {
    CAPTURE(at);
    CHECK_THROWS_AS(altered(at, [](Bytes& bytes) { bytes.pop_back(); }), InputError);
    CHECK_THROWS_AS(altered(at, [](Bytes& bytes) { bytes.push_back(0); }), InputError);
    CHECK_NOTHROW(altered(at, [](Bytes& bytes) { bytes[bytes.size() / 2] ^= 0x10; }));
  }
}

TEST_CASE("parts of a preparation that have another size are refused", "[shares][hostile]") {
  test::SeededRng rng(206);
  const IntegerNetwork network = small_network(rng);
  const WideVector input = random_picture(rng, network);
  LocalShares shares(network, {}, rng);
  DealtPreparation preparation = deal_preparation(network, shares.plan(), rng);
  preparation.client.begin()->second.words.pop_back();
  try {
    shares.infer(input, preparation);
    FAIL("no error");
  } catch (const InputError& error) {
    CHECK(error.code() == "shares.preparation");
    CHECK(std::string(error.what()).find("conv1") != std::string::npos);
  }
}
