#include "compress/share_budget.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "base/error.h"
#include "compress/integer_accuracy.h"
#include "compress/interruption.h"
#include "compress/lowering.h"
#include "compress/pruning/layer_pattern.h"
#include "compress/quantisation/calibration.h"
#include "compress/quantisation/ring_fitting.h"
#include "models/file/popcorn_format.h"
#include "protocols/shares/share_estimate.h"

namespace popcorn::compress {

namespace {

using models::IntegerNetwork;
using models::Node;
using models::NodeKind;

constexpr int kSparsitySteps = 64;

[[noreturn]] void unreachable(const char* what, std::uint64_t wanted, std::uint64_t least) {
  throw UsageError("cost.target", std::to_string(wanted) + " " + what +
                                      " on shares cannot be reached; the least is about " +
                                      std::to_string(least));
}

std::uint64_t bytes_of(const IntegerNetwork& network) {
  protocols::ShareEstimateOptions options;
  options.multiplications = false;
  return protocols::estimate_shares(network, options).all.bytes();
}

/// The sensitivities of predictions are not known yet: as many zeros, by magnitudes.
PruningOptions by_magnitude(PruningOptions pruning) {
  if (pruning.scope == PruningScope::sensitivity) pruning.scope = PruningScope::adaptive;
  return pruning;
}

/// The network that plain rounding makes of the graph, with rings.
IntegerNetwork rounded_network(FloatGraph graph, const Dataset& pictures, const PruningOptions& pruning,
                               const QuantisationOptions& quantisation, const std::atomic<bool>* stop) {
  if (pruning.sparsity > 0) prune(graph, by_magnitude(pruning));
  const FloatGraph reference = graph;
  const Calibration calibration(reference, pictures, stop);
  quantise(graph, quantisation, nullptr, nullptr,
           [&](const FloatGraph& now, std::size_t node) { return calibration.ranges(now, node); });
  IntegerNetwork network = lower(graph);
  fit_rings(network, integer_inputs(network, pictures, 0, pictures.count()), pictures.count());
  return network;
}

/// The rings of layers and sums that read a rescale, through what passes values on, and the digits that the
/// steps behind them drop: one less.
void narrow_readers(IntegerNetwork& network, std::size_t index) {
  for (std::size_t i = index + 1; i < network.nodes.size(); ++i) {
    Node& reader = network.nodes[i];
    if (std::ranges::find(reader.inputs, index) == reader.inputs.end()) continue;
    if (reader.ring_bits > 2) --reader.ring_bits;
    if (reader.kind == NodeKind::rescale) {
      for (std::int64_t& shift : reader.shifts) shift = std::max<std::int64_t>(0, shift - 1);
      if (reader.ring_bits > 0) ++reader.ring_bits;  // as many digits stay
    } else {
      narrow_readers(network, i);
    }
  }
}

/// About what the network becomes when a step keeps a bit less.
IntegerNetwork with_bit_less(IntegerNetwork network, std::size_t rescale) {
  Node& node = network.nodes[rescale];
  for (std::int64_t& shift : node.shifts) ++shift;
  if (node.ring_bits > 2) --node.ring_bits;
  narrow_readers(network, rescale);
  network.finish();
  return network;
}

class ActivationBits {
 public:
  ActivationBits(IntegerNetwork network, QuantisationOptions& options)
      : network_(std::move(network)), options_(options), bytes_(bytes_of(network_)) {
    for (std::size_t i = 0; i < network_.nodes.size(); ++i) {
      if (network_.nodes[i].kind == NodeKind::rescale) steps_.push_back({i, bits_of(network_.nodes[i].name)});
    }
  }

  std::uint64_t bytes() const { return bytes_; }

  /// Takes a bit where it saves most for its noise; false when there is none left.
  bool lower_one() {
    Step* best = nullptr;
    double best_gain = -std::numeric_limits<double>::infinity();  // some bits save nothing by themselves
    IntegerNetwork best_network;
    for (Step& step : steps_) {
      if (step.bits <= kLeastActivationBits) continue;
      IntegerNetwork candidate = with_bit_less(network_, step.node);
      const double saved = static_cast<double>(bytes_) - static_cast<double>(bytes_of(candidate));
      const double gain = std::ldexp(saved, 2 * step.bits);  // a bit less is four times the noise
      if (gain <= best_gain) continue;
      best = &step, best_gain = gain, best_network = std::move(candidate);
    }
    if (best == nullptr) return false;
    network_ = std::move(best_network);
    bytes_ = bytes_of(network_);
    --best->bits;
    return true;
  }

  /// In front of the patterns that there are, so that they win.
  void store() const {
    std::vector<LayerBits> own;
    for (const Step& step : steps_) own.push_back({graph_name(network_.nodes[step.node].name), step.bits});
    options_.activations.insert(options_.activations.begin(), own.begin(), own.end());
  }

 private:
  struct Step {
    std::size_t node;
    int bits;
  };

  /// A clip's rescale has the clip's name with an ending.
  static std::string graph_name(const std::string& name) {
    const std::string ending = ".relu";
    return name.ends_with(ending) ? name.substr(0, name.size() - ending.size()) : name;
  }

  int bits_of(const std::string& name) const {
    for (const LayerBits& layer : options_.activations) {
      if (matches(layer.pattern, graph_name(name))) return layer.bits;
    }
    return options_.activation_bits;
  }

  IntegerNetwork network_;
  QuantisationOptions& options_;
  std::uint64_t bytes_;
  std::vector<Step> steps_;
};

}  // namespace

void fit_share_budget(const FloatGraph& graph, const Dataset& pictures, const ShareBudget& budget,
                      PruningOptions& pruning, QuantisationOptions& quantisation,
                      const std::atomic<bool>* stop) {
  if (budget.bytes) {
    ActivationBits bits(rounded_network(graph, pictures, pruning, quantisation, stop), quantisation);
    while (bits.bytes() > *budget.bytes) {
      throw_if_stopped(stop);
      if (!bits.lower_one()) unreachable("bytes", *budget.bytes, bits.bytes());
    }
    bits.store();
  }
  if (!budget.multiplications) return;
  PruningOptions tried = pruning;
  const auto multiplications = [&](int step) {
    tried.sparsity = static_cast<double>(step) / kSparsitySteps;
    return protocols::estimate_shares(rounded_network(graph, pictures, tried, quantisation, stop))
        .all.multiplications;
  };
  int too_little = -1, enough = kSparsitySteps - 1;
  const std::uint64_t least = multiplications(enough);
  if (least > *budget.multiplications) unreachable("multiplications", *budget.multiplications, least);
  while (enough - too_little > 1) {
    const int middle = (enough + too_little) / 2;
    (multiplications(middle) <= *budget.multiplications ? enough : too_little) = middle;
  }
  pruning.sparsity = static_cast<double>(enough) / kSparsitySteps;
}

}  // namespace popcorn::compress
