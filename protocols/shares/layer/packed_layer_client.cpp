// The client's side of a packed layer.
#include <algorithm>

#include "base/error.h"
#include "base/parallel.h"
#include "models/network/sliding_window.h"
#include "protocols/shares/layer/packed_layer.h"
#include "protocols/shares/layer/packed_layer_secrets.h"

namespace popcorn::protocols::shares {

namespace {

constexpr std::size_t kGrain = 64;

/// Writes a value of at most 32 bits into bits that are zero.
void put_bits(std::span<std::uint64_t> words, std::size_t position, std::uint64_t value) {
  const unsigned shift = position % 64;
  words[position / 64] |= value << shift;
  if (shift > 32) words[position / 64 + 1] |= value >> (64 - shift);
}

/// Lays a client's shares out in plaintexts.
class SharePacker {
 public:
  SharePacker(const PackedLayout& layout, const ot::Words& shares)
      : layout_(layout),
        shares_(shares),
        mask_(static_cast<std::uint32_t>((std::uint64_t{1} << layout.layer().ring) - 1)) {}

  /// Segment `segment` of a plane of the channels of an input group.
  void pack(std::span<std::uint64_t> plaintext, std::size_t group, const InputPlane& plane,
            std::int64_t segment) const {
    const auto channels = static_cast<std::size_t>(layout_.layer().input.channels);
    const std::size_t together = layout_.choice().inputs_together;
    const std::size_t present = std::min(together, channels - group * together);
    for (std::size_t i = 0; i < present; ++i) {
      pack_channel(plaintext, i * layout_.block(), group * together + i, plane, segment);
    }
  }

 private:
  void pack_channel(std::span<std::uint64_t> plaintext, std::size_t first_slot, std::size_t channel,
                    const InputPlane& plane, std::int64_t segment) const {
    const WeightedLayer& layer = layout_.layer();
    const models::Shape& shape = layer.input;
    const std::size_t start = channel * static_cast<std::size_t>(shape.height * shape.width);
    const std::size_t filled = layout_.length() + layout_.steps();
    std::int64_t place = segment;
    for (std::size_t i = 0; i < filled; ++i, place += static_cast<std::int64_t>(layout_.segments())) {
      const std::int64_t row = models::Axis::floor_div(place, layout_.pitch());
      const std::int64_t y = row * layer.window.stride_height + plane.row_phase;
      const std::int64_t x =
          (place - row * layout_.pitch()) * layer.window.stride_width + plane.column_offset;
      if (y < 0 || y >= shape.height || x < 0 || x >= shape.width) continue;
      put_bits(plaintext, (first_slot + i) * layer.slot_bits,
               shares_[start + static_cast<std::size_t>(y * shape.width + x)] & mask_);
    }
  }

  const PackedLayout& layout_;
  const ot::Words& shares_;
  const std::uint32_t mask_;
};

/// Nothing at or above bit `position` of some value.
bool any_below(const WideVector& values, std::size_t position) {
  bool any = false;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const auto words = values[i];
    std::uint64_t above = words[position / 64] >> (position % 64);
    for (std::size_t k = position / 64 + 1; k < words.size(); ++k) above |= words[k];
    any = any || above == 0;
  }
  return any;
}

}  // namespace

void encrypt_shares(const PackedLayout& layout, const paillier::KeyOwner& owner, const ot::Words& shares,
                    Bytes& request) {
  const WeightedLayer& layer = layout.layer();
  if (shares.size() != static_cast<std::size_t>(layer.input.size())) {
    throw Error("layer.inputs", "layer \"" + layer.name + "\" takes " + std::to_string(layer.input.size()) +
                                    " shares, got " + std::to_string(shares.size()));
  }
  WideVector plaintexts(layout.inputs(), paillier::residue_limbs(layout.key_bits()));
  const WipedAtEnd wiped(plaintexts);
  const SharePacker packer(layout, shares);
  for (std::size_t p = 0; p < layout.planes().size(); ++p) {
    const InputPlane& plane = layout.planes()[p];
    const std::size_t segments = plane.segments.size();
    parallel_ranges(layout.input_groups() * segments, kGrain, [&](std::size_t begin, std::size_t end) {
      for (std::size_t i = begin; i < end; ++i) {
        const std::size_t group = i / segments;
        packer.pack(plaintexts[group * layout.group_inputs() + plane.first + i % segments], group, plane,
                    plane.segments[i % segments]);
      }
    });
  }
  owner.encrypt(plaintexts, request);
}

MaskedResult open_result(const PackedLayout& layout, const paillier::KeyOwner& owner, ByteView response) {
  WideVector residues = owner.decrypt_residues(response, layout.outputs());
  const WipedAtEnd wiped(residues);
  return open_residues(layout, residues);
}

MaskedResult open_residues(const PackedLayout& layout, const WideVector& residues) {
  if (any_below(residues, layout.slots() * layout.layer().slot_bits)) {
    throw InputError("preparation.wrapped",
                     "layer \"" + layout.layer().name +
                         "\": a masked result may have wrapped modulo N; this preparation cannot be used");
  }
  return client_result(layout, residues);
}

}  // namespace popcorn::protocols::shares
