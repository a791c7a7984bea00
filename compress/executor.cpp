#include "compress/executor.h"

#include <algorithm>

#include "base/error.h"
#include "compress/interruption.h"
#include "compress/training/torch_graph.h"

namespace popcorn::compress {

namespace {

constexpr std::size_t kBatch = 250;
constexpr std::int64_t kBatchValues = std::int64_t{1} << 25;  // of one tensor: 128 MiB in single precision

/// Pictures that run together: fewer where the network's tensors are large.
std::size_t batch_size(const FloatGraph& graph) {
  std::int64_t largest = 1;
  for (const FloatNode& node : graph.nodes) largest = std::max(largest, node.shape.size());
  return std::clamp<std::size_t>(static_cast<std::size_t>(kBatchValues / largest), 1, kBatch);
}

}  // namespace

struct Executor::Impl {
  TorchGraph torch;
  models::Shape input;
  at::ScalarType type;
  std::size_t batch, output;  // pictures at once; index of the last node

  template <typename T>
  std::vector<T> run(std::span<const T> inputs, std::size_t count, at::ScalarType outer) {
    if (inputs.size() != count * static_cast<std::size_t>(input.size())) {
      throw InputError("executor.size", "the input has " + std::to_string(inputs.size()) +
                                            " values, expected " + std::to_string(count) + " × " +
                                            std::to_string(input.size()));
    }
    const at::NoGradGuard guard;
    std::vector<T> result;
    const auto size = static_cast<std::size_t>(input.size());
    for (std::size_t first = 0; first < count; first += batch) {
      const auto rows = static_cast<std::int64_t>(std::min(batch, count - first));
      const at::Tensor x =
          at::from_blob(const_cast<T*>(inputs.data()) + first * size,
                        {rows, input.channels, input.height, input.width}, at::TensorOptions().dtype(outer));
      const at::Tensor y = torch.forward_to(x.to(type), output).to(outer).contiguous();
      result.insert(result.end(), y.data_ptr<T>(), y.data_ptr<T>() + y.numel());
    }
    return result;
  }
};

Executor::Executor(const FloatGraph& graph, Precision precision) {
  const at::ScalarType type = precision == Precision::double_precision ? at::kDouble : at::kFloat;
  impl_ = std::make_unique<Impl>(Impl{TorchGraph(graph, TorchGraph::Mode::inference, type),
                                      graph.input().shape, type, batch_size(graph), graph.nodes.size() - 1});
}
Executor::~Executor() = default;
Executor::Executor(Executor&&) noexcept = default;
Executor& Executor::operator=(Executor&&) noexcept = default;

std::vector<float> Executor::run(std::span<const float> inputs, std::size_t count) {
  return impl_->run<float>(inputs, count, at::kFloat);
}

std::vector<double> Executor::run(std::span<const double> inputs, std::size_t count) {
  return impl_->run<double>(inputs, count, at::kDouble);
}

void normalise(const FloatGraph& graph, std::span<float> values) {
  const models::Shape& shape = graph.input().shape;
  const auto plane = static_cast<std::size_t>(shape.height * shape.width);
  for (std::size_t c = 0; c < static_cast<std::size_t>(shape.channels); ++c) {
    const auto factor = static_cast<float>(1 / (255 * graph.deviation[c]));
    const auto offset = static_cast<float>(graph.mean[c] / graph.deviation[c]);
    for (std::size_t i = c * plane; i < (c + 1) * plane; ++i) values[i] = values[i] * factor - offset;
  }
}

at::Tensor input_batch(const FloatGraph& graph, const Dataset& data, std::size_t first, std::size_t count) {
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

std::vector<float> logits(const FloatGraph& graph, const Dataset& data, const std::atomic<bool>* stop) {
  const auto size = static_cast<std::size_t>(graph.input().shape.size());
  if (static_cast<std::size_t>(data.shape.size()) != size) {
    throw InputError("executor.shape", "the pictures are " + data.shape.to_string() +
                                           ", the network expects " + graph.input().shape.to_string());
  }
  Executor executor(graph);
  const std::size_t batch = batch_size(graph);
  std::vector<float> result, block;
  for (std::size_t first = 0; first < data.count(); first += batch) {
    throw_if_stopped(stop);
    const std::size_t count = std::min(batch, data.count() - first);
    block.assign(data.pixels.begin() + static_cast<std::ptrdiff_t>(first * size),
                 data.pixels.begin() + static_cast<std::ptrdiff_t>((first + count) * size));
    for (std::size_t k = 0; k < count; ++k) normalise(graph, std::span(block).subspan(k * size, size));
    const std::vector<float> part = executor.run(std::span<const float>(block), count);
    result.insert(result.end(), part.begin(), part.end());
  }
  return result;
}

std::vector<std::uint16_t> answers(const FloatGraph& graph, const Dataset& data,
                                   const std::atomic<bool>* stop) {
  const std::vector<float> all = logits(graph, data, stop);
  const auto classes = static_cast<std::size_t>(graph.output().shape.size());
  std::vector<std::uint16_t> result;
  for (std::size_t i = 0; i < data.count(); ++i) {
    const auto row = all.begin() + static_cast<std::ptrdiff_t>(i * classes);
    result.push_back(
        static_cast<std::uint16_t>(std::max_element(row, row + static_cast<std::ptrdiff_t>(classes)) - row));
  }
  return result;
}

double share_of_equal(const std::vector<std::uint16_t>& answers, const std::vector<std::uint16_t>& classes) {
  std::size_t equal = 0;
  for (std::size_t i = 0; i < answers.size(); ++i) equal += answers[i] == classes[i] ? 1 : 0;
  return answers.empty() ? 0 : static_cast<double>(equal) / static_cast<double>(answers.size());
}

double accuracy(const FloatGraph& graph, const Dataset& data, const std::atomic<bool>* stop) {
  return share_of_equal(answers(graph, data, stop), data.classes);
}

}  // namespace popcorn::compress
