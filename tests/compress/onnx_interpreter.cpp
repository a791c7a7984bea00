#include "tests/compress/onnx_interpreter.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <map>
#include <stdexcept>

namespace popcorn::test {

namespace {

using Dims = std::vector<std::int64_t>;

struct Value {
  Dims dims;  // without the batch, for all but initializers
  std::vector<double> data;
};

std::int64_t product(const Dims& dims) {
  std::int64_t result = 1;
  for (const std::int64_t d : dims) result *= d;
  return result;
}

template <typename T>
std::vector<double> numbers(const std::string& raw) {
  std::vector<T> values(raw.size() / sizeof(T));
  std::memcpy(values.data(), raw.data(), raw.size());
  return {values.begin(), values.end()};
}

Value initializer(const onnx::TensorProto& tensor) {
  Value value;
  value.dims = {tensor.dims().begin(), tensor.dims().end()};
  const std::string& raw = tensor.raw_data();
  if (tensor.data_type() == onnx::TensorProto::DOUBLE) {
    value.data = numbers<double>(raw);
  } else if (tensor.data_type() == onnx::TensorProto::FLOAT) {
    value.data = numbers<float>(raw);
  } else {
    value.data = numbers<std::int64_t>(raw);
  }
  return value;
}

Dims attribute(const onnx::NodeProto& node, const std::string& name, Dims otherwise) {
  for (const onnx::AttributeProto& a : node.attribute()) {
    if (a.name() == name) return a.ints_size() > 0 ? Dims{a.ints().begin(), a.ints().end()} : Dims{a.i()};
  }
  return otherwise;
}

/// b's last dimensions are a's, or 1, or missing.
Value elementwise(const Value& a, const Value& b, const std::function<double(double, double)>& f) {
  if (b.data.size() == a.data.size()) {
    Value y = a;
    for (std::size_t i = 0; i < y.data.size(); ++i) y.data[i] = f(a.data[i], b.data[i]);
    return y;
  }
  if (b.data.size() > 1 && b.data.size() != static_cast<std::size_t>(a.dims.front()))
    throw std::runtime_error("an operand of another shape");
  const bool by_last = b.dims.size() == 1 && a.dims.size() == 1;
  if (b.data.size() > 1 && !by_last && b.dims.size() != a.dims.size())
    throw std::runtime_error("a factor for another dimension");
  Value y = a;
  const std::size_t plane = a.data.size() / b.data.size();
  for (std::size_t i = 0; i < y.data.size(); ++i) y.data[i] = f(a.data[i], b.data[i / plane]);
  return y;
}

Value mapped(const Value& a, const std::function<double(double)>& f) {
  Value y = a;
  for (double& x : y.data) x = f(x);
  return y;
}

/// Calls visit(output channel, output place, input row, input column, tap) for every tap inside the picture.
template <typename Visit>
void slide(const onnx::NodeProto& node, const Value& x, const Dims& kernel, const Dims& out,
           const Visit& visit) {
  const Dims strides = attribute(node, "strides", {1, 1}), pads = attribute(node, "pads", {0, 0, 0, 0}),
             dilations = attribute(node, "dilations", {1, 1});
  for (std::int64_t c = 0; c < out[0]; ++c) {
    for (std::int64_t row = 0; row < out[1]; ++row) {
      for (std::int64_t column = 0; column < out[2]; ++column) {
        for (std::int64_t tap = 0; tap < kernel[0] * kernel[1]; ++tap) {
          const std::int64_t i = row * strides[0] - pads[0] + tap / kernel[1] * dilations[0];
          const std::int64_t j = column * strides[1] - pads[1] + tap % kernel[1] * dilations[1];
          if (i < 0 || j < 0 || i >= x.dims[1] || j >= x.dims[2]) continue;
          visit(c, (c * out[1] + row) * out[2] + column, i * x.dims[2] + j, tap);
        }
      }
    }
  }
}

Dims window_output(const onnx::NodeProto& node, const Value& x, const Dims& kernel, std::int64_t channels) {
  const Dims strides = attribute(node, "strides", {1, 1}), pads = attribute(node, "pads", {0, 0, 0, 0}),
             dilations = attribute(node, "dilations", {1, 1});
  Dims out = {channels, 0, 0};
  for (std::size_t k = 0; k < 2; ++k) {
    out[k + 1] =
        (x.dims[k + 1] + pads[k] + pads[k + 2] - (kernel[k] - 1) * dilations[k] - 1) / strides[k] + 1;
  }
  return out;
}

Value convolution(const onnx::NodeProto& node, const std::vector<Value>& in) {
  const Value &x = in[0], &w = in[1];
  const std::int64_t groups = attribute(node, "group", {1}).front(), outputs = w.dims[0],
                     per_group = w.dims[1];
  const Dims kernel = {w.dims[2], w.dims[3]}, out = window_output(node, x, kernel, outputs);
  Value y{out, std::vector<double>(static_cast<std::size_t>(product(out)))};
  if (in.size() > 2) {
    const std::size_t plane = y.data.size() / static_cast<std::size_t>(outputs);
    for (std::size_t i = 0; i < y.data.size(); ++i) y.data[i] = in[2].data[i / plane];
  }
  slide(node, x, kernel, out, [&](std::int64_t c, std::int64_t to, std::int64_t from, std::int64_t tap) {
    const std::int64_t first = c / (outputs / groups) * per_group;
    for (std::int64_t k = 0; k < per_group; ++k) {
      const std::int64_t weight = (c * per_group + k) * kernel[0] * kernel[1] + tap;
      y.data[static_cast<std::size_t>(to)] +=
          w.data[static_cast<std::size_t>(weight)] *
          x.data[static_cast<std::size_t>((first + k) * x.dims[1] * x.dims[2] + from)];
    }
  });
  return y;
}

Value max_pool(const onnx::NodeProto& node, const Value& x) {
  const Dims kernel = attribute(node, "kernel_shape", {}), out = window_output(node, x, kernel, x.dims[0]);
  Value y{out, std::vector<double>(static_cast<std::size_t>(product(out)),
                                   -std::numeric_limits<double>::infinity())};
  slide(node, x, kernel, out, [&](std::int64_t c, std::int64_t to, std::int64_t from, std::int64_t) {
    double& largest = y.data[static_cast<std::size_t>(to)];
    largest = std::max(largest, x.data[static_cast<std::size_t>(c * x.dims[1] * x.dims[2] + from)]);
  });
  return y;
}

Value dense(const std::vector<Value>& in) {
  const std::size_t outputs = static_cast<std::size_t>(in[1].dims[0]), inputs = in[0].data.size();
  Value y{{in[1].dims[0]}, in[2].data};
  for (std::size_t o = 0; o < outputs; ++o) {
    for (std::size_t i = 0; i < inputs; ++i) y.data[o] += in[1].data[o * inputs + i] * in[0].data[i];
  }
  return y;
}

Value concat(const std::vector<Value>& in) {
  Value y = in[0];
  for (std::size_t k = 1; k < in.size(); ++k) {
    y.dims[0] += in[k].dims[0];
    y.data.insert(y.data.end(), in[k].data.begin(), in[k].data.end());
  }
  return y;
}

Value computed(const onnx::NodeProto& node, const std::vector<Value>& in) {
  const std::string& op = node.op_type();
  if (op == "Conv") return convolution(node, in);
  if (op == "MaxPool") return max_pool(node, in[0]);
  if (op == "Gemm") return dense(in);
  if (op == "Concat") return concat(in);
  if (op == "Identity") return in[0];
  if (op == "Flatten") return {{product(in[0].dims)}, in[0].data};
  if (op == "Unsqueeze") return {{product(in[0].dims), 1, 1}, in[0].data};
  if (op == "Relu") return mapped(in[0], [](double x) { return std::max(x, 0.0); });
  if (op == "Floor") return mapped(in[0], [](double x) { return std::floor(x); });
  if (op == "Sign") return mapped(in[0], [](double x) { return x > 0 ? 1.0 : (x < 0 ? -1.0 : 0.0); });
  if (op == "Mul") return elementwise(in[0], in[1], std::multiplies<>());
  if (op == "Add") return elementwise(in[0], in[1], std::plus<>());
  if (op == "Sub") return elementwise(in[0], in[1], std::minus<>());
  throw std::runtime_error("unknown operator " + op);
}

}  // namespace

std::vector<double> run_onnx(const onnx::GraphProto& graph, const std::vector<double>& input) {
  std::map<std::string, Value> values;
  for (const onnx::TensorProto& tensor : graph.initializer()) values[tensor.name()] = initializer(tensor);
  Value& first = values[graph.input(0).name()];
  const auto& dims = graph.input(0).type().tensor_type().shape();
  for (int k = 1; k < dims.dim_size(); ++k) first.dims.push_back(dims.dim(k).dim_value());
  first.data = input;
  for (const onnx::NodeProto& node : graph.node()) {
    std::vector<Value> operands;
    for (const std::string& name : node.input()) operands.push_back(values.at(name));
    values[node.output(0)] = computed(node, operands);
  }
  return values.at(graph.output(0).name()).data;
}

}  // namespace popcorn::test
