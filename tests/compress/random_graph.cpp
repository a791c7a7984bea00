#include "tests/compress/random_graph.h"

#include <algorithm>
#include <cmath>

namespace popcorn::test {

using compress::FloatGraph;
using compress::FloatKind;
using compress::FloatNode;

namespace {

class GraphMaker {
 public:
  GraphMaker(SeededRng& rng, const GraphKinds& kinds) : rng_(rng), kinds_(kinds) {
    FloatNode input;
    input.name = "input";
    input.shape = {rng.between(1, 3), rng.between(7, 10), rng.between(7, 10)};
    graph_.name = "random";
    graph_.encoding.shape = input.shape;
    graph_.encoding.color = input.shape.channels == 3 ? "rgb" : "gray";
    for (std::int64_t c = 0; c < input.shape.channels; ++c) {
      graph_.mean.push_back(static_cast<double>(uniform(rng, 0, 0.6F)));
      graph_.deviation.push_back(static_cast<double>(uniform(rng, 0.2F, 1)));
    }
    graph_.encoding.offset.assign(graph_.mean.size(), 0);
    graph_.nodes.push_back(input);
  }

  FloatGraph make() {
    for (std::int64_t block = rng_.between(1, 3); block > 0; --block) add_block();
    append(FloatKind::flatten);
    if (rng_.between(0, 1) == 1) {
      dense(rng_.between(2, 6));
      append(FloatKind::relu);
    }
    dense(rng_.between(2, 5));
    graph_.finish();
    return std::move(graph_);
  }

 private:
  std::size_t last() const { return graph_.nodes.size() - 1; }
  const models::Shape& shape() const { return graph_.nodes.back().shape; }

  FloatNode& append(FloatKind kind) {
    FloatNode node;
    node.kind = kind;
    node.name = std::string(to_string(kind)) + std::to_string(graph_.nodes.size());
    node.inputs = {last()};
    node.shape = shape();
    if (kind == FloatKind::flatten) node.shape = {shape().size(), 1, 1};
    graph_.nodes.push_back(node);
    return graph_.nodes.back();
  }

  void dense(std::int64_t outputs) {
    const std::int64_t inputs = shape().channels;
    FloatNode& node = append(FloatKind::dense);
    node.weights = random_floats(rng_, static_cast<std::size_t>(inputs * outputs));
    node.bias = random_floats(rng_, static_cast<std::size_t>(outputs));
    node.shape = {outputs, 1, 1};
  }

  void convolution(std::int64_t outputs, bool same_size) {
    const models::Shape input = shape();
    FloatNode& node = append(FloatKind::conv2d);
    node.groups = input.channels > 1 && rng_.between(0, 3) == 0 ? input.channels : 1;
    if (node.groups > 1) outputs = input.channels * rng_.between(1, 2);
    models::Window& w = node.window;
    if (same_size) {
      w.kernel_height = w.kernel_width = 3;
      w.pad_top = w.pad_left = w.pad_bottom = w.pad_right = 1;
    } else {
      w.kernel_height = rng_.between(1, std::min<std::int64_t>(3, input.height));
      w.kernel_width = rng_.between(1, std::min<std::int64_t>(3, input.width));
      w.stride_height = rng_.between(1, 2);
      w.stride_width = rng_.between(1, 2);
      w.pad_top = rng_.between(0, 2);
      w.pad_left = rng_.between(0, 2);
      w.pad_bottom = rng_.between(0, 1);
      w.pad_right = rng_.between(0, 1);
      if (input.height > 4 && input.width > 4) w.dilation_height = rng_.between(1, 2);
    }
    node.weights = random_floats(rng_, static_cast<std::size_t>(outputs * input.channels / node.groups *
                                                                w.kernel_height * w.kernel_width));
    node.bias = random_floats(rng_, static_cast<std::size_t>(outputs));
    node.shape = compress::window_output(input, w, outputs, node.name);
  }

  void batch_norm() {
    const auto channels = static_cast<std::size_t>(shape().channels);
    FloatNode& node = append(FloatKind::batch_norm);
    node.gamma = random_floats(rng_, channels, -1.5F, 1.5F);
    node.beta = random_floats(rng_, channels);
    node.mean = random_floats(rng_, channels);
    node.variance = random_floats(rng_, channels, 0.1F, 2);
  }

  void pool() {
    if (shape().height < 3 || shape().width < 3) return;
    const bool average = kinds_.average_pool && rng_.between(0, 1) == 1;
    const models::Shape input = shape();
    FloatNode& node = append(average ? FloatKind::average_pool2d : FloatKind::max_pool2d);
    node.window.kernel_height = rng_.between(2, 3);
    node.window.kernel_width = rng_.between(2, 3);
    node.window.stride_height = rng_.between(1, 2);
    node.window.stride_width = rng_.between(1, 2);
    node.window.pad_top = rng_.between(0, 1);
    node.shape = compress::window_output(input, node.window, input.channels, node.name);
  }

  void activation() {
    if (kinds_.clip && rng_.between(0, 2) == 0) {
      append(FloatKind::clip).upper = uniform(rng_, 0.5F, 3);
    } else if (kinds_.sign && rng_.between(0, 2) == 0) {
      append(FloatKind::sign);
    } else {
      append(FloatKind::relu);
    }
  }

  void branch() {
    const std::size_t start = last();
    convolution(shape().channels, true);
    const bool equal = shape() == graph_.nodes[start].shape;
    append(FloatKind::relu);
    const std::size_t second = last();
    FloatNode& join = append(equal && rng_.between(0, 1) == 1 ? FloatKind::add : FloatKind::concat);
    join.inputs = {start, second};
    if (join.kind == FloatKind::concat) join.shape.channels += graph_.nodes[start].shape.channels;
  }

  void add_block() {
    convolution(rng_.between(2, 4), false);
    if (kinds_.batch_norm && rng_.between(0, 1) == 1) batch_norm();
    activation();
    if (kinds_.branches && rng_.between(0, 1) == 1) branch();
    if (kinds_.batch_norm && rng_.between(0, 2) == 0) batch_norm();
    if (rng_.between(0, 1) == 1) pool();
  }

  SeededRng& rng_;
  const GraphKinds& kinds_;
  FloatGraph graph_;
};

}  // namespace

compress::FloatGraph random_graph(SeededRng& rng, const GraphKinds& kinds) {
  return GraphMaker(rng, kinds).make();
}

compress::FloatGraph dense_graph(const models::Shape& shape, std::vector<float> weights,
                                 std::vector<float> bias) {
  using compress::FloatKind;
  compress::FloatGraph graph;
  graph.name = "dense";
  graph.encoding.shape = shape;
  graph.mean = {0};
  graph.deviation = {1};
  compress::FloatNode input, flatten, dense;
  input.name = "input";
  input.shape = shape;
  flatten.kind = FloatKind::flatten;
  flatten.name = "flatten";
  flatten.inputs = {0};
  dense.kind = FloatKind::dense;
  dense.name = "dense";
  dense.inputs = {1};
  dense.weights = std::move(weights);
  dense.bias = std::move(bias);
  graph.nodes = {input, flatten, dense};
  graph.finish();
  return graph;
}

compress::Dataset random_pictures(SeededRng& rng, const models::Shape& shape, std::size_t count) {
  compress::Dataset set;
  set.shape = shape;
  set.pixels.resize(count * static_cast<std::size_t>(shape.size()));
  rng.fill(set.pixels);
  set.classes.assign(count, 0);
  return set;
}

float uniform(SeededRng& rng, float low, float high) {
  return low + (high - low) * static_cast<float>(rng.below(1 << 24)) / static_cast<float>(1 << 24);
}

std::vector<float> random_floats(SeededRng& rng, std::size_t count, float low, float high) {
  std::vector<float> values(count);
  for (float& v : values) v = uniform(rng, low, high);
  return values;
}

double relative_difference(const std::vector<float>& found, const std::vector<float>& expected) {
  double largest = 1e-3, difference = found.size() == expected.size() ? 0 : INFINITY;
  for (std::size_t i = 0; i < std::min(found.size(), expected.size()); ++i) {
    largest = std::max(largest, std::abs(static_cast<double>(expected[i])));
    difference =
        std::max(difference, std::abs(static_cast<double>(found[i]) - static_cast<double>(expected[i])));
  }
  return difference / largest;
}

}  // namespace popcorn::test
