// What both parties of an inference on shares do, in which order and with how many bits: derived from public
// facts only, so that client and server come to the same plan by themselves.
//
// Tensors are held as x = server's share + client's share modulo 2^ring, channel by channel. A tensor's ring
// follows from what reads it: a weighted layer wants its own, a step the width that its operand's values
// keep to, and so on back to the layer before.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "models/network/integer_network.h"
#include "protocols/ot/steps/share_steps.h"
#include "protocols/shares/plan/share_plan_pool.h"

namespace popcorn::protocols::shares {

/// Widest ring that a tensor may be held in.
inline constexpr unsigned kMostShareBits = 30;

/// What is public of a node. `ring` and `step_ring` say how wide values are, nothing of a weight by itself.
struct ShareNode {
  models::NodeKind kind = models::NodeKind::input;
  std::string name;
  std::vector<std::size_t> inputs;
  models::Shape shape;
  models::Window window;
  std::vector<std::int64_t> multipliers;  ///< add, concat
  std::vector<std::int64_t> shifts;       ///< rescale
  bool rectify = false;                   ///< rescale
  unsigned ring = 0;                      ///< bits of the signed values
  /// rescale, relu, sign, max_pool2d: bits of the ring in which their step is right for all values that the
  /// operand can have, or that its own ring says it has.
  unsigned step_ring = 0;
  /// rescale: so many digits behind its shift are enough for it, and for a pool in the same step.
  unsigned kept = kMostShareBits;
  bool non_negative = false;  ///< by what the node is
  bool mirrors = false;       ///< conv2d that only negates, see layer/mirror.h

  bool weighted() const noexcept {
    return kind == models::NodeKind::dense || (kind == models::NodeKind::conv2d && !mirrors);
  }
  std::size_t size() const noexcept { return static_cast<std::size_t>(shape.size()); }
};

/// The nodes of a network, by index, without its weights.
struct ShareNetwork {
  std::vector<ShareNode> nodes;
  bool label = false;  ///< the output is which of its values is largest, not these
};

/// An arg-max at the end (models/network/arg_max.h) is left out: the plan has a step for it. Nodes before it
/// keep their index.
/// @throws InputError "shares.ring" that names a node whose values need more than kMostShareBits and says
/// what to do: a network that was never requantised
ShareNetwork share_network(const models::IntegerNetwork& network);

enum class ShareRounding {
  nearest,  ///< bit for bit the network
  fast      ///< ⌊x/2^t⌋ or one more, without bias; about half the bytes
};

struct ShareOptions {
  ShareRounding rounding = ShareRounding::nearest;
  /// Chains of 3-bit digits: a third fewer flights, an eighth more bytes.
  bool few_flights = false;
  bool label_only = false;  ///< the client learns which output is largest, nothing else
  /// A step is run for at most so many values at once, but for whole channels.
  std::size_t chunk_values = std::size_t{1} << 19;
  /// Random transfers of each direction that are made ahead, if a single chunk does not take more.
  std::uint64_t transfers_ahead = std::uint64_t{1} << 23;
};

/// What becomes of the carry that a masked result still misses.
enum class Carry {
  none,     ///< there is none, or it is settled
  pending,  ///< kept as two bits for the step that reads the tensor
  dropped   ///< fast rounding: taken for 1
};

/// Channels of a tensor that go through a step together.
struct StepChunk {
  std::vector<std::uint32_t> channels;  ///< ordered by shift
  ot::TruncationShape shape;            ///< of their values; its groups are of these channels
};

/// A step with transfers between two tensors.
struct InteractiveStep {
  std::size_t operand = 0;
  bool sign = false;       ///< the result is 1 or −1
  bool rectifies = false;  ///< negative values become 0
  bool pool_first = false;
  bool is_signed = false;  ///< what leaves the truncation may be negative
  unsigned ring = 0;       ///< in which the operand is taken
  unsigned digit_bits = 0;
  bool neighbour = false;
  std::size_t plane = 0, result_plane = 0;  ///< values of a channel before and behind a pool
  bool pools = false;
  MaximumRounds maxima;
  DisjunctionRounds disjunctions;
  std::vector<StepChunk> chunks;
};

/// A round of an arg-max: in each group every value meets every other, one is left of each.
struct ArgMaxRound {
  unsigned group = 0;  ///< values of a group; the last group may have fewer
  std::size_t count = 0;
  std::size_t groups() const noexcept { return (count + group - 1) / group; }
};

struct ShareStep {
  enum class Kind {
    weighted,     ///< W·c from the preparation, W·s at the server
    combine,      ///< add, concat, sum_pool2d, flatten, negation: each party by itself
    settle,       ///< a pending carry becomes part of the words
    interactive,  ///< rescale, relu, sign, max_pool2d
    re_share,     ///< the client's share becomes the one it chose
    logits,       ///< the server sends its share
    label         ///< arg-max; the server sends its share of the index
  };
  Kind kind = Kind::weighted;
  std::size_t node = 0;  ///< whose tensor it makes or changes
  unsigned ring = 0;     ///< of that tensor
  Carry carry = Carry::none;
  InteractiveStep interactive;
  std::vector<ArgMaxRound> arg_max;
};

struct SharePlan {
  ShareNetwork network;
  ShareOptions options;
  std::vector<ShareStep> steps;
  /// By node: bits of the ring in which its tensor is held; 0 for nodes that are part of a later one's step.
  std::vector<unsigned> held;
  /// By node: whether the client chooses its share beforehand. Of all tensors that a weighted node reads.
  std::vector<bool> chosen;
  /// By node: index of the last step that reads it.
  std::vector<std::size_t> last_use;

  /// A weighted node's ring, and its operand's share there: chosen modulo 2^ring.
  unsigned ring_of_layer(std::size_t node) const { return held.at(node); }
};

/// @throws InputError "shares.ring" that names the node when a tensor would need more than kMostShareBits;
/// "shares.label" when the classes are too many for the ring of the logits
SharePlan plan_shares(ShareNetwork network, const ShareOptions& options = {});

/// What a label is read from: K·logit + K − 1 − index, K = 2^key_bits(classes).
unsigned key_bits(std::size_t classes);

}  // namespace popcorn::protocols::shares
