#include "compress/quantisation/layer_noise.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>

#include "compress/interruption.h"
#include "compress/training/torch_graph.h"

namespace popcorn::compress {

namespace {

constexpr std::size_t kBatch = 16;

/// Sums of one channel.
struct Moments {
  double wanted = 0, found = 0, product = 0;
};

void accumulate(const at::Tensor& wanted, const at::Tensor& found, std::vector<Moments>& sums) {
  constexpr std::array<std::int64_t, 2> kPictureAndPlace{0, 2};
  const at::IntArrayRef over_all(kPictureAndPlace);
  const auto channels = static_cast<std::int64_t>(sums.size());
  const auto rows = [&](const at::Tensor& x) { return x.reshape({x.size(0), channels, -1}).to(at::kDouble); };
  const at::Tensor a = rows(wanted), b = rows(found);
  const at::Tensor aa = (a * a).sum(over_all).contiguous(), bb = (b * b).sum(over_all).contiguous(),
                   ab = (a * b).sum(over_all).contiguous();
  for (std::size_t c = 0; c < sums.size(); ++c) {
    sums[c].wanted += aa.data_ptr<double>()[c];
    sums[c].found += bb.data_ptr<double>()[c];
    sums[c].product += ab.data_ptr<double>()[c];
  }
}

}  // namespace

std::vector<LayerNoise> layer_noise(const FloatGraph& wanted, const FloatGraph& quantised,
                                    const Dataset& data, std::size_t pictures,
                                    const std::atomic<bool>* stop) {
  const at::NoGradGuard guard;
  TorchGraph first(wanted, TorchGraph::Mode::inference), second(quantised, TorchGraph::Mode::inference);
  std::map<std::string, std::size_t> place;
  for (std::size_t i = 0; i < wanted.nodes.size(); ++i) place[wanted.nodes[i].name] = i;
  struct Pair {
    std::size_t wanted, found;
    std::vector<Moments> sums;
  };
  std::vector<Pair> pairs;
  for (std::size_t i = 1; i < quantised.nodes.size(); ++i) {
    const FloatNode& node = quantised.nodes[i];
    const auto at = place.find(node.name);
    if (at == place.end() || node.kind == FloatKind::flatten ||
        !(wanted.nodes[at->second].shape == node.shape))
      continue;
    pairs.push_back({at->second, i, std::vector<Moments>(static_cast<std::size_t>(node.shape.channels))});
  }
  const std::size_t count = std::min(pictures, data.count());
  for (std::size_t at = 0; at < count; at += kBatch) {
    throw_if_stopped(stop);
    const std::size_t size = std::min(kBatch, count - at);
    const std::vector<at::Tensor> a = first.forward_all(input_batch(wanted, data, at, size));
    const std::vector<at::Tensor> b = second.forward_all(input_batch(quantised, data, at, size));
    for (Pair& pair : pairs) accumulate(a[pair.wanted], b[pair.found], pair.sums);
  }
  std::vector<LayerNoise> result;
  for (const Pair& pair : pairs) {
    double signal = 0, noise = 0;
    for (const Moments& m : pair.sums) {
      signal += m.wanted;
      noise += m.found > 0 ? std::max(0.0, m.wanted - m.product * m.product / m.found) : m.wanted;
    }
    LayerNoise layer{quantised.nodes[pair.found].name};
    if (noise > 0 && signal > 0) layer.signal_to_noise_db = 10 * std::log10(signal / noise);
    result.push_back(layer);
  }
  return result;
}

}  // namespace popcorn::compress
