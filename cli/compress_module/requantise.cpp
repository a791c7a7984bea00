#include "cli/compress_module/requantise.h"

#include <CLI/CLI.hpp>
#include <algorithm>

#include "base/error.h"
#include "cli/compress_module/interruption.h"
#include "cli/terminal/output.h"
#include "compress/integer_accuracy.h"
#include "models/evaluation/plaintext_evaluator.h"

namespace popcorn::cli {

namespace {

std::vector<WideVector> calibration_inputs(const models::IntegerNetwork& network,
                                           const compress::Dataset& pictures, std::size_t most) {
  const std::size_t count = std::min(most, pictures.count());
  const std::vector<std::int16_t> values = compress::integer_inputs(network, pictures, 0, count);
  const auto size = static_cast<std::size_t>(network.input().shape.size());
  std::vector<WideVector> inputs;
  for (std::size_t k = 0; k < count; ++k) {
    WideVector input(size, 1);
    for (std::size_t i = 0; i < size; ++i) input.set_int64(i, values[k * size + i]);
    inputs.push_back(std::move(input));
  }
  return inputs;
}

std::pair<std::string, int> layer_bits(const std::string& pair) {
  const std::size_t equals = pair.rfind('=');
  int bits = 0;
  if (equals == std::string::npos || equals == 0 ||
      !CLI::detail::lexical_cast(pair.substr(equals + 1), bits)) {
    throw UsageError("option.pair", "\"" + pair + "\" is not NAME=BITS");
  }
  return {pair.substr(0, equals), bits};
}

void print_layers(std::ostream& out, const std::vector<compress::RequantisedLayer>& layers) {
  constexpr Table::Align kLeft = Table::Align::left;
  Table table({{"layer", kLeft}, {"exact bits"}, {"ring bits"}, {"range", kLeft}, {"shift"}, {"dB"}});
  for (const compress::RequantisedLayer& layer : layers) {
    std::string shift;
    if (layer.largest_shift > 0) {
      shift = std::to_string(layer.least_shift);
      if (layer.largest_shift != layer.least_shift) shift += "-" + std::to_string(layer.largest_shift);
    }
    table.add_row({layer.name, std::to_string(layer.exact_bits), std::to_string(layer.ring_bits),
                   layer.calibrated ? "calibrated" : "static", shift, fixed(layer.signal_to_noise_db, 1)});
  }
  table.print(out);
}

}  // namespace

models::IntegerNetwork requantise_network(const models::IntegerNetwork& exact, const TrainingData& data,
                                          const RequantiseChoice& choice, std::ostream* table) {
  compress::RequantisationOptions options;
  options.activation_bits = choice.activation_bits.value();
  for (const std::string& pair : choice.layer_activations) options.layers.push_back(layer_bits(pair));
  options.stop = &watch_interruption();
  compress::RequantisedNetwork result =
      compress::requantise(exact, calibration_inputs(exact, data.training, choice.images), options);
  models::RangeCounts counts(result.network);
  const double before = compress::integer_accuracy(exact, data.test, options.stop);
  const double after = compress::integer_accuracy(result.network, data.test, options.stop, &counts);
  auto& facts = result.network.facts;
  facts.emplace_back("exact_accuracy", fixed(before, 4));
  facts.emplace_back("requantised_accuracy", fixed(after, 4));
  facts.emplace_back("beyond_range",
                     std::to_string(counts.beyond()) + " of " + std::to_string(counts.values()) + " values");
  if (table != nullptr) {
    print_layers(*table, result.layers);
    *table << "Requantised: " << human_percent(after) << " of " << grouped(data.test.count())
           << " test pictures (exact: " << human_percent(before) << "), " << grouped(counts.beyond())
           << " of " << grouped(counts.values()) << " values beyond their range\n";
  }
  return std::move(result.network);
}

compress::FloatGraph data_graph(const models::IntegerNetwork& network) {
  compress::FloatGraph graph;
  graph.name = network.name;
  graph.encoding = network.encoding;
  graph.labels = network.labels;
  for (const auto& [key, value] : network.facts) {
    if (key == "dataset") graph.dataset = value;
  }
  for (const models::Node* node : {&network.input(), &network.output()}) {
    compress::FloatNode end;
    end.name = node->name;
    end.shape = node->shape;
    graph.nodes.push_back(std::move(end));
  }
  return graph;
}

}  // namespace popcorn::cli
