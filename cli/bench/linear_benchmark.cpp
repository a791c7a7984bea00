#include "cli/bench/linear_benchmark.h"

#include <tbb/global_control.h>

#include <algorithm>
#include <span>

#include "base/error.h"
#include "cli/bench/textbook_cost.h"
#include "paillier/evaluator.h"
#include "paillier/kernels/kernel.h"
#include "paillier/kernels/kernel_registry.h"
#include "paillier/keys/key_owner.h"
#include "protocols/ciphertext/steps/linear_layer.h"

namespace popcorn::cli {

using models::NodeKind;
using paillier::CiphertextBatch;
using paillier::LinearMap;

namespace {

constexpr double kSampleSeconds = 0.05;
constexpr std::size_t kMostChecks = 64;

bool has_weights(NodeKind kind) {
  return kind == NodeKind::dense || kind == NodeKind::conv2d;
}

std::vector<std::size_t> chosen_layers(const models::IntegerNetwork& network, const std::string& only) {
  std::vector<std::size_t> chosen;
  std::string names;
  for (std::size_t i = 0; i < network.nodes.size(); ++i) {
    const models::Node& node = network.nodes[i];
    if (!has_weights(node.kind)) continue;
    names += (names.empty() ? "" : ", ") + node.name;
    if (only.empty() || only == node.name) chosen.push_back(i);
  }
  if (chosen.empty()) {
    throw UsageError("bench.unknown_layer", "model \"" + network.name + "\" has no layer \"" + only +
                                                "\" with weights; known: " + names);
  }
  return chosen;
}

/// Uniform values below the bound of the layer's input, cut to 16 bits so that sums fit 64.
std::vector<std::int64_t> random_inputs(const models::Node& producer, Rng& rng) {
  constexpr unsigned kMostBits = 16;
  const unsigned bits = std::min(producer.bounds.bits, kMostBits);
  const std::int64_t limit = std::int64_t{1} << bits;
  std::vector<std::int64_t> values(static_cast<std::size_t>(producer.shape.size()));
  for (auto& value : values) value = static_cast<std::int64_t>(rng.below(2 * limit - 1)) - limit + 1;
  return values;
}

/// Σ w·x + b of one output.
std::int64_t plain_output(const LinearMap& map, const std::vector<std::int64_t>& x, std::size_t output) {
  const std::size_t channel = output / map.positions;
  const std::size_t position = output % map.positions;
  std::int64_t sum = 0;
  for (std::size_t k = map.row_start[channel]; k < map.row_start[channel + 1]; ++k) {
    const std::uint32_t input = map.input_index[map.tap[k] * map.positions + position];
    if (input != LinearMap::kPadding) sum += map.weight[k] * x[input];
  }
  return sum + map.bias.to_int64(channel);
}

/// Decrypts some outputs and compares. Layers whose sums may leave 64 bits are passed over.
std::size_t check(const LinearMap& map, const std::vector<std::int64_t>& x, const CiphertextBatch& y,
                  const paillier::Evaluator& evaluator, const paillier::KeyOwner& owner,
                  const std::string& name) {
  constexpr unsigned kMostBiasBits = 62;
  for (std::size_t channel = 0; channel < map.channels; ++channel) {
    if (map.bias.bit_length(channel) > kMostBiasBits) return 0;
  }
  const std::size_t checks = std::min(kMostChecks, map.outputs());
  std::vector<std::uint32_t> places;
  for (std::size_t i = 0; i < checks; ++i) {
    places.push_back(static_cast<std::uint32_t>(i * map.outputs() / checks));
  }
  Bytes wire;
  evaluator.serialise(y.gather(places), wire);
  const WideVector decrypted = owner.decrypt(wire, checks, 1);
  for (std::size_t i = 0; i < checks; ++i) {
    if (decrypted.to_int64(i) != plain_output(map, x, places[i])) {
      throw CheckError("bench.wrong_result", "output " + std::to_string(places[i]) + " of layer \"" + name +
                                                 "\" is not its weighted sum");
    }
  }
  return checks;
}

Timing scaled_textbook(const TextbookLayer& layer, std::span<const Timing> timings) {
  const auto scale = [&](double Timing::*which) {
    return layer.seconds(timings[0].*which, timings[1].*which, timings[2].*which);
  };
  return {scale(&Timing::median), scale(&Timing::minimum), scale(&Timing::maximum)};
}

}  // namespace

LinearBenchmark run_linear_benchmark(const models::IntegerNetwork& network, paillier::PrivateKey key,
                                     std::size_t samples, const std::string& only,
                                     const BenchmarkProgress& progress) {
  const std::vector<std::size_t> chosen = chosen_layers(network, only);
  const tbb::global_control one_core(tbb::global_control::max_allowed_parallelism, 1);
  GmpTextbook gmp(key, system_rng());
  const paillier::KeyOwner owner(std::move(key));
  const auto context = paillier::PublicContext::create(owner.public_key());
  const paillier::Evaluator evaluator(context);
  LinearBenchmark benchmark{network.name, paillier::kernels::active().name, owner.public_key().bits(), {}};
  for (const std::size_t index : chosen) {
    const models::Node& node = network.nodes[index];
    if (progress) progress(benchmark.layers.size(), chosen.size(), node.name);
    const paillier::WeightedSumPlan plan(protocols::linear_map(network, index));
    const LinearMap& map = plan.map();
    const std::vector<std::int64_t> values = random_inputs(network.nodes[node.inputs.front()], system_rng());
    Bytes wire;
    owner.encrypt(WideVector::from_int64(values), wire);
    const CiphertextBatch x = evaluator.parse(wire, values.size());

    LinearFigure figure;
    figure.name = node.name;
    figure.kind = models::to_string(node.kind);
    figure.inputs = map.inputs;
    figure.outputs = map.outputs();
    figure.planned_multiplications = plan.cost().multiplications;
    figure.unshared_multiplications = plan.cost().unshared;
    figure.table_entries = plan.cost().table_entries;
    figure.naive_multiplications = plan.cost().naive;
    const std::uint64_t before = evaluator.counts().multiplications;
    CiphertextBatch y = evaluator.weighted_sum(plan, x);
    figure.multiplications = evaluator.counts().multiplications - before;
    figure.checked_outputs = check(map, values, y, evaluator, owner, node.name);

    const TextbookLayer textbook = TextbookLayer::of(map);
    figure.weights = textbook.powers;
    figure.textbook_sample = textbook.sample.size();
    std::vector<Contender> contenders = textbook.contenders(gmp);
    const paillier::WeightedSumPlan unshared(map, paillier::WeightedSumPlan::Tables::never);
    const auto evaluating = [&](const paillier::WeightedSumPlan& which) {
      return Contender{[&](std::size_t n) {
                         for (; n > 0; --n) y = evaluator.weighted_sum(which, x);
                       },
                       1};
    };
    contenders.push_back(evaluating(plan));
    contenders.push_back(evaluating(unshared));
    const std::vector<Timing> timings = time_in_turn(contenders, samples, kSampleSeconds);
    figure.textbook_seconds = scaled_textbook(textbook, timings);
    figure.seconds = timings[timings.size() - 2];
    figure.unshared_seconds = timings.back();
    benchmark.layers.push_back(std::move(figure));
  }
  return benchmark;
}

}  // namespace popcorn::cli
