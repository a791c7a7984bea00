// The cost model of layouts, and the search for the cheapest: everything in whole numbers and public, so that
// both parties come to the same.
#include <algorithm>
#include <optional>

#include "base/error.h"
#include "paillier/operation_costs.h"
#include "protocols/shares/layer/layout.h"

namespace popcorn::protocols::shares {

namespace {

constexpr std::uint64_t kWirePrice = 64;
/// Numbers of segments that are tried.
constexpr std::size_t kMostTrials = 64;
/// Of the planes of a channel, about: far more than any layer for pictures has.
constexpr std::size_t kMostSegments = std::size_t{1} << 16;

/// Takes the cheapest of the layouts that it is shown.
class Cheapest {
 public:
  Cheapest(const WeightedLayer& layer, unsigned key_bits) : layer_(layer), key_bits_(key_bits) {}

  void consider(LayoutChoice choice) {
    for (const auto shifts : {LayoutChoice::Shifts::outputs, LayoutChoice::Shifts::inputs}) {
      choice.shifts = shifts;
      PackedLayout layout(layer_, key_bits_, choice);
      if (shifts == LayoutChoice::Shifts::inputs && layout.steps() == 0) continue;
      const std::uint64_t price = layout.price();
      if (best_ && price >= price_) continue;
      price_ = price;
      best_.emplace(std::move(layout));
    }
  }
  std::optional<PackedLayout>& best() { return best_; }

 private:
  const WeightedLayer& layer_;
  unsigned key_bits_;
  std::optional<PackedLayout> best_;
  std::uint64_t price_ = 0;
};

/// All numbers of channels together that fit, for one segment with a given number of steps.
void consider_blocks(Cheapest& cheapest, LayoutChoice choice, const WeightedLayer& layer, std::size_t block,
                     std::size_t slots) {
  const std::size_t blocks = slots / block;
  for (const std::size_t together : channels_together()) {
    if (together > static_cast<std::size_t>(layer.input.channels) || 2 * together - 1 > blocks) break;
    choice.inputs_together = together;
    choice.outputs_together = 1;
    cheapest.consider(choice);
    const std::size_t most = std::min((blocks + 1) / together - 1,  // m·k + k − 1 ≤ blocks
                                      static_cast<std::size_t>(layer.output.channels));
    if (most < 2) continue;
    choice.outputs_together = ceil_div(static_cast<std::size_t>(layer.output.channels),
                                       ceil_div(static_cast<std::size_t>(layer.output.channels), most));
    cheapest.consider(choice);
  }
}

void consider_planes(Cheapest& cheapest, LayoutChoice::Planes planes, const WeightedLayer& layer,
                     std::size_t slots) {
  const WindowGeometry geometry = window_geometry(layer, planes);
  const auto span = std::ranges::minmax(geometry.taps, {}, &WindowTap::displacement);
  const auto reach = static_cast<std::size_t>(span.max.displacement - span.min.displacement);
  const std::size_t places = geometry.places;
  // As few segments as fit, and some more, whose room shifts can use.
  const std::size_t fewest = ceil_div(places, slots);
  if (fewest > kMostSegments / geometry.planes.size()) return;
  const std::size_t most = std::min(places, fewest + std::max<std::size_t>(8, fewest / 3));
  const std::size_t stride = ceil_div(most - fewest + 1, kMostTrials);
  for (std::size_t segments = fewest; segments <= most; segments += stride) {
    LayoutChoice choice{planes};
    choice.segments = segments;
    const std::size_t length = ceil_div(places, segments);
    const std::size_t most_steps = std::min((slots - length) / 2, ceil_div(reach, segments));
    for (std::size_t steps = 0; steps <= most_steps; ++steps) {
      choice.steps = steps;
      if (segments == 1) {
        consider_blocks(cheapest, choice, layer, length + 2 * steps, slots);
      } else {
        cheapest.consider(choice);
      }
    }
  }
}

}  // namespace

const std::vector<std::size_t>& channels_together() {
  static const std::vector<std::size_t> numbers{1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64};
  return numbers;
}

PackedLayout cheapest_layout(const WeightedLayer& layer, unsigned key_bits) {
  check_layer(layer);
  const std::size_t slots = most_slots(layer.slot_bits, key_bits);
  if (slots == 0) {
    throw InputError("model.too_wide", "layer \"" + layer.name + "\": a plaintext of a " +
                                           std::to_string(key_bits) + "-bit key holds no slot of " +
                                           std::to_string(layer.slot_bits) + " bits");
  }
  Cheapest cheapest(layer, key_bits);
  consider_planes(cheapest, LayoutChoice::Planes::phases, layer, slots);
  if (layer.window.kernel_width > 1) {
    consider_planes(cheapest, LayoutChoice::Planes::columns, layer, slots);
  }
  if (!cheapest.best()) {
    throw InputError("model.too_wide", "layer \"" + layer.name + "\": its planes are too large to be packed");
  }
  return std::move(*cheapest.best());
}

std::uint64_t PackedLayout::price() const noexcept {
  const std::uint64_t bits = key_bits_;
  const std::uint64_t channels = static_cast<std::uint64_t>(layer_.output.channels);
  const std::uint64_t weights =
      channels * static_cast<std::uint64_t>(layer_.input.channels / layer_.groups) * geometry_.taps.size();
  const std::uint64_t rows = channels * choice_.inputs_together;
  std::uint64_t price =
      inputs() * (bits / 18 + kWirePrice) + outputs() * (3 * bits / 8 + kWirePrice) + weights * segments();
  if (copies() > 1) {
    price += choice_.shifts == LayoutChoice::Shifts::inputs
                 ? paillier::shift_cost(inputs() * steps(), layer_.slot_bits)
                 : paillier::pack_cost(rows * segments() * copies(),
                                       static_cast<unsigned>(step_) * layer_.slot_bits, copies());
  }
  const std::size_t blocks = choice_.inputs_together * choice_.outputs_together;
  if (blocks > 1) {
    price += paillier::pack_cost(rows, static_cast<unsigned>(block()) * layer_.slot_bits, blocks);
  }
  return price;
}

}  // namespace popcorn::protocols::shares
