#include "compress/training/torch_graph.h"

#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <array>
#include <limits>

namespace popcorn::compress {

namespace {

bool symmetric_padding(const models::Window& w) {
  return w.pad_top == w.pad_bottom && w.pad_left == w.pad_right;
}

/// Pads what the operator itself cannot (it only knows equal padding on both sides).
at::Tensor pad(const at::Tensor& x, const models::Window& w, double value) {
  return at::constant_pad_nd(x, {w.pad_left, w.pad_right, w.pad_top, w.pad_bottom}, value);
}

at::Tensor max_pool(const at::Tensor& input, const models::Window& w) {
  const bool padded = w.pad_top + w.pad_bottom + w.pad_left + w.pad_right > 0;
  const at::Tensor x = padded ? pad(input, w, -std::numeric_limits<double>::infinity()) : input;
  return at::max_pool2d(x, {w.kernel_height, w.kernel_width}, {w.stride_height, w.stride_width}, {0, 0},
                        {w.dilation_height, w.dilation_width});
}

at::Tensor average_pool(const at::Tensor& input, const models::Window& w) {
  const bool padded = w.pad_top + w.pad_bottom + w.pad_left + w.pad_right > 0;
  return at::avg_pool2d(padded ? pad(input, w, 0) : input, {w.kernel_height, w.kernel_width},
                        {w.stride_height, w.stride_width});
}

/// ±1, +1 at zero; the gradient is that of the clamp to [−1, 1] (Hubara et al. 2016, section 1.3). One pass
/// each way instead of one for every tensor operation that would express it.
class SignFunction : public torch::autograd::Function<SignFunction> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& input) {
    const at::Tensor x = input.is_non_overlapping_and_dense() ? input : input.contiguous();
    context->save_for_backward({x});
    at::Tensor result = at::empty_like(x);
    AT_DISPATCH_FLOATING_TYPES_AND(at::kBFloat16, x.scalar_type(), "sign", [&] {
      const scalar_t* from = x.data_ptr<scalar_t>();
      scalar_t* to = result.data_ptr<scalar_t>();
      for (std::int64_t i = 0; i < x.numel(); ++i) to[i] = from[i] >= 0 ? scalar_t(1) : scalar_t(-1);
    });
    return result;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list gradients) {
    const at::Tensor x = context->get_saved_variables().front();
    at::Tensor result = at::empty_like(x);
    const at::Tensor gradient = at::empty_like(x).copy_(gradients.front());
    AT_DISPATCH_FLOATING_TYPES_AND(at::kBFloat16, x.scalar_type(), "sign_backward", [&] {
      const scalar_t* from = x.data_ptr<scalar_t>();
      const scalar_t* slope = gradient.data_ptr<scalar_t>();
      scalar_t* to = result.data_ptr<scalar_t>();
      for (std::int64_t i = 0; i < x.numel(); ++i) {
        const auto value = static_cast<float>(from[i]);
        to[i] = value >= -1 && value <= 1 ? slope[i] : scalar_t(0);
      }
    });
    return {result};
  }
};

/// Nearest whole numbers, ties up, as a requantised network rounds; the gradient passes as if nothing was
/// rounded.
at::Tensor rounded(const at::Tensor& x) {
  const at::Tensor exact = x.detach();
  return x + (at::floor(exact + 0.5) - exact);
}

at::Tensor nearest_in_codebook(const at::Tensor& weights, const at::Tensor& codebook) {
  const at::Tensor borders = (codebook.slice(0, 1) + codebook.slice(0, 0, -1)) / 2;
  return codebook.index_select(0, at::bucketize(weights.flatten(), borders)).view(weights.sizes());
}

std::vector<std::int64_t> weight_shape(const FloatNode& node) {
  const std::int64_t outputs = static_cast<std::int64_t>(node.bias.size());
  const std::int64_t kernel_height = node.kind == FloatKind::conv2d ? node.window.kernel_height : 1;
  const std::int64_t kernel_width = node.kind == FloatKind::conv2d ? node.window.kernel_width : 1;
  return {outputs, -1, kernel_height, kernel_width};
}

}  // namespace

at::Tensor fast_convolution(const at::Tensor& x, const at::Tensor& weights, const at::Tensor& bias,
                            at::IntArrayRef stride, at::IntArrayRef padding, at::IntArrayRef dilation,
                            std::int64_t groups) {
  if (at::hasMKLDNN() && x.scalar_type() == at::kFloat)
    return at::mkldnn_convolution(x, weights, bias, padding, stride, dilation, groups);
  return at::conv2d(x, weights, bias, stride, padding, dilation, groups);
}

at::Tensor to_tensor(const std::vector<float>& values, at::ScalarType type) {
  const at::Tensor view =
      at::from_blob(const_cast<float*>(values.data()), {static_cast<std::int64_t>(values.size())},
                    at::TensorOptions().dtype(at::kFloat));
  return view.to(at::TensorOptions().dtype(type), false, true);
}

std::vector<float> to_vector(const at::Tensor& tensor) {
  const at::Tensor flat = tensor.detach().to(at::kFloat).contiguous();
  const float* data = flat.data_ptr<float>();
  return {data, data + flat.numel()};
}

TorchGraph::TorchGraph(const FloatGraph& graph, Mode mode, at::ScalarType type)
    : nodes_(graph.nodes), mode_(mode), type_(type) {
  if (!graph.class_scale.empty()) class_scale_ = to_tensor(graph.class_scale, type);
  load(graph);
}

void TorchGraph::load(const FloatGraph& graph) {
  const bool first = tensors_.empty();
  tensors_.resize(graph.nodes.size());
  const auto set = [&](at::Tensor& target, const std::vector<float>& values, bool trained) {
    if (values.empty()) return;
    const at::NoGradGuard guard;
    at::Tensor value = to_tensor(values, type_);
    if (target.defined()) {
      target.copy_(value.view(target.sizes()));
    } else {
      target = value;
      if (trained && mode_ == Mode::training) target.requires_grad_(true);
    }
  };
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    const FloatNode& node = graph.nodes[i];
    NodeTensors& t = tensors_[i];
    set(t.weights, node.weights, true);
    set(t.bias, node.bias, true);
    set(t.gamma, node.gamma, true);
    set(t.beta, node.beta, true);
    set(t.mean, node.mean, false);
    set(t.variance, node.variance, false);
    set(t.steps, node.steps, false);
    if (!node.mask.empty()) t.mask = to_tensor({node.mask.begin(), node.mask.end()}, type_);
    if (!node.grid.codebook.empty()) {
      t.codebook = to_tensor({node.grid.codebook.begin(), node.grid.codebook.end()}, type_);
    }
    if (!first) nodes_[i].grid = node.grid;
  }
  if (!first) return;
  for (FloatNode& node : nodes_) {  // the tensors hold the values from now on
    for (std::vector<float>* values :
         {&node.weights, &node.gamma, &node.beta, &node.mean, &node.variance, &node.steps}) {
      values->clear();
      values->shrink_to_fit();
    }
  }
}

void TorchGraph::store(FloatGraph& graph) const {
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    const NodeTensors& t = tensors_[i];
    FloatNode& node = graph.nodes[i];
    const auto get = [](std::vector<float>& target, const at::Tensor& tensor) {
      if (tensor.defined()) target = to_vector(tensor);
    };
    get(node.weights, t.weights);
    get(node.bias, t.bias);
    get(node.gamma, t.gamma);
    get(node.beta, t.beta);
    get(node.mean, t.mean);
    get(node.variance, t.variance);
    if (t.mask.defined()) {
      const std::vector<float> mask = to_vector(t.mask);
      node.mask.assign(mask.begin(), mask.end());
    }
  }
}

std::vector<TorchGraph::Parameter> TorchGraph::parameters() const {
  std::vector<Parameter> result;
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    const NodeTensors& t = tensors_[i];
    const bool on_grid = nodes_[i].grid.active();
    if (t.weights.defined()) result.push_back({t.weights, on_grid, !on_grid, t.bias.numel()});
    if (t.bias.defined()) result.push_back({t.bias, on_grid});
    if (t.gamma.defined() && nodes_[i].kind != FloatKind::clip) result.push_back({t.gamma});
    if (t.beta.defined()) result.push_back({t.beta});
  }
  return result;
}

std::vector<at::Tensor> TorchGraph::state() const {
  std::vector<at::Tensor> result;
  for (const NodeTensors& t : tensors_) {
    for (const at::Tensor& tensor : {t.weights, t.bias, t.gamma, t.beta, t.mean, t.variance, t.mask}) {
      if (tensor.defined()) result.push_back(tensor);
    }
  }
  return result;
}

void TorchGraph::project() {
  const at::NoGradGuard guard;
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    const WeightGrid& grid = nodes_[i].grid;
    if (!grid.active()) continue;
    const double low = grid.codebook.empty() ? -grid.levels : grid.codebook.front();
    const double high = grid.codebook.empty() ? grid.levels : grid.codebook.back();
    tensors_[i].weights.clamp_(low, high);
  }
}

at::Tensor TorchGraph::effective_weights(const FloatNode& node, const NodeTensors& t) const {
  at::Tensor w = t.weights;
  if (node.grid.active()) {
    const at::Tensor exact = w.detach();
    const at::Tensor rounded = t.codebook.defined()
                                   ? nearest_in_codebook(exact, t.codebook)
                                   : at::clamp(at::round(exact), -node.grid.levels, node.grid.levels);
    w = w + (rounded - exact);
  }
  if (t.mask.defined()) w = w * t.mask;
  return w.view(weight_shape(node));
}

at::Tensor TorchGraph::layer(const FloatNode& node, const NodeTensors& t, const at::Tensor& input) const {
  // A dense layer runs as a 1×1 convolution: LibTorch's convolution is far faster than its matrix product
  // where it was built with the reference BLAS, as in Debian.
  models::Window w;
  if (node.kind == FloatKind::conv2d) w = node.window;
  const bool even = symmetric_padding(w);
  // Channels last: the order of the fast convolutions, so that nothing is rearranged between layers.
  const at::Tensor x = (even ? input : pad(input, w, 0)).contiguous(at::MemoryFormat::ChannelsLast);
  const at::Tensor weights = effective_weights(node, t).contiguous(at::MemoryFormat::ChannelsLast);
  const std::int64_t pad_y = even ? w.pad_top : 0, pad_x = even ? w.pad_left : 0;
  const std::array<std::int64_t, 2> stride{w.stride_height, w.stride_width}, padding{pad_y, pad_x},
      dilation{w.dilation_height, w.dilation_width};
  const at::Tensor y = mode_ == Mode::inference
                           ? fast_convolution(x, weights, t.bias, stride, padding, dilation, node.groups)
                           : at::conv2d(x, weights, t.bias, stride, padding, dilation, node.groups);
  return node.gain == 1 ? y : y * node.gain;
}

at::Tensor TorchGraph::requantised(const FloatNode& node, const NodeTensors& t, const at::Tensor& x) const {
  const at::Tensor steps = t.steps.view({1, -1, 1, 1});
  at::Tensor y = rounded(at::relu(x) / steps);
  if (node.kind == FloatKind::clip) {
    const at::Tensor limit =
        t.gamma.defined() ? t.gamma.view({1, -1, 1, 1}) : at::full({1}, node.upper, x.options());
    y = at::minimum(y, at::floor(limit / steps + 0.5));
  }
  return y * node.gain;
}

at::Tensor TorchGraph::run(const FloatNode& node, const NodeTensors& t,
                           const std::vector<at::Tensor>& values) const {
  const bool training = mode_ == Mode::training;
  const at::Tensor& x = values[node.inputs.front()];
  switch (node.kind) {
    case FloatKind::conv2d:
    case FloatKind::dense:
      return layer(node, t, x);
    case FloatKind::batch_norm:
      return at::batch_norm(x, t.gamma, t.beta, t.mean, t.variance, training, 0.1, node.epsilon, false);
    case FloatKind::affine:
      return x * t.gamma.view({1, -1, 1, 1}) + t.beta.view({1, -1, 1, 1});
    case FloatKind::relu:
      return t.steps.defined() ? requantised(node, t, x) : at::relu(x);
    case FloatKind::clip:
      if (t.steps.defined()) return requantised(node, t, x);
      if (!t.gamma.defined()) return at::clamp(x, 0, node.upper);
      return at::minimum(at::relu(x), t.gamma.view({1, -1, 1, 1}));
    case FloatKind::sign:
      return SignFunction::apply(x);
    case FloatKind::max_pool2d:
      return max_pool(x, node.window);
    case FloatKind::average_pool2d:
      return average_pool(x, node.window);
    case FloatKind::add:
      return x + values[node.inputs[1]];
    case FloatKind::concat: {
      std::vector<at::Tensor> operands;
      for (const std::size_t k : node.inputs) operands.push_back(values[k]);
      return at::cat(operands, 1);
    }
    case FloatKind::flatten:
      return at::reshape(x, {x.size(0), -1, 1, 1});
    case FloatKind::input:
      break;
  }
  return x;
}

std::vector<at::Tensor> TorchGraph::forward_all(const at::Tensor& input) {
  std::vector<at::Tensor> values{input};
  for (std::size_t i = 1; i < nodes_.size(); ++i) values.push_back(run(nodes_[i], tensors_[i], values));
  return values;
}

void TorchGraph::extend(std::vector<at::Tensor>& values, std::size_t first, std::size_t last) const {
  std::vector<std::size_t> last_reader(nodes_.size(), 0);
  for (std::size_t i = 1; i < nodes_.size(); ++i) {
    for (const std::size_t operand : nodes_[i].inputs) last_reader[operand] = i;
  }
  values.resize(nodes_.size());
  for (std::size_t i = std::max<std::size_t>(first, 1); i <= last; ++i) {
    values[i] = run(nodes_[i], tensors_[i], values);
    for (std::size_t k = 0; k < i; ++k) {
      if (last_reader[k] <= i) values[k] = at::Tensor();
    }
  }
}

at::Tensor TorchGraph::forward_to(const at::Tensor& input, std::size_t node) const {
  std::vector<at::Tensor> values{input};
  extend(values, 1, node);
  return values[node];
}

at::Tensor TorchGraph::forward(const at::Tensor& input) {
  const at::Tensor output = forward_all(input).back();
  const at::Tensor logits = at::reshape(output, {output.size(0), -1});
  return class_scale_.defined() ? logits * class_scale_ : logits;
}

}  // namespace popcorn::compress
