// The server's computation of one inference: tensors, the layer in progress, the open step.
//
//   set_input ─► advance ─► [question ─► answer]… ─► close_step ─► advance ─► … ─► append_output
//
// All state is plain data in named members (ciphertexts, masks, permutation, places), so that save() can
// write it between two rounds; the sign test keeps its own.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "base/bytes.h"
#include "base/random.h"
#include "paillier/evaluator.h"
#include "protocols/round_plan.h"
#include "protocols/served_model.h"
#include "protocols/session_state.h"
#include "protocols/sign_test.h"

namespace popcorn::protocols {

class NetworkRun {
 public:
  /// The references must outlive the object.
  NetworkRun(const ServedModel::Parts& model, const RoundPlan& plan, const paillier::Evaluator& evaluator,
             Rng& rng, std::shared_ptr<const SignTestState> state = {});

  void observe(ServerSession::Observer observer) { observer_ = std::move(observer); }
  void set_input(paillier::CiphertextBatch input);
  /// Evaluates nodes up to the next step and opens it; false when there is none and the output is ready.
  bool advance();
  /// Appends the sections of the open step's question: shares (exchange 0) and sign test.
  void question(unsigned exchange, Bytes& out);
  /// Takes the sign-test section of the input message. @throws InputError, and is then as it was
  void request(ByteView section) { sign_test_->request(section); }
  std::shared_ptr<const SignTestState> sign_test_state() const { return sign_test_->state(); }
  /// Takes the sign-test section of an answer. @throws InputError, and is then as it was
  void answer(unsigned exchange, ByteView section) { sign_test_->answer(exchange, section); }
  /// Ends the open step with the client's selection.
  void close_step(const paillier::CiphertextBatch& selection);
  /// Appends the packed, re-randomised output tensor.
  void append_output(Bytes& out) const;
  std::size_t memory_bytes() const noexcept;
  /// Appends all that is held while the client's answer of `round` (1 or later) is awaited, the sign test's
  /// part included.
  void save(std::uint64_t round, StateWriter& out) const;
  /// Brings a new object (with the same state of the sign test) to where save() was called.
  /// @throws InputError "session_state.*"
  void restore(std::uint64_t round, StateReader& in);
  /// Wall seconds spent in evaluating nodes.
  double linear_seconds() const noexcept { return linear_seconds_; }

 private:
  /// A step that waits for the client.
  struct OpenStep {
    paillier::CiphertextBatch x;  ///< what is compared with 0, permuted
    WideVector masks;             ///< r, in the same order
    std::vector<std::uint32_t>
        permutation;  ///< x[i] belongs to comparison permutation[i]; empty: not permuted
  };
  using Tensor = std::shared_ptr<const paillier::CiphertextBatch>;

  const Step& step() const { return model_.steps[step_]; }
  const models::Node& node_of(std::size_t index) const { return model_.network.nodes[index]; }
  const Tensor& operand_of(std::size_t index) const { return tensors_[node_of(index).inputs.front()]; }
  /// Values that the open step's layer or tournament level works on.
  const paillier::CiphertextBatch& level_values() const;
  const Tournament::Level& level() const;
  bool step_is_due() const;
  void open_step();
  void finish_level(std::size_t node);
  void restore_tensors(StateReader& in);
  void restore_level(StateReader& in);
  Tensor evaluate(std::size_t index) const;
  void store(std::size_t index, Tensor tensor);

  const ServedModel::Parts& model_;
  const RoundPlan& plan_;
  const paillier::Evaluator& evaluator_;
  Rng& rng_;
  std::unique_ptr<ServerSignTest> sign_test_;
  ServerSession::Observer observer_;

  std::vector<Tensor> tensors_;  ///< one a node; empty before it is evaluated and after its last reader
  double linear_seconds_ = 0;
  std::size_t node_ = 0;  ///< next node to evaluate
  std::size_t step_ = 0;  ///< next step to open, or the open one
  OpenStep open_;
  std::vector<paillier::CiphertextBatch> parts_;  ///< results of the finished steps of the level in progress
  paillier::CiphertextBatch values_;              ///< of a tournament's level after the first
};

}  // namespace popcorn::protocols
