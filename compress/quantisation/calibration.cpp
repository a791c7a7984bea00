#include "compress/quantisation/calibration.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include "base/error.h"
#include "base/parallel.h"
#include "compress/executor.h"
#include "compress/interruption.h"
#include "compress/training/torch_graph.h"

namespace popcorn::compress {

namespace {

constexpr std::size_t kBatch = 32;
constexpr double kUsual = 0.999;  // share of the positive values that ChannelRange::usual covers
constexpr double kGoldenSection = 0.6180339887;
constexpr std::int64_t kBatchValues = std::int64_t{1} << 26;  // of a layer's columns: 256 MiB

/// batch × values × places → groups × values per group × samples. Places are a golden section apart, so that
/// they lie evenly and on no line of the picture.
at::Tensor samples(const at::Tensor& values, std::int64_t groups, std::int64_t per_picture,
                   std::size_t shift) {
  const std::int64_t places = values.size(2), taken = std::min(places, per_picture);
  std::int64_t stride = std::max<std::int64_t>(1, std::llround(kGoldenSection * static_cast<double>(places)));
  while (std::gcd(stride, places) != 1) ++stride;
  at::Tensor index = at::empty({taken}, at::kLong);
  for (std::int64_t k = 0; k < taken; ++k) {
    index.data_ptr<std::int64_t>()[k] = (k * stride + static_cast<std::int64_t>(shift)) % places;
  }
  return values.index_select(2, index).permute({1, 0, 2}).reshape({groups, values.size(1) / groups, -1});
}

/// Every value that each output of a layer reads: batch × (channels · kernel) × places.
at::Tensor columns(const FloatNode& node, const at::Tensor& input) {
  models::Window w;
  if (node.kind == FloatKind::conv2d) w = node.window;
  const at::Tensor x =
      at::constant_pad_nd(input, {w.pad_left, w.pad_right, w.pad_top, w.pad_bottom}).contiguous();
  return at::im2col(x, {w.kernel_height, w.kernel_width}, {w.dilation_height, w.dilation_width}, {0, 0},
                    {w.stride_height, w.stride_width});
}

/// x·yᵀ over `count` samples, summed in lanes that a compiler can keep in one register.
double dot(const float* x, const float* y, std::int64_t count) {
  constexpr std::int64_t kLanes = 16;
  std::array<float, kLanes> sums{};
  std::int64_t k = 0;
  for (; k + kLanes <= count; k += kLanes) {
    for (std::int64_t lane = 0; lane < kLanes; ++lane)
      sums[static_cast<std::size_t>(lane)] += x[k + lane] * y[k + lane];
  }
  double total = 0;
  for (const float sum : sums) total += static_cast<double>(sum);
  for (; k < count; ++k) total += static_cast<double>(x[k]) * static_cast<double>(y[k]);
  return total;
}

/// products() of many small groups, as in depthwise convolutions, one number after the other.
at::Tensor small_products(const at::Tensor& a, const at::Tensor& b) {
  const std::int64_t groups = a.size(0), rows = a.size(1), count = a.size(2), width = b.size(1);
  const at::Tensor left = a.contiguous(), right = b.contiguous();
  at::Tensor result = at::empty({groups, rows, width}, at::kDouble);
  double* out = result.data_ptr<double>();
  for (std::int64_t g = 0; g < groups; ++g) {
    for (std::int64_t r = 0; r < rows; ++r) {
      const float* const x = left.data_ptr<float>() + (g * rows + r) * count;
      for (std::int64_t w = 0; w < width; ++w)
        *out++ = dot(x, right.data_ptr<float>() + (g * width + w) * count, count);
    }
  }
  return result;
}

/// a·bᵀ of each group, in double precision. One group as a 1×1 convolution, see fast_convolution().
at::Tensor products(const at::Tensor& a, const at::Tensor& b) {
  const std::int64_t groups = a.size(0), rows = a.size(1), count = a.size(2), width = b.size(1);
  if (groups > 1) return small_products(a, b);
  constexpr std::array<std::int64_t, 2> kOne{1, 1}, kNone{0, 0};
  return fast_convolution(b.permute({0, 2, 1}).reshape({1, count, width, 1}), a.reshape({rows, count, 1, 1}),
                          {}, kOne, kNone, kOne, 1)
      .view({1, rows, width})
      .to(at::kDouble);
}

/// Pictures that are looked at together: fewer where a layer reads many values.
std::size_t batch_size(const FloatNode& node, std::int64_t columns) {
  const std::int64_t values = columns * node.shape.height * node.shape.width;
  return std::clamp<std::size_t>(static_cast<std::size_t>(kBatchValues / values), 1, kBatch);
}

std::vector<double> doubles(const at::Tensor& tensor) {
  const at::Tensor flat = tensor.contiguous();
  const double* const values = flat.data_ptr<double>();
  return {values, values + flat.numel()};
}

}  // namespace

struct Calibration::Impl {
  /// How far all pictures have come through a network: outputs of its nodes, batch by batch.
  struct Front {
    std::vector<std::vector<at::Tensor>> batches;
    std::size_t next = 0;  ///< first node that was not computed

    bool has(std::size_t node) const { return node < next && batches.front()[node].defined(); }
    /// `size` pictures of a batch from the one numbered `first` of all.
    at::Tensor part(std::size_t node, std::size_t first, std::size_t size) const {
      return batches[first / kBatch][node].narrow(0, static_cast<std::int64_t>(first % kBatch),
                                                  static_cast<std::int64_t>(size));
    }
  };

  FloatGraph graph;
  TorchGraph reference;
  Dataset pictures;
  const std::atomic<bool>* stop;
  Front wanted, found;

  /// Brings a front to where the output of `node` is known.
  void advance(Front& front, const TorchGraph& torch, const FloatGraph& inputs, std::size_t node) const {
    if (front.has(node)) return;
    if (node < front.next) front = {};  // it was dropped: from the beginning
    if (front.next == 0) {
      for (std::size_t at = 0; at < pictures.count(); at += kBatch) {
        const std::size_t size = std::min(kBatch, pictures.count() - at);
        front.batches.push_back({input_batch(inputs, pictures, at, size)});
      }
    }
    for (std::vector<at::Tensor>& values : front.batches) {
      throw_if_stopped(stop);
      torch.extend(values, front.next, node);
    }
    front.next = node + 1;
  }

  HalvedMoments moments(const FloatNode& node, std::size_t most_samples, const Front& inputs,
                        const Front* outputs, std::size_t layer) const;
};

/// Sums over samples, about a point near their mean: keeps what single precision can hold for the variances.
struct Sums {
  at::Tensor first, second;  ///< groups × values; groups × values × inputs
  double count = 0;

  void operator+=(const Sums& other) {
    first = first + other.first;
    second = second + other.second;
    count += other.count;
  }
};

LayerMoments moments_of(const Sums& sums, const at::Tensor& shift, const FloatNode& node) {
  const std::int64_t width = sums.second.size(2);
  LayerMoments result;
  result.groups = static_cast<std::size_t>(sums.first.size(0));
  result.rows = node.bias.size() / result.groups;
  result.columns = static_cast<std::size_t>(width);
  const at::Tensor first = sums.first / sums.count;
  const at::Tensor x_mean = first.slice(1, 0, width);
  const at::Tensor covariance = sums.second / sums.count - first.unsqueeze(2) * x_mean.unsqueeze(1);
  result.inputs = doubles(covariance.slice(1, 0, width));
  result.outputs = doubles(covariance.slice(1, width));
  const at::Tensor mean = first + shift.squeeze(2).to(at::kDouble);
  result.input_mean = doubles(mean.slice(1, 0, width));
  result.output_mean = doubles(mean.slice(1, width));
  return result;
}

/// @param outputs null = the inputs' part only, and no halves
HalvedMoments Calibration::Impl::moments(const FloatNode& node, std::size_t most_samples, const Front& inputs,
                                         const Front* outputs, std::size_t layer) const {
  const std::int64_t groups = node.kind == FloatKind::conv2d ? node.groups : 1;
  const std::size_t columns_count = node.weights.size() / node.bias.size(), count = pictures.count();
  const auto width = static_cast<std::int64_t>(columns_count);
  const std::int64_t rows = outputs == nullptr ? 0 : static_cast<std::int64_t>(node.bias.size()) / groups;
  const std::size_t wanted_samples =
      std::clamp(kSamplesPerInput * columns_count, kFewestSamples, most_samples);
  const auto per_picture = static_cast<std::int64_t>(std::max<std::size_t>(1, wanted_samples / count));
  const bool halves = outputs != nullptr && columns_count <= kMostHalved && count > 1;
  std::array<Sums, 2> sums;  // of the first pictures and of the others
  for (Sums& half : sums) {
    half.second = at::zeros({groups, width + rows, width}, at::kDouble);
    half.first = at::zeros({groups, width + rows}, at::kDouble);
  }
  at::Tensor shift;
  const std::size_t step = batch_size(node, width * groups), middle = (count + 1) / 2;
  for (std::size_t at = 0; at < count;) {
    throw_if_stopped(stop);
    std::size_t size = std::min({step, count - at, kBatch - at % kBatch});
    if (at < middle) size = std::min(size, middle - at);
    at::Tensor both =
        samples(columns(node, inputs.part(node.inputs.front(), at, size)), groups, per_picture, at);
    if (outputs != nullptr) {
      const at::Tensor y = outputs->part(layer, at, size).flatten(2);
      both = at::cat({both, samples(y, groups, per_picture, at)}, 1);
    }
    if (!shift.defined()) shift = both.mean(2, true);
    both -= shift;
    Sums& half = sums[at < middle ? 0 : 1];
    half.second += products(both, both.slice(1, 0, width));
    half.first += both.sum(2, false, at::kDouble);
    half.count += static_cast<double>(both.size(2));
    at += size;
  }
  HalvedMoments result;
  if (halves) {
    result.first = moments_of(sums[0], shift, node);
    result.second = moments_of(sums[1], shift, node);
  }
  sums[0] += sums[1];
  result.both = moments_of(sums[0], shift, node);
  return result;
}

Calibration::Calibration(const FloatGraph& reference, Dataset pictures, const std::atomic<bool>* stop) {
  if (pictures.count() == 0 || pictures.shape.size() != reference.input().shape.size()) {
    throw InputError("calibration.shape", std::to_string(pictures.count()) + " sample pictures of " +
                                              pictures.shape.to_string() + ", the network expects some of " +
                                              reference.input().shape.to_string());
  }
  impl_ = std::make_unique<Impl>(
      Impl{reference, TorchGraph(reference, TorchGraph::Mode::inference), std::move(pictures), stop, {}, {}});
}
Calibration::~Calibration() = default;

HalvedMoments Calibration::moments(const FloatGraph& graph, std::size_t layer) const {
  const at::NoGradGuard guard;
  const FloatNode& node = graph.nodes[layer];
  impl_->advance(impl_->found, TorchGraph(graph, TorchGraph::Mode::inference), graph, node.inputs.front());
  impl_->advance(impl_->wanted, impl_->reference, impl_->graph, layer);
  return impl_->moments(node, kMostSamples, impl_->found, &impl_->wanted, layer);
}

std::vector<ChannelRange> Calibration::ranges(const FloatGraph& graph, std::size_t node) const {
  const at::NoGradGuard guard;
  const std::size_t operand = graph.nodes[node].inputs.front();
  impl_->advance(impl_->found, TorchGraph(graph, TorchGraph::Mode::inference), graph, operand);
  const auto channels = static_cast<std::size_t>(graph.nodes[operand].shape.channels);
  std::vector<ChannelRange> result(channels);
  parallel_indices(channels, [&](std::size_t c) {
    const at::NoGradGuard own_guard;
    std::vector<float> positive;
    for (const auto& batch : impl_->found.batches) {
      const at::Tensor values = batch[operand].select(1, static_cast<std::int64_t>(c)).contiguous();
      const float* const x = values.data_ptr<float>();
      for (std::int64_t i = 0; i < values.numel(); ++i) {
        if (x[i] > 0) positive.push_back(x[i]);
        result[c].least = std::min(result[c].least, static_cast<double>(x[i]));
        result[c].largest = std::max(result[c].largest, static_cast<double>(x[i]));
      }
    }
    if (positive.empty()) return;
    const auto place = static_cast<std::ptrdiff_t>(kUsual * static_cast<double>(positive.size() - 1));
    std::ranges::nth_element(positive, positive.begin() + place);
    result[c].usual = static_cast<double>(positive[static_cast<std::size_t>(place)]);
  });
  return result;
}

LayerMoments Calibration::input_moments(std::size_t layer) const {
  const at::NoGradGuard guard;
  const FloatNode& node = impl_->graph.nodes[layer];
  impl_->advance(impl_->wanted, impl_->reference, impl_->graph, node.inputs.front());
  return impl_->moments(node, kFewestSamples, impl_->wanted, nullptr, layer).both;
}

}  // namespace popcorn::compress
