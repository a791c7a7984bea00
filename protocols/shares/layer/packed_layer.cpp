// The server's side of a packed layer.
#include "protocols/shares/layer/packed_layer.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "paillier/operation_costs.h"
#include "protocols/shares/layer/packed_layer_secrets.h"

namespace popcorn::protocols::shares {

using paillier::CiphertextBatch;
using paillier::LinearMap;

namespace {

/// Calls visit(output, input channel, place of the window, weight) for every weight that is not zero.
template <typename Visit>
void for_each_weight(const models::Node& node, const PackedLayout& layout, const Visit& visit) {
  const WeightedLayer& layer = layout.layer();
  const std::int64_t channels = layer.input.channels / layer.groups;
  const std::int64_t outputs_of_group = layer.output.channels / layer.groups;
  const std::int32_t* weight = node.weights.data();
  for (std::int64_t output = 0; output < layer.output.channels; ++output) {
    const std::int64_t first = output / outputs_of_group * channels;
    for (std::int64_t channel = first; channel < first + channels; ++channel) {
      for (std::size_t tap = 0; tap < layout.taps().size(); ++tap, ++weight) {
        if (*weight != 0) {
          visit(static_cast<std::size_t>(output), static_cast<std::size_t>(channel), tap, *weight);
        }
      }
    }
  }
}

bool shifts_inputs(const PackedLayout& layout) {
  return layout.copies() > 1 && layout.choice().shifts == LayoutChoice::Shifts::inputs;
}
bool shifts_outputs(const PackedLayout& layout) {
  return layout.copies() > 1 && !shifts_inputs(layout);
}

/// The shift that a tap's terms take, in units of layout.step() slots.
std::size_t copy_of(const PackedLayout& layout, const WindowTap& tap) {
  return (layout.steps() - tap.steps) / layout.step();
}

/// Rows of the map of one output: blocks of input channels × shifts.
std::size_t rows_of_output(const PackedLayout& layout) {
  return layout.choice().inputs_together * (shifts_outputs(layout) ? layout.copies() : 1);
}

/// Row of a weight: the block that its channel's product is shifted by, and its tap's shift.
std::size_t row_of(const PackedLayout& layout, std::size_t output, std::size_t channel, std::size_t tap) {
  const std::size_t together = layout.choice().inputs_together;
  const std::size_t block = output * together + together - 1 - channel % together;
  if (!shifts_outputs(layout)) return block;
  return block * layout.copies() + copy_of(layout, layout.taps()[tap]);
}

/// Ciphertexts of an input group as the map sees it: shifted copies beside each other.
std::size_t map_plane(const PackedLayout& layout) {
  return layout.group_inputs() * (shifts_inputs(layout) ? layout.copies() : 1);
}

/// The inputs of one tap in all segments.
void append_inputs(LinearMap& map, const PackedLayout& layout, std::size_t group, std::size_t tap) {
  const WindowTap& where = layout.taps()[tap];
  std::size_t start = group * map_plane(layout);
  if (shifts_inputs(layout)) start += copy_of(layout, where) * layout.group_inputs();
  // The segments ρ … ρ + G − 1 are all there, one after the other.
  start += layout.input_place(where.plane, where.residual);
  for (std::size_t segment = 0; segment < layout.segments(); ++segment) {
    map.input_index.push_back(static_cast<std::uint32_t>(start + segment));
  }
}

struct Term {
  std::size_t row;
  std::size_t input;  ///< input group · taps + place of the window
  std::int32_t weight;
};

/// The weights as a map from ciphertexts to the rows that packed_sums() puts together.
LinearMap packed_map(const models::Node& node, const PackedLayout& layout) {
  constexpr std::uint32_t kUnused = 0xffffffff;
  const std::size_t taps = layout.taps().size();
  std::vector<Term> terms;
  for_each_weight(node, layout,
                  [&](std::size_t output, std::size_t channel, std::size_t tap, std::int32_t w) {
                    terms.push_back({row_of(layout, output, channel, tap),
                                     channel / layout.choice().inputs_together * taps + tap, w});
                  });
  std::ranges::stable_sort(terms, {}, &Term::row);
  LinearMap map;
  map.inputs = layout.input_groups() * map_plane(layout);
  map.plane = map_plane(layout);
  map.channels = static_cast<std::size_t>(layout.layer().output.channels) * rows_of_output(layout);
  map.positions = layout.segments();
  map.bias = WideVector(map.channels, 1);
  map.row_start.assign(map.channels + 1, 0);
  std::vector<std::uint32_t> number(layout.input_groups() * taps, kUnused);
  for (const Term& term : terms) {
    std::uint32_t& place = number[term.input];
    if (place == kUnused) {
      place = static_cast<std::uint32_t>(map.taps++);
      append_inputs(map, layout, term.input / taps, term.input % taps);
    }
    map.tap.push_back(place);
    map.weight.push_back(term.weight);
    ++map.row_start[term.row + 1];
  }
  for (std::size_t row = 0; row < map.channels; ++row) map.row_start[row + 1] += map.row_start[row];
  return map;
}

/// Σ|w| of the weights that meet in each block of an output group; a slot has at most one term of each.
struct BlockSums {
  std::vector<std::uint64_t> negative, all;
};

/// Output o's weights for the i-th input channel of any ciphertext meet input block i' in block
/// o·k + k − 1 − i + i'.
std::vector<BlockSums> block_sums(const models::Node& node, const PackedLayout& layout) {
  const std::size_t together = layout.choice().inputs_together;
  const std::size_t outputs = layout.choice().outputs_together;
  const std::size_t blocks = layout.slots() / layout.block();
  const auto channels = static_cast<std::size_t>(layout.layer().input.channels);
  std::vector<BlockSums> groups(layout.output_groups(),
                                {std::vector<std::uint64_t>(blocks), std::vector<std::uint64_t>(blocks)});
  for_each_weight(node, layout, [&](std::size_t output, std::size_t channel, std::size_t, std::int32_t w) {
    BlockSums& sums = groups[output / outputs];
    const std::size_t shift = output % outputs * together + together - 1 - channel % together;
    const std::size_t present = std::min(together, channels - channel / together * together);
    const auto magnitude = static_cast<std::uint64_t>(std::abs(std::int64_t{w}));
    for (std::size_t i = 0; i < present; ++i) {
      sums.all[shift + i] += magnitude;
      if (w < 0) sums.negative[shift + i] += magnitude;
    }
  });
  return groups;
}

/// words += value·2^position.
void add_at(std::span<std::uint64_t> words, std::size_t position, std::uint64_t value) {
  const unsigned shift = position % 64;
  std::uint64_t high = shift == 0 ? 0 : value >> (64 - shift);
  std::uint64_t addend = value << shift;
  for (std::size_t k = position / 64; k < words.size() && (addend | high) != 0; ++k) {
    words[k] += addend;
    addend = high + static_cast<std::uint64_t>(words[k] < addend);
    high = 0;
  }
}

/// 2^w·Σ|w⁻| in every slot. @throws Error "layer.slot"
WideVector slot_offsets(const models::Node& node, const PackedLayout& layout) {
  const WeightedLayer& layer = layout.layer();
  WideVector offsets(layout.output_groups(), paillier::residue_limbs(layout.key_bits()));
  const std::vector<BlockSums> groups = block_sums(node, layout);
  for (std::size_t group = 0; group < groups.size(); ++group) {
    for (std::size_t slot = 0; slot < layout.slots(); ++slot) {
      const std::size_t block = slot / layout.block();
      if (groups[group].all[block] > std::uint64_t{1} << (layer.slot_bits - 1 - layer.ring)) {
        throw Error("layer.slot", "layer \"" + layer.name + "\": weights of sum " +
                                      std::to_string(groups[group].all[block]) + " need wider slots than " +
                                      std::to_string(layer.slot_bits) + " bits");
      }
      add_at(offsets[group], slot * layer.slot_bits, groups[group].negative[block] << layer.ring);
    }
  }
  return offsets;
}

}  // namespace

PackedCost& PackedCost::operator+=(const PackedCost& other) {
  ciphertexts_up += other.ciphertexts_up;
  ciphertexts_down += other.ciphertexts_down;
  bytes_up += other.bytes_up;
  bytes_down += other.bytes_down;
  multiplications += other.multiplications;
  return *this;
}

PackedLayer::PackedLayer(const models::Node& node, PackedLayout layout)
    : layout_(std::move(layout)), offsets_(slot_offsets(node, layout_)) {
  plan_ = std::make_unique<paillier::WeightedSumPlan>(packed_map(node, layout_));
}

PackedCost PackedLayer::cost(paillier::KeyKind kind) const {
  PackedCost cost;
  cost.ciphertexts_up = layout_.inputs();
  cost.ciphertexts_down = layout_.outputs();
  cost.bytes_up = cost.ciphertexts_up * layout_.key_bits() / 4;
  cost.bytes_down = cost.ciphertexts_down * layout_.key_bits() / 4;
  const unsigned slot_bits = layout_.layer().slot_bits;
  cost.multiplications = paillier::parse_cost(layout_.inputs()) + plan_->cost().multiplications +
                         paillier::add_plain_cost(layout_.outputs()) +
                         paillier::rerandomise_cost(layout_.outputs(), layout_.key_bits(), kind) +
                         paillier::serialise_cost(layout_.outputs());
  const auto step_bits = static_cast<unsigned>(layout_.step()) * slot_bits;
  if (shifts_inputs(layout_)) {
    cost.multiplications += paillier::shift_cost(layout_.inputs() * (layout_.copies() - 1), step_bits);
  }
  if (shifts_outputs(layout_)) {
    cost.multiplications += paillier::pack_cost(plan_->map().outputs(), step_bits, layout_.copies());
  }
  const std::size_t blocks = layout_.choice().inputs_together * layout_.choice().outputs_together;
  if (blocks > 1) {
    cost.multiplications += paillier::pack_cost(
        static_cast<std::size_t>(layout_.layer().output.channels) * layout_.choice().inputs_together,
        static_cast<unsigned>(layout_.block()) * slot_bits, blocks);
  }
  return cost;
}

CiphertextBatch PackedLayer::shifted_inputs(const paillier::Evaluator& evaluator, CiphertextBatch x) const {
  if (!shifts_inputs(layout_)) return x;
  const auto bits = static_cast<unsigned>(layout_.step()) * layout_.layer().slot_bits;
  std::vector<CiphertextBatch> copies;
  copies.push_back(std::move(x));
  while (copies.size() < layout_.copies()) {
    copies.push_back(copies.back().clone());
    evaluator.shift_inplace(copies.back(), bits);
  }
  std::vector<const CiphertextBatch*> parts;
  for (const CiphertextBatch& copy : copies) parts.push_back(&copy);
  const CiphertextBatch all = CiphertextBatch::concat(parts);
  std::vector<std::uint32_t> places;
  for (std::size_t group = 0; group < layout_.input_groups(); ++group) {
    for (std::size_t copy = 0; copy < layout_.copies(); ++copy) {
      for (std::size_t i = 0; i < layout_.group_inputs(); ++i) {
        places.push_back(
            static_cast<std::uint32_t>(copy * layout_.inputs() + group * layout_.group_inputs() + i));
      }
    }
  }
  return all.gather(places);
}

CiphertextBatch PackedLayer::packed_sums(const paillier::Evaluator& evaluator, CiphertextBatch sums) const {
  const unsigned slot_bits = layout_.layer().slot_bits;
  const std::size_t segments = layout_.segments();
  if (shifts_outputs(layout_)) {
    std::vector<std::uint32_t> places;  // the shifts of a sum one after the other
    for (std::size_t row = 0; row < sums.size() / segments; row += layout_.copies()) {
      for (std::size_t segment = 0; segment < segments; ++segment) {
        for (std::size_t copy = 0; copy < layout_.copies(); ++copy) {
          places.push_back(static_cast<std::uint32_t>((row + copy) * segments + segment));
        }
      }
    }
    sums = evaluator.pack(sums.gather(places), static_cast<unsigned>(layout_.step()) * slot_bits,
                          layout_.copies());
  }
  const std::size_t blocks = layout_.choice().inputs_together * layout_.choice().outputs_together;
  if (blocks == 1) return sums;
  return evaluator.pack(sums, static_cast<unsigned>(layout_.block()) * slot_bits, blocks);
}

WideVector PackedLayer::with_offsets(const WideVector& masks) const {
  WideVector sums = masks;
  for (std::size_t i = 0; i < sums.size(); ++i) {
    const auto offset = offsets_[i / layout_.segments()];
    const auto sum = sums[i];
    std::uint64_t carry = 0;
    for (std::size_t k = 0; k < sum.size(); ++k) {
      const std::uint64_t with_carry = sum[k] + carry;
      sum[k] = with_carry + offset[k];
      carry = static_cast<std::uint64_t>(with_carry < carry) | static_cast<std::uint64_t>(sum[k] < offset[k]);
    }
  }
  return sums;
}

MaskedResult PackedLayer::evaluate(const paillier::Evaluator& evaluator, ByteView request, Bytes& response,
                                   Rng& rng) const {
  return evaluate(evaluator, evaluator.parse(request, layout_.inputs()), response, rng);
}

MaskedResult PackedLayer::evaluate(const paillier::Evaluator& evaluator, CiphertextBatch request,
                                   Bytes& response, Rng& rng) const {
  CiphertextBatch results =
      packed_sums(evaluator, evaluator.weighted_sum(*plan_, shifted_inputs(evaluator, std::move(request))));
  WideVector masks = paillier::uniform_residues(evaluator.key(), layout_.outputs(), rng);
  const WipedAtEnd masks_wiped(masks);
  {
    WideVector addends = with_offsets(masks);
    const WipedAtEnd addends_wiped(addends);
    evaluator.add_residues_inplace(results, addends);
  }
  evaluator.rerandomise_inplace(results);
  evaluator.serialise(results, response);
  return server_result(layout_, masks);
}

}  // namespace popcorn::protocols::shares
