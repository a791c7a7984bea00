#include "compress/report.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

namespace popcorn::compress {

namespace {

std::vector<std::pair<std::int32_t, std::uint64_t>> histogram(const std::vector<std::int32_t>& weights) {
  std::map<std::int32_t, std::uint64_t> counts;
  for (const std::int32_t w : weights) ++counts[w];
  return {counts.begin(), counts.end()};
}

LayerReport layer_report(const CompressionResult& result, std::size_t index, const CostSettings& settings) {
  const models::IntegerNetwork& network = result.network;
  const models::Node& node = network.nodes[index];
  LayerReport layer;
  layer.name = node.name;
  layer.kind = models::to_string(node.kind);
  layer.shape = node.shape.to_string();
  layer.weights = node.weights.size();
  layer.nonzeros = node.nonzeros();
  layer.density = node.density();
  layer.bits = node.weight_bits();
  layer.magnitudes = node.magnitudes().size();
  layer.bound_bits = node.bounds.bits;
  const std::optional<std::size_t> before = result.uncompressed.find(node.name);
  layer.multiplications_before = dense_multiplications(before ? result.uncompressed.nodes[*before] : node);
  layer.cost = node_cost(network, index, settings);
  layer.cost_before = before ? node_cost(result.uncompressed, *before, settings) : layer.cost;
  layer.cost_before.multiplications =
      layer.multiplications_before > 0 ? layer.multiplications_before : layer.cost.multiplications;
  layer.histogram = histogram(node.weights);
  return layer;
}

nlohmann::ordered_json cost_json(const Cost& cost, const CostSettings& settings) {
  return {{"multiplications", cost.multiplications},
          {"ciphertexts_up", cost.ciphertexts_up},
          {"ciphertexts_down", cost.ciphertexts_down},
          {"bytes_up", cost.ciphertexts_up * ciphertext_bytes(settings)},
          {"bytes_down", cost.ciphertexts_down * ciphertext_bytes(settings)}};
}

nlohmann::ordered_json layer_json(const LayerReport& layer, const CostSettings& settings) {
  nlohmann::ordered_json json = {{"name", layer.name}, {"kind", layer.kind}, {"shape", layer.shape}};
  if (layer.weights > 0) {
    json["weights"] = layer.weights;
    json["nonzeros"] = layer.nonzeros;
    json["density"] = layer.density;
    json["bits"] = layer.bits;
    json["magnitudes"] = layer.magnitudes;
    json["multiplications_before"] = layer.multiplications_before;
    json["histogram"] = layer.histogram;
  }
  json["bound_bits"] = layer.bound_bits;
  json.update(cost_json(layer.cost, settings));
  json["ciphertexts_up_before"] = layer.cost_before.ciphertexts_up;
  json["ciphertexts_down_before"] = layer.cost_before.ciphertexts_down;
  return json;
}

}  // namespace

CompressionReport make_report(const CompressionResult& result, std::uint64_t file_bytes) {
  CompressionReport report;
  const models::IntegerNetwork& network = result.network;
  report.name = network.name;
  for (std::size_t i = 0; i < network.nodes.size(); ++i) {
    const LayerReport layer = layer_report(result, i, report.settings);
    report.weights += layer.weights;
    report.nonzeros += layer.nonzeros;
    report.weight_bits = std::max(report.weight_bits, layer.bits);
    report.multiplications_before += layer.multiplications_before;
    report.cost += layer.cost;
    report.cost_before += layer.cost_before;
    if (network.nodes[i].kind != models::NodeKind::flatten) report.layers.push_back(layer);
  }
  report.density =
      report.weights == 0 ? 1 : static_cast<double>(report.nonzeros) / static_cast<double>(report.weights);
  report.points = result.points;
  report.float_accuracy = result.float_accuracy;
  report.pruned_accuracy = result.pruned_accuracy;
  report.integer_accuracy = result.integer_accuracy;
  report.test_images = result.test_images;
  report.file_bytes = file_bytes;
  return report;
}

std::string report_json(const CompressionReport& report) {
  nlohmann::ordered_json json = {{"model", report.name},
                                 {"accuracy",
                                  {{"images", report.test_images},
                                   {"float", report.float_accuracy},
                                   {"pruned", report.pruned_accuracy},
                                   {"integer", report.integer_accuracy}}},
                                 {"weights", report.weights},
                                 {"nonzeros", report.nonzeros},
                                 {"density", report.density},
                                 {"weight_bits", report.weight_bits},
                                 {"file_bytes", report.file_bytes},
                                 {"key_bits", report.settings.key_bits},
                                 {"multiplications_before", report.multiplications_before}};
  json.update(cost_json(report.cost, report.settings));
  json["ciphertexts_up_before"] = report.cost_before.ciphertexts_up;
  json["ciphertexts_down_before"] = report.cost_before.ciphertexts_down;
  json["points"] = nlohmann::ordered_json::array();
  for (const VisitedPoint& point : report.points) {
    json["points"].push_back({{"phase", point.phase},
                              {"epoch", point.epoch},
                              {"density", point.density},
                              {"bits", point.bits},
                              {"accuracy", point.accuracy}});
  }
  json["layers"] = nlohmann::ordered_json::array();
  for (const LayerReport& layer : report.layers) json["layers"].push_back(layer_json(layer, report.settings));
  return json.dump(2) + "\n";
}

}  // namespace popcorn::compress
