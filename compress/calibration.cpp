#include "compress/calibration.h"

#include <algorithm>
#include <array>

#include "base/error.h"
#include "compress/executor.h"
#include "compress/torch_graph.h"

namespace popcorn::compress {

namespace {

constexpr std::size_t kBatch = 32;
constexpr std::int64_t kBatchValues = std::int64_t{1} << 26;  // of a layer's columns: 256 MiB

at::Tensor batch(const FloatGraph& graph, const Dataset& data, std::size_t first, std::size_t count) {
  const models::Shape& shape = graph.input().shape;
  const auto size = static_cast<std::size_t>(shape.size());
  at::Tensor x = at::empty({static_cast<std::int64_t>(count), shape.channels, shape.height, shape.width});
  float* const values = x.data_ptr<float>();
  for (std::size_t k = 0; k < count; ++k) {
    const std::span<float> picture(values + k * size, size);
    std::ranges::copy(data.picture(first + k), picture.begin());
    normalise(graph, picture);
  }
  return x;
}

/// batch × values × places → groups × values per group × samples, at evenly spread places.
at::Tensor samples(const at::Tensor& values, std::int64_t groups, std::int64_t per_picture,
                   std::size_t shift) {
  const std::int64_t places = values.size(2), taken = std::min(places, per_picture);
  at::Tensor index = at::empty({taken}, at::kLong);
  for (std::int64_t k = 0; k < taken; ++k) {
    index.data_ptr<std::int64_t>()[k] = (k * places / taken + static_cast<std::int64_t>(shift)) % places;
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

/// a·bᵀ of each group, as a 1×1 convolution: far faster than LibTorch's product where it was built with the
/// reference BLAS.
at::Tensor products(const at::Tensor& a, const at::Tensor& b) {
  const std::int64_t groups = a.size(0), rows = a.size(1), count = a.size(2), width = b.size(1);
  constexpr std::array<std::int64_t, 2> kOne{1, 1}, kNone{0, 0};
  return at::conv2d(b.permute({0, 2, 1}).reshape({1, groups * count, width, 1}),
                    a.reshape({groups * rows, count, 1, 1}), {}, at::IntArrayRef(kOne),
                    at::IntArrayRef(kNone), at::IntArrayRef(kOne), groups)
      .view({groups, rows, width});
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
  };

  FloatGraph graph;
  TorchGraph reference;
  Dataset pictures;
  Front wanted, found;

  /// Brings a front to where the output of `node` is known.
  void advance(Front& front, const TorchGraph& torch, const FloatGraph& inputs, std::size_t node) const {
    if (front.has(node)) return;
    if (node < front.next) front = {};  // it was dropped: from the beginning
    if (front.next == 0) {
      for (std::size_t at = 0; at < pictures.count(); at += kBatch) {
        const std::size_t size = std::min(kBatch, pictures.count() - at);
        front.batches.push_back({batch(inputs, pictures, at, size)});
      }
    }
    for (std::vector<at::Tensor>& values : front.batches) torch.extend(values, front.next, node);
    front.next = node + 1;
  }
};

Calibration::Calibration(const FloatGraph& reference, Dataset pictures) {
  if (pictures.count() == 0 || pictures.shape.size() != reference.input().shape.size()) {
    throw InputError("calibration.shape", std::to_string(pictures.count()) + " sample pictures of " +
                                              pictures.shape.to_string() + ", the network expects some of " +
                                              reference.input().shape.to_string());
  }
  impl_ = std::make_unique<Impl>(
      Impl{reference, TorchGraph(reference, TorchGraph::Mode::inference), std::move(pictures), {}, {}});
}
Calibration::~Calibration() = default;

LayerMoments Calibration::moments(const FloatGraph& graph, std::size_t layer) const {
  const at::NoGradGuard guard;
  const FloatNode& node = graph.nodes[layer];
  const std::int64_t groups = node.kind == FloatKind::conv2d ? node.groups : 1;
  LayerMoments result;
  result.groups = static_cast<std::size_t>(groups);
  result.rows = node.bias.size() / result.groups;
  result.columns = node.weights.size() / node.bias.size();
  const auto rows = static_cast<std::int64_t>(result.rows), width = static_cast<std::int64_t>(result.columns);

  impl_->advance(impl_->found, TorchGraph(graph, TorchGraph::Mode::inference), graph, node.inputs.front());
  impl_->advance(impl_->wanted, impl_->reference, impl_->graph, layer);
  const std::size_t count = impl_->pictures.count();
  const auto per_picture = static_cast<std::int64_t>(std::max<std::size_t>(1, kSamples / count));
  at::Tensor second = at::zeros({groups, width + rows, width}, at::kDouble);
  at::Tensor first = at::zeros({groups, width + rows}, at::kDouble);
  at::Tensor shift;  // about the mean: keeps what single precision can hold for the variances
  double total = 0;
  const std::size_t step = batch_size(node, width * groups);
  for (std::size_t at = 0; at < count;) {
    const std::size_t inside = at % kBatch, size = std::min({step, count - at, kBatch - inside});
    const auto part = [&](const Impl::Front& front, std::size_t value) {
      return front.batches[at / kBatch][value].narrow(0, static_cast<std::int64_t>(inside),
                                                      static_cast<std::int64_t>(size));
    };
    const at::Tensor x =
        samples(columns(node, part(impl_->found, node.inputs.front())), groups, per_picture, at);
    const at::Tensor y = samples(part(impl_->wanted, layer).flatten(2), groups, per_picture, at);
    at::Tensor both = at::cat({x, y}, 1);
    if (!shift.defined()) shift = both.mean(2, true);
    both -= shift;
    second += products(both, both.slice(1, 0, width)).to(at::kDouble);
    first += both.sum(2, false, at::kDouble);
    total += static_cast<double>(x.size(2));
    at += size;
  }
  first /= total;
  const at::Tensor x_mean = first.slice(1, 0, width);
  const at::Tensor covariance = second / total - first.unsqueeze(2) * x_mean.unsqueeze(1);
  result.inputs = doubles(covariance.slice(1, 0, width));
  result.outputs = doubles(covariance.slice(1, width));
  const at::Tensor mean = first + shift.squeeze(2).to(at::kDouble);
  result.input_mean = doubles(mean.slice(1, 0, width));
  result.output_mean = doubles(mean.slice(1, width));
  return result;
}

}  // namespace popcorn::compress
