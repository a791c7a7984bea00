#include "tests/models/golden_network.h"

namespace popcorn::test {

namespace {

using models::IntegerNetwork;
using models::Node;
using models::NodeKind;
using models::Window;

Window window(std::int64_t kernel, std::int64_t stride, std::int64_t pad, std::int64_t dilation) {
  Window result;
  result.kernel_height = result.kernel_width = kernel;
  result.stride_height = result.stride_width = stride;
  result.pad_top = result.pad_left = result.pad_bottom = result.pad_right = pad;
  result.dilation_height = result.dilation_width = dilation;
  return result;
}

class Builder {
 public:
  explicit Builder(IntegerNetwork& network) : network_(network) {}

  Node& add(NodeKind kind, const std::string& name, std::vector<std::size_t> inputs) {
    Node node;
    node.kind = kind;
    node.name = name;
    node.inputs = std::move(inputs);
    node.scale = {0.5};
    network_.nodes.push_back(std::move(node));
    return network_.nodes.back();
  }

  Node& add_conv(const std::string& name, std::size_t input, const Window& conv_window, std::int64_t channels,
                 std::size_t weights, std::int32_t step) {
    Node& node = add(NodeKind::conv2d, name, {input});
    node.window = conv_window;
    node.bias = WideVector(static_cast<std::size_t>(channels), 1);
    for (std::size_t i = 0; i < weights; ++i) {
      node.weights.push_back(i % 3 == 0 ? 0 : (static_cast<std::int32_t>(i) - 8) * step);
    }
    for (std::size_t i = 0; i < node.bias.size(); ++i)
      node.bias.set_int64(i, 100 - static_cast<std::int64_t>(i) * 77);
    return node;
  }

 private:
  IntegerNetwork& network_;
};

}  // namespace

IntegerNetwork golden_network() {
  IntegerNetwork network;
  network.name = "every-kind";
  network.description = "one node of every kind (not trained; \u00e4 \"quoted\" word)";
  network.encoding.shape = {3, 6, 6};
  network.encoding.color = "bgr";
  network.encoding.resize = models::InputEncoding::Resize::shorter_side_then_center_crop;
  network.encoding.resize_shorter_side = 8;
  network.encoding.invert = models::InputEncoding::Invert::always;
  network.encoding.offset = {104, 117, 123};
  network.encoding.low = -123;
  network.encoding.high = 151;
  network.labels = {"cat", "dog"};
  network.softmax = false;
  network.facts = {{"accuracy", "none"}, {"made by", "hand"}};
  Builder builder(network);
  builder.add(NodeKind::input, "input", {});
  builder.add_conv("conv1", 0, window(3, 1, 1, 1), 4, 4 * 3 * 9, 1).scale = {0.125, 0.1, 3.5e-7, 2.0};
  builder.add(NodeKind::relu, "relu1", {1});
  builder.add_conv("depthwise", 2, window(2, 1, 0, 2), 4, 4 * 4, 300).groups = 4;
  builder.add(NodeKind::max_pool2d, "max", {3}).window = window(2, 2, 0, 1);
  builder.add(NodeKind::sum_pool2d, "sum", {3}).window = window(2, 2, 0, 1);
  builder.add(NodeKind::add, "join", {4, 5}).multipliers = {4, 1};
  builder.add(NodeKind::sign, "sign", {6});
  builder.add(NodeKind::concat, "both", {6, 7}).multipliers = {1, 1'000'000'007};
  builder.add(NodeKind::flatten, "flatten", {8});
  Node& fc = builder.add(NodeKind::dense, "fc", {9});
  for (int i = 0; i < 2 * 32; ++i) fc.weights.push_back(i % 5 == 0 ? 0 : (i - 30) * 70000);
  fc.bias = WideVector(2, 2);
  fc.bias.set_decimal(0, "-98765432109876543210987654321");
  fc.bias.set_decimal(1, "12345678901234567890");
  builder.add(NodeKind::output, "output", {10});
  network.finish();
  return network;
}

}  // namespace popcorn::test
