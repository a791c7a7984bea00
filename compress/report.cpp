#include "compress/report.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>

#include "protocols/shares/share_estimate.h"

namespace popcorn::compress {

namespace {

std::vector<std::pair<std::int32_t, std::uint64_t>> histogram(const std::vector<std::int32_t>& weights) {
  std::map<std::int32_t, std::uint64_t> counts;
  for (const std::int32_t w : weights) ++counts[w];
  return {counts.begin(), counts.end()};
}

LayerReport layer_report(const CompressionResult& result, std::size_t index, const NetworkCost& after,
                         const NetworkCost& costs_before) {
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
  layer.cost = after.nodes[index];
  layer.cost_before = before && !network.is_requantised() ? costs_before.nodes[*before] : layer.cost;
  layer.histogram = histogram(node.weights);
  for (const LayerNoise& noise : result.noise) {
    if (noise.layer == node.name) layer.signal_to_noise_db = noise.signal_to_noise_db;
  }
  for (const CutLayer& cut : result.cut) {
    if (cut.layer == node.name) layer.cut_channels = cut.channels;
  }
  return layer;
}

/// What the engine on shares would do; the ciphertext engine's cost has no meaning for a requantised network.
void add_shares(const CompressionResult& result, CompressionReport& report) {
  const models::IntegerNetwork& network = result.network;
  const protocols::ShareEstimates nearest =
      protocols::estimate_shares(network, {report.settings.key_bits, true});
  report.fast_bytes = protocols::estimate_shares(network, {report.settings.key_bits, false}).all.bytes();
  const auto with_cost = [](const protocols::ShareEstimate& cost) {
    ShareReport shares;
    shares.multiplications = cost.multiplications;
    shares.ciphertexts = cost.ciphertexts_up + cost.ciphertexts_down;
    shares.transfers = cost.transfers;
    shares.ciphertext_bytes = cost.ciphertext_bytes;
    shares.step_bytes = cost.step_bytes;
    return shares;
  };
  report.shares = with_cost(nearest.all);
  for (LayerReport& layer : report.layers) {
    const std::size_t index = network.find(layer.name).value();
    const protocols::ShareEstimateLayer& cost = nearest.layers[index];
    ShareReport& shares = layer.shares.emplace(with_cost(cost));
    shares.ring_bits = cost.ring_bits;
    shares.kept_bits = cost.kept_bits;
    shares.slot_bits = cost.slot_bits;
    if (index < result.largest_values.size()) shares.largest_value = result.largest_values[index];
    if (cost.ring_bits > 0)
      shares.range_used =
          std::ldexp(static_cast<double>(shares.largest_value), 1 - static_cast<int>(cost.ring_bits));
  }
  report.same_answers = result.same_answers;
  report.range_values = result.range_values;
  report.beyond_range = result.beyond_range;
}

nlohmann::ordered_json shares_json(const ShareReport& shares) {
  return {{"multiplications", shares.multiplications},
          {"ciphertexts", shares.ciphertexts},
          {"transfers", shares.transfers},
          {"ciphertext_bytes", shares.ciphertext_bytes},
          {"step_bytes", shares.step_bytes},
          {"bytes", shares.ciphertext_bytes + shares.step_bytes}};
}

void add_costs(nlohmann::ordered_json& json, const Cost& cost, const Cost& before) {
  json["multiplications_before"] = before.multiplications;
  json["multiplications"] = cost.multiplications;
  json["ciphertexts_up_before"] = before.ciphertexts_up;
  json["ciphertexts_up"] = cost.ciphertexts_up;
  json["ciphertexts_down_before"] = before.ciphertexts_down;
  json["ciphertexts_down"] = cost.ciphertexts_down;
  json["bytes_up_before"] = before.bytes_up;
  json["bytes_up"] = cost.bytes_up;
  json["bytes_down_before"] = before.bytes_down;
  json["bytes_down"] = cost.bytes_down;
}

nlohmann::ordered_json layer_json(const LayerReport& layer) {
  nlohmann::ordered_json json = {{"name", layer.name}, {"kind", layer.kind}, {"shape", layer.shape}};
  if (layer.weights > 0) {
    json["weights"] = layer.weights;
    json["nonzeros"] = layer.nonzeros;
    json["density"] = layer.density;
    json["bits"] = layer.bits;
    json["magnitudes"] = layer.magnitudes;
    json["histogram"] = layer.histogram;
  }
  json["bound_bits"] = layer.bound_bits;
  if (layer.signal_to_noise_db) {
    const double db = *layer.signal_to_noise_db;
    json["signal_to_noise_db"] = std::isfinite(db) ? nlohmann::ordered_json(db) : nlohmann::ordered_json();
  }
  if (layer.cut_channels > 0) json["cut_channels"] = layer.cut_channels;
  if (layer.shares) {
    json["shares"] = {{"ring_bits", layer.shares->ring_bits},
                      {"kept_bits", layer.shares->kept_bits},
                      {"slot_bits", layer.shares->slot_bits},
                      {"largest_value", layer.shares->largest_value},
                      {"range_used", layer.shares->range_used}};
    json["shares"].update(shares_json(*layer.shares));
    return json;
  }
  add_costs(json, layer.cost, layer.cost_before);
  return json;
}

}  // namespace

CompressionReport make_report(const CompressionResult& result, std::uint64_t file_bytes) {
  CompressionReport report;
  const models::IntegerNetwork& network = result.network;
  report.name = network.name;
  const bool on_shares = network.is_requantised();
  NetworkCost none;
  none.nodes.resize(network.nodes.size());
  const NetworkCost after = on_shares ? none : network_cost(network, report.settings);
  const NetworkCost before = on_shares || result.uncompressed.nodes.empty()
                                 ? after
                                 : network_cost(result.uncompressed, report.settings);
  report.cost_problem = after.problem;
  for (std::size_t i = 0; i < network.nodes.size(); ++i) {
    const LayerReport layer = layer_report(result, i, after, before);
    report.weights += layer.weights;
    report.nonzeros += layer.nonzeros;
    report.weight_bits = std::max(report.weight_bits, layer.bits);
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
  report.classes = static_cast<std::size_t>(result.network.output().shape.size());
  report.equalised = result.equalised;
  report.file_bytes = file_bytes;
  if (on_shares) add_shares(result, report);
  return report;
}

std::string report_json(const CompressionReport& report) {
  nlohmann::ordered_json json = {{"model", report.name},
                                 {"accuracy",
                                  {{"images", report.test_images},
                                   {"float", report.float_accuracy},
                                   {"pruned", report.pruned_accuracy},
                                   {"integer", report.integer_accuracy}}},
                                 {"equalised", report.equalised},
                                 {"weights", report.weights},
                                 {"nonzeros", report.nonzeros},
                                 {"density", report.density},
                                 {"weight_bits", report.weight_bits},
                                 {"file_bytes", report.file_bytes},
                                 {"key_bits", report.settings.key_bits},
                                 {"sign_test", report.settings.sign_test}};
  if (!report.cost_problem.empty()) json["cost_problem"] = report.cost_problem;
  if (report.shares) {
    json["same_answers"] = report.same_answers;
    json["range_values"] = report.range_values;
    json["beyond_range"] = report.beyond_range;
    json["shares"] = shares_json(*report.shares);
    json["shares"]["fast_bytes"] = report.fast_bytes;
  } else {
    add_costs(json, report.cost, report.cost_before);
  }
  json["points"] = nlohmann::ordered_json::array();
  for (const VisitedPoint& point : report.points) {
    json["points"].push_back({{"phase", point.phase},
                              {"epoch", point.epoch},
                              {"density", point.density},
                              {"bits", point.bits},
                              {"accuracy", point.accuracy}});
  }
  json["layers"] = nlohmann::ordered_json::array();
  for (const LayerReport& layer : report.layers) json["layers"].push_back(layer_json(layer));
  return json.dump(2) + "\n";
}

}  // namespace popcorn::compress
