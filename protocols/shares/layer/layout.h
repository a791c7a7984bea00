// Where the values of a dense layer or a convolution lie in packed plaintexts: one object that both parties
// derive from public facts alone.
//
// A plaintext has slots of B bits. Output (y, x) is place q = y·P + x of its channel's plane flattened with
// the pitch P, and lies in segment q mod G at slot q / G: *cyclic* segments. A window's tap wants the input
// at place q + δ, hence in segment e = q mod G + δ at the same slot: neighbouring segments of one plane serve
// several taps, and a segment is needed once however many taps read it. Negative segments and those beyond G
// are segments too: slot i of segment e is place e + G·i.
// A tap's displacement may also be split, δ = τ·G + ρ: it then reads segment q mod G + ρ, τ slots higher up,
// which the server shifts into place by squarings (2^(B·(T − τ)) with T = max τ) before the weighted sum, or
// after it, on the sums of equal τ. That takes T slots of room at either end of a plaintext.
// Strides make several planes of a channel, one a phase. Columns of zeros between rows (the pitch) can be
// avoided by planes of their own for each column of the window.
//
// When a channel's plane fills a small part of a plaintext (a dense layer's has one value), blocks of slots
// hold k input channels or m output channels: input channel i of a ciphertext at block i, its weight for
// output o shifted by o·k + k − 1 − i blocks, so that block o·k + k − 1 holds exactly output o (the product
// of polynomials as in Cheetah [HLHD22, sec 3], but on Paillier); the other blocks hold other sums of
// products, which nobody reads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "models/network/integer_network.h"

namespace popcorn::protocols::shares {

/// What both parties know of a dense layer or a convolution.
struct WeightedLayer {
  std::string name;
  models::Shape input;   ///< of a dense layer a vector
  models::Shape output;  ///< likewise
  models::Window window;
  std::int64_t groups = 1;
  unsigned ring = 0;       ///< w: inputs and outputs modulo 2^w, 1 … kMostRingBits
  unsigned slot_bits = 0;  ///< B: every slot's content lies in [0, 2^(B − 1)); see required_slot_bits()

  static constexpr unsigned kMostRingBits = 32;
  static constexpr unsigned kMostSlotBits = 60;
  static constexpr std::int64_t kMostTaps = 4096;                     ///< places of a window
  static constexpr std::int64_t kMostValues = std::int64_t{1} << 26;  ///< of a tensor
};

/// What a layer must be before anything is derived from it: it may come from the other party.
/// @throws InputError "layer.invalid" that names the layer and what was expected
void check_layer(const WeightedLayer& layer);

/// The public facts of a node. @param ring w, at least one bit
/// @throws Error "layer.kind" unless it is dense or conv2d, InputError "model.too_wide" when it does not fit
WeightedLayer weighted_layer(const models::IntegerNetwork& network, std::size_t node, unsigned ring);
/// w + ⌈log2 max Σ|w|⌉ + 1, the sum over the weights that meet in one slot, however channels are put
/// together.
unsigned required_slot_bits(const models::Node& node, const WeightedLayer& layer);

/// The bits of a plaintext that no slot takes: W·c + R wraps modulo N with a probability below 2^-42.
inline constexpr unsigned kUnusedBits = 43;

/// What can be chosen about a layout.
struct LayoutChoice {
  enum class Planes : std::uint8_t {
    phases,  ///< one a phase of the strides, with columns of zeros where the window leaves the image
    columns  ///< one a row phase and column of the window, without such columns
  };
  enum class Shifts : std::uint8_t { inputs, outputs };

  Planes planes = Planes::phases;
  Shifts shifts = Shifts::outputs;   ///< whose slots the server shifts
  std::size_t segments = 1;          ///< G
  std::size_t steps = 0;             ///< T, at most: a layout has as many as its taps use
  std::size_t inputs_together = 1;   ///< k; 1 unless G = 1
  std::size_t outputs_together = 1;  ///< m; 1 unless G = 1
};

/// A plane of each input channel: cell (v, u) is input row v·stride + row_phase, column u·stride +
/// column_offset; zero outside the image.
struct InputPlane {
  std::int64_t row_phase = 0;
  std::int64_t column_offset = 0;
  std::vector<std::int64_t> segments;  ///< those that some tap reads, ascending
  std::size_t first = 0;               ///< their place among the segments of the channel
};
/// A place of the window.
struct WindowTap {
  std::size_t plane = 0;
  std::int64_t displacement = 0;  ///< δ
  std::int64_t residual = 0;      ///< ρ
  std::size_t steps = 0;          ///< τ
};
/// A layer's window on flattened planes, however they are cut into segments.
struct WindowGeometry {
  std::int64_t pitch = 1;  ///< P
  std::size_t places = 1;  ///< of a flattened plane of outputs
  std::vector<InputPlane> planes;
  std::vector<WindowTap> taps;  ///< row-major over the window
};
WindowGeometry window_geometry(const WeightedLayer& layer, LayoutChoice::Planes planes);

/// Immutable; the same for both parties, which take the cheapest_layout().
class PackedLayout {
 public:
  /// @throws InputError "layer.invalid", Error "layout.choice" when it does not fit
  PackedLayout(const WeightedLayer& layer, unsigned key_bits, const LayoutChoice& choice);

  const WeightedLayer& layer() const noexcept { return layer_; }
  const LayoutChoice& choice() const noexcept { return choice_; }
  unsigned key_bits() const noexcept { return key_bits_; }

  const std::vector<InputPlane>& planes() const noexcept { return geometry_.planes; }
  /// Row-major over the window.
  const std::vector<WindowTap>& taps() const noexcept { return geometry_.taps; }
  std::int64_t pitch() const noexcept { return geometry_.pitch; }
  std::size_t segments() const noexcept { return choice_.segments; }
  /// Slots of a segment of outputs.
  std::size_t length() const noexcept { return length_; }
  /// T
  std::size_t steps() const noexcept { return choice_.steps; }
  /// All shifts that occur are multiples of so many slots; 1 when there is none.
  std::size_t step() const noexcept { return step_; }
  /// Different shifts, 0 included.
  std::size_t copies() const noexcept { return choice_.steps / step_ + 1; }
  /// Slots of a block: a segment with room at either end.
  std::size_t block() const noexcept { return length_ + 2 * choice_.steps; }
  /// Slots of a plaintext whose content is looked after.
  std::size_t slots() const noexcept {
    const std::size_t together = choice_.inputs_together;
    return block() * (choice_.outputs_together * together + together - 1);
  }

  /// Ciphertexts of a group of input channels, planes and segments in that order.
  std::size_t group_inputs() const noexcept { return group_inputs_; }
  std::size_t input_groups() const noexcept;
  std::size_t output_groups() const noexcept;
  /// Client → server: input group, plane, segment.
  std::size_t inputs() const noexcept { return input_groups() * group_inputs_; }
  /// Server → client: output group, segment.
  std::size_t outputs() const noexcept { return output_groups() * segments(); }
  /// Place in its group of segment e of a plane, which must be there.
  std::size_t input_place(std::size_t plane, std::int64_t segment) const;

  struct Place {
    std::size_t ciphertext;
    std::size_t slot;
  };
  /// Where output (channel, y, x) comes back.
  Place output_place(std::int64_t channel, std::int64_t y, std::int64_t x) const noexcept;

  /// What the cost model compares, in multiplications modulo N² of a machine with vector units: encryption
  /// |N|/18, decryption with mask and re-randomisation 3|N|/8 (measured at 2048 bits), a ciphertext on the
  /// wire 64; squarings of shifts and packing; a multiplication a weight and segment.
  std::uint64_t price() const noexcept;

 private:
  std::size_t split_displacements(std::int64_t lowest, std::int64_t advance);
  void find_segments();

  WeightedLayer layer_;
  LayoutChoice choice_;
  unsigned key_bits_;
  WindowGeometry geometry_;
  std::size_t length_ = 1;
  std::size_t step_ = 1;
  std::size_t group_inputs_ = 0;
};

/// The cheapest layout by price(). @throws InputError "layer.invalid", "model.too_wide" when a plaintext
/// holds no slot
PackedLayout cheapest_layout(const WeightedLayer& layer, unsigned key_bits);
/// Slots that a plaintext holds, ⌊(|N| − kUnusedBits) / B⌋.
std::size_t most_slots(unsigned slot_bits, unsigned key_bits) noexcept;
/// ⌈a / b⌉
constexpr std::size_t ceil_div(std::size_t a, std::size_t b) noexcept {
  return (a + b - 1) / b;
}

/// The numbers of channels that layouts put together.
const std::vector<std::size_t>& channels_together();

}  // namespace popcorn::protocols::shares
