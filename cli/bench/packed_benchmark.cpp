#include "cli/bench/packed_benchmark.h"

#include <algorithm>
#include <chrono>

#include "models/evaluation/plaintext_evaluator.h"
#include "paillier/kernels/kernel_registry.h"
#include "protocols/ot/steps/share_transfers.h"

namespace popcorn::cli {

using protocols::shares::ClientPreparation;
using protocols::shares::MaskedResult;
using protocols::shares::PackedNetwork;
using protocols::shares::PreparationPlan;
using protocols::shares::ServerPreparation;

namespace {

/// Wall seconds of a piece of work.
template <typename Work>
double seconds_of(const Work& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// Seconds of a layer's parts, one a run.
struct Samples {
  std::vector<double> encrypt, evaluate, decrypt;
};

/// Outputs whose words and carries do not add up to W·c.
std::size_t wrong_outputs(const models::IntegerNetwork& network, const PreparationPlan::Layer& layer,
                          const protocols::ot::Words& shares, const MaskedResult& client,
                          const MaskedResult& server) {
  const std::uint32_t mask = protocols::ot::low_bits(layer.facts.ring);
  std::vector<std::int64_t> input;
  for (const std::uint32_t share : shares) input.push_back(share & mask);
  const WideVector operand = WideVector::from_int64(input);
  const WideVector sums = models::evaluate_node(network, layer.node, {&operand});
  std::size_t wrong = 0;
  for (std::size_t i = 0; i < sums.size(); ++i) {
    const std::uint32_t carry = (client.lowest[i] + server.lowest[i] + 1) >> 1;
    const std::uint32_t sum = client.words[i] + server.words[i] + carry;
    if (((sum ^ static_cast<std::uint32_t>(sums[i][0])) & mask) != 0) ++wrong;
  }
  return wrong;
}

/// Biases are the server's in clear: they are no part of a preparation.
models::IntegerNetwork without_biases(models::IntegerNetwork network) {
  for (models::Node& node : network.nodes) node.bias = WideVector(node.bias.size(), node.bias.limbs());
  return network;
}

PackedFigure figure_of(const PackedNetwork& packed, std::size_t index, paillier::KeyKind kind) {
  const protocols::shares::PackedLayer& layer = packed.layer(index);
  const protocols::shares::WeightedLayer& facts = layer.layout().layer();
  PackedFigure figure;
  figure.name = facts.name;
  figure.input = facts.input.to_string();
  figure.output = facts.output.to_string();
  figure.ring = facts.ring;
  figure.slot_bits = facts.slot_bits;
  figure.slots = layer.layout().slots();
  figure.segments = layer.layout().segments();
  figure.cost = layer.cost(kind);
  figure.sum_multiplications = layer.plan().cost().multiplications;
  return figure;
}

}  // namespace

PackedBenchmark run_packed_benchmark(const models::IntegerNetwork& network, paillier::PrivateKey key,
                                     std::size_t runs, const BenchmarkProgress& progress) {
  const paillier::KeyKind kind = key.public_key().kind();
  const unsigned bits = key.public_key().bits();
  PackedBenchmark benchmark;
  benchmark.model = network.name;
  benchmark.kernel = paillier::kernels::active().name;
  benchmark.key = std::to_string(bits) + "-bit " +
                  (kind == paillier::KeyKind::subgroup ? "subgroup key" : "ordinary key");
  std::shared_ptr<const PackedNetwork> packed;
  benchmark.planning_seconds = seconds_of([&] {
    packed = std::make_shared<PackedNetwork>(network, protocols::shares::preparation_plan(network), bits);
  });
  const auto context = paillier::PublicContext::create(key.public_key());
  const auto owner = std::make_shared<const paillier::KeyOwner>(std::move(key));
  const models::IntegerNetwork unbiased = without_biases(network);
  const std::vector<PreparationPlan::Layer>& layers = packed->plan().layers;
  for (std::size_t i = 0; i < layers.size(); ++i) benchmark.layers.push_back(figure_of(*packed, i, kind));
  std::vector<Samples> samples(layers.size());
  for (std::size_t run = 0; run < runs; ++run) {
    ClientPreparation client(owner, packed->plan());
    ServerPreparation server(packed, context);
    for (std::size_t i = 0; i < layers.size(); ++i) {
      PackedFigure& figure = benchmark.layers[i];
      if (progress) progress(run * layers.size() + i, runs * layers.size(), figure.name);
      Bytes request, response;
      const std::uint64_t before = server.counts().multiplications;
      samples[i].encrypt.push_back(seconds_of([&] { client.append_request(request); }));
      samples[i].evaluate.push_back(seconds_of([&] { server.respond(i, request, response); }));
      samples[i].decrypt.push_back(seconds_of([&] { client.take_response(response); }));
      figure.multiplications = server.counts().multiplications - before;
      const MaskedResult of_server = server.take_result(i);
      figure.checked += of_server.words.size();
      figure.wrong += wrong_outputs(unbiased, layers[i], client.shares(layers[i].source),
                                    client.take_result(i), of_server);
    }
  }
  for (std::size_t i = 0; i < layers.size(); ++i) {
    benchmark.layers[i].encrypt = timing_of(samples[i].encrypt);
    benchmark.layers[i].evaluate = timing_of(samples[i].evaluate);
    benchmark.layers[i].decrypt = timing_of(samples[i].decrypt);
  }
  return benchmark;
}

}  // namespace popcorn::cli
