// The server's computation of one inference: the walk over the network on ciphertexts, and the open step.
//
//   set_input ─► advance ─► [question ─► answer]… ─► close_step ─► advance ─► … ─► append_output
//
// All state is plain data in named members (ciphertexts, masks, permutation, places), so that save() can
// write it between two rounds; the sign test keeps its own.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "base/bytes.h"
#include "base/random.h"
#include "paillier/evaluator.h"
#include "protocols/ciphertext/network_walk.h"
#include "protocols/ciphertext/round_plan.h"
#include "protocols/ciphertext/steps/step_halves.h"
#include "protocols/wire/session_state.h"

namespace popcorn::protocols {

class NetworkRun {
 public:
  /// The references must outlive the object.
  NetworkRun(const CiphertextNetwork& model, const RoundPlan& plan, const paillier::Evaluator& evaluator,
             Rng& rng, std::shared_ptr<const ot::KeptSetUp> set_up = {});
  NetworkRun(const NetworkRun&) = delete;
  NetworkRun& operator=(const NetworkRun&) = delete;

  /// Called with every node and its tensor once it is there.
  using TensorObserver = std::function<void(std::size_t, const paillier::CiphertextBatch&)>;
  void observe(TensorObserver observer) { observer_ = std::move(observer); }
  void set_input(paillier::CiphertextBatch input) { walk_.set_input(std::move(input)); }
  /// Evaluates nodes up to the next step and opens it; false when there is none and the output is ready.
  bool advance() { return walk_.advance(); }
  /// Appends the sections of the open step's question: shares (exchange 0) and sign test.
  void question(unsigned exchange, Bytes& out) { step_.question(exchange, out); }
  /// Takes the sign-test section of the input message. @throws InputError, and is then as it was
  void request(ByteView section) { step_.request(section); }
  std::shared_ptr<const ot::KeptSetUp> transfer_set_up() const { return step_.transfer_set_up(); }
  /// Takes the sign-test section of an answer. @throws InputError, and is then as it was
  void answer(unsigned exchange, ByteView section) { step_.answer(exchange, section); }
  /// Ends the open step with the client's selection.
  void close_step(const paillier::CiphertextBatch& selection);
  /// Appends the packed, re-randomised output tensor.
  void append_output(Bytes& out) const;
  std::size_t memory_bytes() const noexcept;
  /// Appends all that is held while the client's answer of `round` (1 or later) is awaited, the sign test's
  /// part included.
  void save(std::uint64_t round, StateWriter& out) const;
  /// Brings a new object (with the same kept set-up) to where save() was called.
  /// @throws InputError "session_state.*"
  void restore(std::uint64_t round, StateReader& in);
  /// Wall seconds spent in evaluating nodes.
  double linear_seconds() const noexcept { return linear_seconds_; }

  // The back-end of the walk.
  using Tensor = paillier::CiphertextBatch;
  Tensor evaluate(std::size_t node, std::span<const Tensor* const> operands);
  Tensor choose(const Tensor& values, std::span<const std::uint32_t> places) { return values.gather(places); }
  Tensor differences(const Tournament::Level& level, const Step& step, const Tensor& values);
  Tensor part(const Step& step, const Tensor& values);
  Tensor winners(const Tournament::Level& level, const Step& step, Tensor result, const Tensor& values);
  Tensor join(std::vector<Tensor> parts);
  Tensor next_level(std::vector<Tensor> parts, const Tournament::Level& level, const Tensor& values);
  void open(std::size_t step, Tensor x);
  Tensor close(std::size_t step);
  void stored(std::size_t node, const Tensor& tensor);

 private:
  void restore_tensors(StateReader& in);
  void restore_level(StateReader& in);

  const CiphertextNetwork& model_;
  const RoundPlan& plan_;
  const paillier::Evaluator& evaluator_;
  ServerStep step_;
  NetworkWalk<NetworkRun, Tensor> walk_;
  TensorObserver observer_;
  const Tensor* selection_ = nullptr;  ///< while a step is closed
  double linear_seconds_ = 0;
};

}  // namespace popcorn::protocols
