// The order in which a server works on a network: nodes up to the next step, the step, the level that it
// ends, and so on. Written once; what is done at each place is the back-end's part:
//
//   computing   ciphertexts (network_run.h)
//   counting    multiplications (ciphertext_cost.cpp)
//   memory      bytes (memory_cost.cpp)
//
//   set_input ─► advance ─► [step of the back-end] ─► close_step ─► advance ─► … ─► output
//
// For its type of Tensor a back-end has
//   Tensor evaluate(std::size_t node, std::span<const Tensor* const> operands)   a linear node
//   Tensor choose(const Tensor&, std::span<const std::uint32_t> places)
//   Tensor differences(const Tournament::Level&, const Step&, const Tensor& values)
//   Tensor part(const Step&, const Tensor& values)         the values of a step that is a part of a layer
//   Tensor winners(const Tournament::Level&, const Step&, Tensor result, const Tensor& values)
//   Tensor join(std::vector<Tensor> parts)
//   Tensor next_level(std::vector<Tensor> parts, const Tournament::Level&, const Tensor& values)
//   void open(std::size_t step, Tensor x)                  x is to be compared with 0
//   Tensor close(std::size_t step)                         the result of the step
//   void stored(std::size_t node, const Tensor&)           before the operands are let go
#pragma once

#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

#include "protocols/ciphertext/ciphertext_network.h"

namespace popcorn::protocols {

template <typename Backend, typename Tensor>
class NetworkWalk {
 public:
  using SharedTensor = std::shared_ptr<const Tensor>;

  /// All that is held between two steps, plain data.
  struct State {
    std::vector<SharedTensor> tensors;  ///< one a node; empty before it is there and after its last reader
    std::size_t node = 0;               ///< next node to evaluate
    std::size_t step = 0;               ///< next step to open, or the open one
    std::vector<Tensor> parts;          ///< results of the finished steps of the level in progress
    Tensor values{};                    ///< of a tournament's level after the first
  };

  /// The references must outlive the object.
  NetworkWalk(const CiphertextNetwork& network, Backend& backend) : network_(network), backend_(backend) {
    state_.tensors.resize(network.network.nodes.size());
  }

  void set_input(Tensor input) { store(0, std::make_shared<const Tensor>(std::move(input))); }

  /// Evaluates nodes up to the next step and opens it; false when there is none and the output is ready.
  bool advance() {
    while (state_.node < state_.tensors.size()) {
      if (state_.step < network_.steps.size() && step().node == state_.node) {
        open_step();
        return true;
      }
      store(state_.node, evaluate(state_.node));
    }
    return false;
  }

  /// Ends the open step.
  void close_step() {
    Tensor result = backend_.close(state_.step);
    if (step().kind == StepKind::max_pool) {
      result = backend_.winners(level(), step(), std::move(result), level_values());
    }
    state_.parts.push_back(std::move(result));
    const bool more = state_.step + 1 < network_.steps.size() &&
                      network_.steps[state_.step + 1].node == step().node &&
                      network_.steps[state_.step + 1].level == step().level;
    if (!more) finish_level();
    ++state_.step;
  }

  const Step& step() const { return network_.steps[state_.step]; }
  const Tensor& output() const { return *state_.tensors.back(); }
  const State& state() const noexcept { return state_; }
  State& state() noexcept { return state_; }
  const SharedTensor& operand_of(std::size_t node) const {
    return state_.tensors[network_.network.nodes[node].inputs.front()];
  }
  /// True for a tensor that is its operand's too (of a flatten): it is not held twice.
  bool is_shared(std::size_t node) const {
    return node > 0 && state_.tensors[node] && state_.tensors[node] == operand_of(node);
  }
  /// Calls `f` with every tensor that is held, none twice.
  template <typename F>
  void for_each_held(F f) const {
    for (std::size_t i = 0; i < state_.tensors.size(); ++i) {
      if (state_.tensors[i] && !is_shared(i)) f(*state_.tensors[i]);
    }
    for (const Tensor& part : state_.parts) f(part);
    f(state_.values);
  }

 private:
  const Tournament& tournament() const { return *network_.nodes[step().node].tournament; }
  const Tournament::Level& level() const { return tournament().levels[step().level]; }
  /// Values that the open step's layer or tournament level works on.
  const Tensor& level_values() const { return step().level == 0 ? *operand_of(step().node) : state_.values; }

  void open_step() {
    backend_.open(state_.step, step().kind == StepKind::max_pool
                                   ? backend_.differences(level(), step(), level_values())
                                   : backend_.part(step(), level_values()));
  }

  SharedTensor evaluate(std::size_t node) {
    const NodePlan& plan = network_.nodes[node];
    if (plan.tournament != nullptr) {  // windows of one element: no comparison, only a choice
      return std::make_shared<const Tensor>(backend_.choose(*operand_of(node), plan.tournament->result));
    }
    if (plan.linear == nullptr) return operand_of(node);  // flatten, output
    std::vector<const Tensor*> operands;
    for (const std::size_t operand : network_.network.nodes[node].inputs) {
      operands.push_back(state_.tensors[operand].get());
    }
    return std::make_shared<const Tensor>(backend_.evaluate(node, operands));
  }

  void store(std::size_t node, SharedTensor tensor) {
    state_.tensors[node] = std::move(tensor);
    backend_.stored(node, *state_.tensors[node]);
    for (const std::size_t operand : network_.network.nodes[node].inputs) {
      if (network_.nodes[operand].last_reader == node) state_.tensors[operand].reset();
    }
    state_.node = node + 1;
  }

  void finish_level() {
    const std::size_t node = step().node;
    if (step().kind != StepKind::max_pool) {
      store(node, std::make_shared<const Tensor>(backend_.join(std::exchange(state_.parts, {}))));
      return;
    }
    state_.values = backend_.next_level(std::exchange(state_.parts, {}), level(), level_values());
    if (step().level + 1 < tournament().levels.size()) return;
    auto result = std::make_shared<const Tensor>(backend_.choose(state_.values, tournament().result));
    state_.values = {};
    store(node, std::move(result));
  }

  const CiphertextNetwork& network_;
  Backend& backend_;
  State state_;
};

}  // namespace popcorn::protocols
