// Packed layers against the plain sums: W·c mod 2^w from both parties' digits and the carry rule.
#include "protocols/shares/packed_layer.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <set>

#include "base/error.h"
#include "models/network/sliding_window.h"
#include "protocols/ot/share_transfers.h"
#include "tests/protocols/parties.h"

using namespace popcorn;
using namespace popcorn::protocols;
using namespace popcorn::protocols::shares;
using models::Shape;
using models::Window;

namespace {

struct Case {
  models::Node node;
  WeightedLayer layer;
};

/// A convolution with random weights, `zeros` percent of them none.
Case random_case(test::SeededRng& rng, Shape input, std::int64_t outputs, std::int64_t groups, Window window,
                 unsigned ring, std::int32_t most, int zeros) {
  Case made;
  made.layer.name = "conv";
  made.layer.input = input;
  made.layer.output = {outputs,
                       models::window_outputs(input.height, window.kernel_height, window.stride_height,
                                              window.pad_top, window.pad_bottom, window.dilation_height),
                       models::window_outputs(input.width, window.kernel_width, window.stride_width,
                                              window.pad_left, window.pad_right, window.dilation_width)};
  made.layer.window = window;
  made.layer.groups = groups;
  made.layer.ring = ring;
  made.node.name = "conv";
  made.node.kind = models::NodeKind::conv2d;
  const std::int64_t count = outputs * (input.channels / groups) * window.kernel_height * window.kernel_width;
  for (std::int64_t i = 0; i < count; ++i) {
    made.node.weights.push_back(
        rng.between(1, 100) <= zeros ? 0 : static_cast<std::int32_t>(rng.between(-most, most)));
  }
  made.layer.slot_bits = required_slot_bits(made.node, made.layer);
  return made;
}

Case random_case(test::SeededRng& rng) {
  for (;;) {
    Window window;
    window.kernel_height = rng.between(1, 4);
    window.kernel_width = rng.between(1, 4);
    window.stride_height = rng.between(1, 3);
    window.stride_width = rng.between(1, 3);
    window.dilation_height = rng.between(1, 2);
    window.dilation_width = rng.between(1, 2);
    for (std::int64_t* pad : {&window.pad_top, &window.pad_left, &window.pad_bottom, &window.pad_right}) {
      *pad = rng.between(0, 3);
    }
    const std::int64_t groups = rng.between(1, 3);
    const Shape input{groups * rng.between(1, 3), rng.between(1, 11), rng.between(1, 11)};
    const std::int64_t outputs = groups * rng.between(1, 3);
    Case made =
        random_case(rng, input, outputs, groups, window, static_cast<unsigned>(rng.between(4, 24)),
                    static_cast<std::int32_t>(rng.between(1, 31)), static_cast<int>(rng.between(0, 90)));
    if (made.layer.output.height > 0 && made.layer.output.width > 0) return made;
  }
}

Case random_dense(test::SeededRng& rng) {
  return random_case(rng, {rng.between(1, 60), 1, 1}, rng.between(1, 40), 1, {},
                     static_cast<unsigned>(rng.between(4, 24)), 7, 30);
}

ot::Words random_shares(test::SeededRng& rng, const WeightedLayer& layer) {
  ot::Words shares;
  for (std::int64_t i = 0; i < layer.input.size(); ++i) {
    // The ends of the range are where slots overflow first.
    const std::int64_t what = rng.between(0, 3);
    const std::uint32_t all = ot::low_bits(layer.ring);
    shares.push_back(what == 0 ? all : what == 1 ? 0 : static_cast<std::uint32_t>(rng.next_u64()) & all);
  }
  return shares;
}

/// Σ w·c of one output, by the definition of a convolution.
std::int64_t plain_sum(const Case& made, const ot::Words& shares, std::int64_t output, std::int64_t y,
                       std::int64_t x) {
  const WeightedLayer& layer = made.layer;
  const Window& window = layer.window;
  const std::int64_t channels = layer.input.channels / layer.groups;
  const std::int64_t first = output / (layer.output.channels / layer.groups) * channels;
  std::int64_t sum = 0;
  std::size_t weight =
      static_cast<std::size_t>(output * channels * window.kernel_height * window.kernel_width);
  for (std::int64_t channel = first; channel < first + channels; ++channel) {
    for (std::int64_t ky = 0; ky < window.kernel_height; ++ky) {
      for (std::int64_t kx = 0; kx < window.kernel_width; ++kx, ++weight) {
        const std::int64_t row = y * window.stride_height - window.pad_top + ky * window.dilation_height;
        const std::int64_t column = x * window.stride_width - window.pad_left + kx * window.dilation_width;
        if (row < 0 || row >= layer.input.height || column < 0 || column >= layer.input.width) continue;
        sum += std::int64_t{made.node.weights[weight]} *
               shares[static_cast<std::size_t>((channel * layer.input.height + row) * layer.input.width +
                                               column)];
      }
    }
  }
  return sum;
}

/// What the carry chain makes of both parties' parts.
ot::Words opened(const MaskedResult& client, const MaskedResult& server, unsigned ring) {
  ot::Words values;
  for (std::size_t i = 0; i < client.words.size(); ++i) {
    const std::uint32_t carry = (client.lowest[i] + server.lowest[i] + 1) >> 1;
    values.push_back((client.words[i] + server.words[i] + carry) & ot::low_bits(ring));
  }
  return values;
}

ot::Words plain_values(const Case& made, const ot::Words& shares) {
  ot::Words values;
  for (std::int64_t output = 0; output < made.layer.output.channels; ++output) {
    for (std::int64_t y = 0; y < made.layer.output.height; ++y) {
      for (std::int64_t x = 0; x < made.layer.output.width; ++x) {
        values.push_back(static_cast<std::uint32_t>(plain_sum(made, shares, output, y, x)) &
                         ot::low_bits(made.layer.ring));
      }
    }
  }
  return values;
}

/// One layer through both parties.
void check_layer(const Case& made, const PackedLayout& layout, const test::Party& party,
                 test::SeededRng& rng) {
  INFO("input " << made.layer.input.to_string() << " output " << made.layer.output.to_string() << " ring "
                << made.layer.ring << " slot " << made.layer.slot_bits << " segments " << layout.segments()
                << " steps " << layout.steps() << " together " << layout.choice().inputs_together << " "
                << layout.choice().outputs_together << " columns "
                << (layout.choice().planes == LayoutChoice::Planes::columns) << " shifts inputs "
                << (layout.choice().shifts == LayoutChoice::Shifts::inputs));
  const PackedLayer layer(made.node, layout);
  const ot::Words shares = random_shares(rng, made.layer);
  Bytes request;
  encrypt_shares(layout, *party.owner, shares, request);
  const PackedCost cost = layer.cost(party.owner->public_key().kind());
  CHECK(request.size() == cost.bytes_up);
  const paillier::Evaluator evaluator(party.context, rng);
  Bytes response;
  const MaskedResult server = layer.evaluate(evaluator, request, response, rng);
  CHECK(response.size() == cost.bytes_down);
  CHECK(evaluator.counts().multiplications == cost.multiplications);
  const MaskedResult client = open_result(layout, *party.owner, response);
  CHECK(opened(client, server, made.layer.ring) == plain_values(made, shares));
}

unsigned fitting_bits(const WeightedLayer& layer) {
  return layer.slot_bits * 4 > 512 - kUnusedBits ? 1024 : 512;
}

}  // namespace

TEST_CASE("packed convolutions give W·c exactly, in the cheapest layout", "[shares]") {
  test::SeededRng rng(1);
  for (int round = 0; round < 40; ++round) {
    const Case made = random_case(rng);
    const unsigned bits = round % 4 == 0 ? 1024 : fitting_bits(made.layer);
    check_layer(made, cheapest_layout(made.layer, bits), test::party(bits), rng);
  }
}

TEST_CASE("packed dense layers give W·c exactly, in the cheapest layout", "[shares]") {
  test::SeededRng rng(2);
  for (int round = 0; round < 25; ++round) {
    const Case made = random_dense(rng);
    check_layer(made, cheapest_layout(made.layer, 512), test::party(512), rng);
  }
}

TEST_CASE("every layout that fits gives W·c exactly", "[shares]") {
  test::SeededRng rng(3);
  int tried = 0;
  while (tried < 80) {
    const Case made = rng.between(0, 3) == 0 ? random_dense(rng) : random_case(rng);
    const std::size_t slots = most_slots(made.layer.slot_bits, 512);
    LayoutChoice choice;
    choice.planes = rng.between(0, 1) == 0 ? LayoutChoice::Planes::phases : LayoutChoice::Planes::columns;
    choice.shifts = rng.between(0, 1) == 0 ? LayoutChoice::Shifts::inputs : LayoutChoice::Shifts::outputs;
    const std::size_t places = window_geometry(made.layer, choice.planes).places;
    const std::size_t fewest = (places + slots - 1) / slots;
    choice.segments = fewest + static_cast<std::size_t>(rng.between(0, 3));
    const std::size_t length = (places + choice.segments - 1) / choice.segments;
    if (length > slots) continue;
    choice.steps = static_cast<std::size_t>(rng.between(0, static_cast<std::int64_t>((slots - length) / 2)));
    if (choice.segments == 1) {
      choice.inputs_together = channels_together()[static_cast<std::size_t>(rng.between(0, 5))];
      choice.outputs_together = static_cast<std::size_t>(rng.between(1, 4));
    }
    try {
      const PackedLayout layout(made.layer, 512, choice);
      check_layer(made, layout, test::party(512), rng);
      ++tried;
    } catch (const Error& error) {
      REQUIRE(error.code() == "layout.choice");
    }
  }
}
