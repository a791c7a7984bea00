#include "tests/protocols/shares/packed_cases.h"

#include "models/network/sliding_window.h"
#include "protocols/ot/steps/share_transfers.h"

namespace popcorn::test {

using models::Window;
using protocols::ot::low_bits;
using protocols::ot::Words;
using protocols::shares::WeightedLayer;

PackedCase random_case(SeededRng& rng, const CaseShape& shape, std::int32_t most, int zeros) {
  const Window& window = shape.window;
  PackedCase made;
  made.layer.name = made.node.name = "conv";
  made.layer.input = shape.input;
  made.layer.output = {shape.outputs,
                       models::window_outputs(shape.input.height, window.kernel_height, window.stride_height,
                                              window.pad_top, window.pad_bottom, window.dilation_height),
                       models::window_outputs(shape.input.width, window.kernel_width, window.stride_width,
                                              window.pad_left, window.pad_right, window.dilation_width)};
  made.layer.window = window;
  made.layer.groups = shape.groups;
  made.layer.ring = shape.ring;
  made.node.kind = models::NodeKind::conv2d;
  const std::int64_t count =
      shape.outputs * (shape.input.channels / shape.groups) * window.kernel_height * window.kernel_width;
  for (std::int64_t i = 0; i < count; ++i) {
    made.node.weights.push_back(
        rng.between(1, 100) <= zeros ? 0 : static_cast<std::int32_t>(rng.between(-most, most)));
  }
  made.layer.slot_bits = protocols::shares::required_slot_bits(made.node, made.layer);
  return made;
}

PackedCase random_convolution(SeededRng& rng) {
  for (;;) {
    CaseShape shape;
    Window& window = shape.window;
    window.kernel_height = rng.between(1, 4);
    window.kernel_width = rng.between(1, 4);
    window.stride_height = rng.between(1, 3);
    window.stride_width = rng.between(1, 3);
    window.dilation_height = rng.between(1, 2);
    window.dilation_width = rng.between(1, 2);
    for (std::int64_t* pad : {&window.pad_top, &window.pad_left, &window.pad_bottom, &window.pad_right}) {
      *pad = rng.between(0, 3);
    }
    shape.groups = rng.between(0, 1) == 0 ? 1 : rng.between(2, 5);
    shape.input = {shape.groups * rng.between(1, 3), rng.between(1, 11), rng.between(1, 11)};
    shape.outputs = shape.groups * rng.between(1, 3);
    shape.ring = static_cast<unsigned>(rng.between(4, 24));
    const auto most = static_cast<std::int32_t>(rng.between(1, 31));
    const auto zeros = static_cast<int>(rng.between(0, 90));
    PackedCase made = random_case(rng, shape, most, zeros);
    if (made.layer.output.height > 0 && made.layer.output.width > 0) return made;
  }
}

PackedCase random_dense(SeededRng& rng) {
  CaseShape shape;
  shape.input = {rng.between(1, 60), 1, 1};
  shape.outputs = rng.between(1, 40);
  shape.ring = static_cast<unsigned>(rng.between(4, 24));
  return random_case(rng, shape, 7, 30);
}

Words random_shares(SeededRng& rng, const WeightedLayer& layer) {
  const std::uint32_t all = low_bits(layer.ring);
  Words shares;
  for (std::int64_t i = 0; i < layer.input.size(); ++i) {
    // The ends of the range are where slots would overflow first.
    const std::int64_t what = rng.between(0, 3);
    const auto uniform = static_cast<std::uint32_t>(rng.next_u64()) & all;
    shares.push_back(what == 0 ? all : what == 1 ? 0 : uniform);
  }
  return shares;
}

Words opened(const protocols::shares::MaskedResult& client, const protocols::shares::MaskedResult& server,
             unsigned ring) {
  Words values;
  for (std::size_t i = 0; i < client.words.size(); ++i) {
    const std::uint32_t carry = (client.lowest[i] + server.lowest[i] + 1) >> 1;
    values.push_back((client.words[i] + server.words[i] + carry) & low_bits(ring));
  }
  return values;
}

namespace {

struct Position {
  std::int64_t output, y, x;
};

std::int64_t plain_sum(const PackedCase& made, const Words& shares, const Position& at) {
  const WeightedLayer& layer = made.layer;
  const Window& window = layer.window;
  const models::Axis rows = models::vertical_axis(window, layer.input, layer.output);
  const models::Axis columns = models::horizontal_axis(window, layer.input, layer.output);
  const std::int64_t channels = layer.input.channels / layer.groups;
  const std::int64_t first = at.output / (layer.output.channels / layer.groups) * channels;
  const std::int32_t* weight = made.node.weights.data() + at.output * channels * rows.kernel * columns.kernel;
  std::int64_t sum = 0;
  for (std::int64_t channel = first; channel < first + channels; ++channel) {
    for (std::int64_t tap = 0; tap < rows.kernel * columns.kernel; ++tap, ++weight) {
      const std::int64_t row = rows.input_at(at.y, tap / columns.kernel);
      const std::int64_t column = columns.input_at(at.x, tap % columns.kernel);
      if (row < 0 || row >= rows.input || column < 0 || column >= columns.input) continue;
      const std::int64_t place = (channel * rows.input + row) * columns.input + column;
      sum += std::int64_t{*weight} * shares[static_cast<std::size_t>(place)];
    }
  }
  return sum;
}

}  // namespace

Words plain_result(const PackedCase& made, const Words& shares) {
  const models::Shape& shape = made.layer.output;
  Words values;
  for (std::int64_t i = 0; i < shape.size(); ++i) {
    const std::int64_t plane = shape.height * shape.width;
    const Position at{i / plane, i % plane / shape.width, i % shape.width};
    values.push_back(static_cast<std::uint32_t>(plain_sum(made, shares, at)) & low_bits(made.layer.ring));
  }
  return values;
}

}  // namespace popcorn::test
