// Silent correlated transfers: z = y ⊕ x·Δ from a few bytes a thousand of them [YWL+20 (Ferret), GYW+23
// (half-tree)].
//
// A round turns k + t·d (+ checks) correlated transfers into t·2^d: t trees of 2^d leaves whose hidden leaf
// differs by Δ (regular noise of weight t), plus a public 10-local code of the first k. The last trees of a
// round feed the next one: who needs no next round does not make them.
//
//   sender (Δ, y)                                        receiver (x, z)
//   corrections of some trees   ──── trees ────►
//                               ◄─── check ────          its hidden leaves' challenges,
//                                                        masked by 128 transfers
//   hash of the combination     ──── proof ────►         compares: only now are the outputs used
//
// The check is Ferret's against a malicious sender [YWL+20, fig 7], with a challenge from the hash of the
// corrections. A wrong one leaks whether a guess of hidden leaves was right, so it must end the session and
// forget the base transfers. Security of the outputs rests on LPN with regular noise at these parameters;
// SECURITY.md names the attacks considered.
//
// The receiver's hidden leaves decide addresses on its own machine.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/random.h"
#include "base/sha256.h"
#include "protocols/ot/bits/block_array.h"
#include "protocols/ot/kernels/kernel.h"

namespace popcorn::protocols::ot {

struct SilentParameters {
  std::string_view name;
  std::size_t trees;  ///< t
  unsigned log_k;
  unsigned depth;  ///< d

  std::size_t k() const noexcept { return std::size_t{1} << log_k; }
  std::size_t leaves() const noexcept { return std::size_t{1} << depth; }
  /// Batches of a round at most.
  std::size_t batches() const noexcept;
  /// Correlated transfers that a round takes, however small its batches are.
  std::size_t base() const noexcept;
  /// Trees of a round that feed the next one.
  std::size_t refill() const noexcept { return (base() + leaves() - 1) / leaves(); }
  /// Transfers of a round for use.
  std::size_t usable() const noexcept { return (trees - refill()) * leaves(); }
  /// Trees of the batch that begins with a tree of a round when so many transfers are wanted.
  std::size_t batch_trees(std::size_t tree, std::uint64_t wanted) const noexcept;
  /// Of `count` trees from one of a round: how many of their leaves are for use, and what is sent of the
  /// trees.
  std::size_t batch_outputs(std::size_t tree, std::size_t count) const noexcept;
  std::size_t correction_bytes(std::size_t count) const noexcept { return count * depth * sizeof(Block); }
  /// What batches send, both ways, until there are `count` transfers for use.
  std::uint64_t bytes_for(std::uint64_t count) const noexcept;
};

/// Bits of the weakest known attack: b10 132.5, b12 138.8, b13 142.5 (transfers.md of the design; estimators
/// of 2023 to 2025).
inline constexpr SilentParameters kSilentB10{"b10", 850, 16, 10};
inline constexpr SilentParameters kSilentB12{"b12", 1520, 18, 12};
inline constexpr SilentParameters kSilentB13{"b13", 1900, 19, 13};

/// A batch has a multiple of so many trees, but for the last of a round, and at most kMostTreesTogether: as
/// many as the wanted transfers take. A larger one holds 16 bytes a leaf until its check has passed (16 MiB
/// at b12), smaller ones take more flights.
inline constexpr std::size_t kTreesTogether = 32;
inline constexpr std::size_t kMostTreesTogether = 256;
inline constexpr std::size_t kSilentCheckBytes = 16;
inline constexpr std::size_t kSilentProofBytes = 32;

/// Takes the rows of a batch, some at a time while they are in a cache.
class RowSink {
 public:
  RowSink() = default;
  RowSink(const RowSink&) = delete;
  RowSink& operator=(const RowSink&) = delete;
  virtual ~RowSink() = default;
  /// So many will come: once, before any does.
  virtual void begin(std::size_t count) = 0;
  /// Rows [first, first + count) of the batch; from several threads at once.
  virtual void put(const Block* rows, std::size_t first, std::size_t count) = 0;
};

/// What both parties do alike: where a round is, the code, the tables.
class SilentRound {
 public:
  SilentRound(const SilentParameters& parameters, ByteView context, const Block* base,
              const kernels::Kernel& kernel);
  const SilentParameters& parameters() const noexcept { return parameters_; }
  /// Chooses the next batch, at both parties alike; the smallest unless it is called.
  void plan_batch(std::uint64_t wanted);
  /// Trees of the next batch, and how many of their leaves will be outputs.
  std::size_t batch_trees() const noexcept { return trees_; }
  std::size_t batch_outputs() const noexcept { return parameters_.batch_outputs(tree_, trees_); }
  std::size_t correction_bytes() const noexcept { return parameters_.correction_bytes(trees_); }
  std::size_t memory_bytes() const noexcept;

 protected:
  const Block* tree_base(std::size_t tree) const;
  const Block* check_base() const;
  /// Adds the code, moves what the next round needs, gives the rest to `outputs`, goes on to the next batch.
  /// On all cores. @param state when there: becomes the polynomial hash of the leaves before that, at `r`
  void finish_batch(RowSink& outputs, Block r = {}, Block* state = nullptr);
  Block challenge(ByteView corrections) const;

  SilentParameters parameters_;
  Bytes context_;
  const kernels::Kernel& kernel_;
  std::unique_ptr<kernels::AesKey> tree_key_;
  std::unique_ptr<kernels::AesKey> code_key_;
  std::uint64_t code_position_ = 0;
  std::uint64_t rounds_ = 0;
  std::size_t tree_ = 0;   ///< of the round: first of the next batch
  std::size_t trees_ = 0;  ///< of the next batch
  BlockArray now_;
  BlockArray next_;
  BlockArray leaves_;  ///< of a batch; one tree more than that while it is worked on

 private:
  void end_batch();
};

class SilentSender : public SilentRound {
 public:
  /// @param base parameters.base() blocks y with lowest bit 0. @param delta lowest bit 1
  SilentSender(const SilentParameters& parameters, ByteView context, Block delta, const Block* base, Rng& rng,
               const kernels::Kernel& kernel);
  ~SilentSender();
  /// Appends correction_bytes().
  void trees(Bytes& out);
  /// Takes kSilentCheckBytes, appends kSilentProofBytes; gives batch_outputs() rows y to `outputs`.
  void prove(ByteView check, Bytes& out, RowSink& outputs);

 private:
  Block delta_;
  Rng& rng_;
  Block challenge_;
};

class SilentReceiver : public SilentRound {
 public:
  /// @param base parameters.base() blocks z with their choices as lowest bits
  SilentReceiver(const SilentParameters& parameters, ByteView context, const Block* base,
                 const kernels::Kernel& kernel);
  ~SilentReceiver();
  /// Takes correction_bytes(), appends kSilentCheckBytes.
  void check(ByteView corrections, Bytes& out);
  /// Takes kSilentProofBytes; gives batch_outputs() rows z to `outputs`. @throws FailedCheck "ot.check"
  void accept(ByteView proof, RowSink& outputs);

 private:
  Sha256 expected_;
};

/// @throws UsageError "ot.parameters"
const SilentParameters& silent_parameters_named(std::string_view name);

}  // namespace popcorn::protocols::ot
