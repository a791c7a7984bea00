#include "protocols/shares/layer/masked_result.h"

#include "base/parallel.h"

namespace popcorn::protocols::shares {

namespace {

/// `bits` ≤ 32 bits of a plaintext from `position` on, which lie in it.
std::uint32_t bits_at(std::span<const std::uint64_t> words, std::size_t position, unsigned bits) {
  const unsigned shift = position % 64;
  std::uint64_t value = words[position / 64] >> shift;
  if (shift + bits > 64) value |= words[position / 64 + 1] << (64 - shift);
  return static_cast<std::uint32_t>(value & ((std::uint64_t{1} << bits) - 1));
}

/// Every output's low digits and the bit below its slot, with `flipped` exclusive-ored to both; `bottom`
/// below slot 0.
MaskedResult digits(const PackedLayout& layout, const WideVector& plaintexts, std::uint32_t flipped,
                    std::uint32_t bottom) {
  const WeightedLayer& layer = layout.layer();
  const models::Shape& shape = layer.output;
  const auto mask = static_cast<std::uint32_t>((std::uint64_t{1} << layer.ring) - 1);
  MaskedResult result{ot::Words(static_cast<std::size_t>(shape.size())),
                      ot::Words(static_cast<std::size_t>(shape.size()))};
  parallel_indices(static_cast<std::size_t>(shape.channels), [&](std::size_t channel) {
    std::size_t i = channel * static_cast<std::size_t>(shape.height * shape.width);
    for (std::int64_t y = 0; y < shape.height; ++y) {
      for (std::int64_t x = 0; x < shape.width; ++x, ++i) {
        const PackedLayout::Place place = layout.output_place(static_cast<std::int64_t>(channel), y, x);
        const auto plaintext = plaintexts[place.ciphertext];
        const std::size_t position = place.slot * layer.slot_bits;
        result.words[i] = (bits_at(plaintext, position, layer.ring) ^ flipped) & mask;
        result.lowest[i] = position == 0 ? bottom : (bits_at(plaintext, position - 1, 1) ^ flipped) & 1;
      }
    }
  });
  return result;
}

}  // namespace

MaskedResult client_result(const PackedLayout& layout, const WideVector& residues) {
  return digits(layout, residues, 0, 1);
}

MaskedResult server_result(const PackedLayout& layout, const WideVector& masks) {
  return digits(layout, masks, ~std::uint32_t{0}, 0);
}

}  // namespace popcorn::protocols::shares
