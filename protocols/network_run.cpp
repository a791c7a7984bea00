#include "protocols/network_run.h"

#include <array>
#include <utility>

#include "protocols/draws.h"
#include "protocols/max_pool_step.h"
#include "protocols/phases.h"
#include "protocols/relu_step.h"
#include "protocols/share.h"
#include "protocols/sign_step.h"
#include "protocols/slots.h"
#include "protocols/wide_math.h"

namespace popcorn::protocols {

using models::NodeKind;
using paillier::CiphertextBatch;

namespace {

CiphertextBatch join(std::vector<CiphertextBatch> parts) {
  if (parts.size() == 1) return std::move(parts.front());
  std::vector<const CiphertextBatch*> pointers;
  for (const CiphertextBatch& part : parts) pointers.push_back(&part);
  return CiphertextBatch::concat(pointers);
}

}  // namespace

NetworkRun::NetworkRun(const ServedModel::Parts& model, const RoundPlan& plan,
                       const paillier::Evaluator& evaluator, Rng& rng,
                       std::shared_ptr<const SignTestState> state)
    : model_(model),
      plan_(plan),
      evaluator_(evaluator),
      rng_(rng),
      sign_test_(plan.sign_test().server(evaluator, rng, std::move(state))),
      tensors_(model.network.nodes.size()) {}

void NetworkRun::set_input(CiphertextBatch input) {
  store(0, std::make_shared<const CiphertextBatch>(std::move(input)));
}

bool NetworkRun::advance() {
  while (node_ < tensors_.size()) {
    if (step_is_due()) {
      open_step();
      return true;
    }
    Tensor tensor;
    {
      const PhaseTimer timer(linear_seconds_);
      tensor = evaluate(node_);
    }
    store(node_, std::move(tensor));
  }
  return false;
}

bool NetworkRun::step_is_due() const {
  return step_ < model_.steps.size() && step().node == node_;
}

const CiphertextBatch& NetworkRun::level_values() const {
  return step().level == 0 ? *operand_of(step().node) : values_;
}

const Tournament::Level& NetworkRun::level() const {
  return model_.nodes[step().node].tournament->levels[step().level];
}

void NetworkRun::open_step() {
  const auto first = static_cast<std::size_t>(step().first);
  const auto count = static_cast<std::size_t>(step().count);
  CiphertextBatch x = step().kind == StepKind::max_pool
                          ? differences(evaluator_, level(), first, count, level_values())
                          : level_values().slice(first, count);
  std::vector<std::uint32_t> permutation;
  if (plan_.sign_test().permutes()) {
    permutation = draw_permutation(rng_, count);
    x = x.gather(permutation);
  }
  open_ = {std::move(x), {}, std::move(permutation)};
  sign_test_->begin(plan_.sign_test_shape(step_));
}

void NetworkRun::question(unsigned exchange, Bytes& out) {
  if (exchange == 0 && plan_.has_shares(step())) {
    open_.masks = seal_shares(evaluator_, open_.x, step().bits, rng_, out);
  }
  sign_test_->question(exchange, {open_.x, open_.masks}, out);
}

void NetworkRun::close_step(const CiphertextBatch& selection) {
  const std::span<const std::uint8_t> flips = sign_test_->flips();
  CiphertextBatch result =
      step().kind == StepKind::sign
          ? select_sign(evaluator_, flips, selection)
          : select_relu(evaluator_, open_.x, open_.masks, mask_bits(step().bits), flips, selection);
  if (!open_.permutation.empty()) result = result.gather(inverse_permutation(open_.permutation));
  if (step().kind == StepKind::max_pool) {
    result = winners(evaluator_, level(), static_cast<std::size_t>(step().first), result, level_values());
  }
  open_ = {};
  parts_.push_back(std::move(result));
  const bool more = step_ + 1 < model_.steps.size() && model_.steps[step_ + 1].node == step().node &&
                    model_.steps[step_ + 1].level == step().level;
  if (!more) finish_level(step().node);
  ++step_;
}

void NetworkRun::finish_level(std::size_t node) {
  CiphertextBatch done = join(std::move(parts_));
  parts_.clear();
  if (step().kind != StepKind::max_pool) {
    store(node, std::make_shared<const CiphertextBatch>(std::move(done)));
    return;
  }
  const CiphertextBatch kept = level_values().gather(level().kept);
  values_ = kept.empty() ? std::move(done) : CiphertextBatch::concat(std::array{&std::as_const(done), &kept});
  const Tournament& tournament = *model_.nodes[node].tournament;
  if (step().level + 1 < tournament.levels.size()) return;
  auto result = std::make_shared<const CiphertextBatch>(values_.gather(tournament.result));
  values_ = {};
  store(node, std::move(result));
}

NetworkRun::Tensor NetworkRun::evaluate(std::size_t index) const {
  const NodePlan& plan = model_.nodes[index];
  if (plan.tournament != nullptr) {  // windows of one element: no comparison, only a choice
    return std::make_shared<const CiphertextBatch>(operand_of(index)->gather(plan.tournament->result));
  }
  if (plan.linear == nullptr) return operand_of(index);  // flatten, output
  std::vector<const CiphertextBatch*> operands;
  for (const std::size_t operand : node_of(index).inputs) operands.push_back(tensors_[operand].get());
  return std::make_shared<const CiphertextBatch>(plan.linear->evaluate(evaluator_, operands));
}

void NetworkRun::store(std::size_t index, Tensor tensor) {
  if (observer_) observer_(index, *tensor);
  tensors_[index] = std::move(tensor);
  const bool is_output = index + 1 == tensors_.size();
  if (model_.nodes[index].last_reader == index && !is_output) tensors_[index].reset();
  for (const std::size_t operand : node_of(index).inputs) {
    if (model_.nodes[operand].last_reader == index) tensors_[operand].reset();
  }
  node_ = index + 1;
}

void NetworkRun::append_output(Bytes& out) const {
  const SlotLayout layout = logits_layout(plan_.output_bits(), plan_.key_bits());
  const CiphertextBatch& output = *tensors_.back();
  WideVector addends(output.size(), WideVector::limbs_for_bits(layout.slot_bits));
  add_power_of_two(addends, layout.offset_bit);
  seal_slots(evaluator_, output, layout, addends, out);
}

std::size_t NetworkRun::memory_bytes() const noexcept {
  std::size_t bytes = values_.memory_bytes() + open_.x.memory_bytes();
  for (const CiphertextBatch& part : parts_) bytes += part.memory_bytes();
  for (std::size_t i = 0; i < tensors_.size(); ++i) {
    const bool shared = i > 0 && tensors_[i] == operand_of(i);  // a flatten holds its operand's tensor
    if (tensors_[i] && !shared) bytes += tensors_[i]->memory_bytes();
  }
  return bytes;
}

void NetworkRun::save(std::uint64_t round, StateWriter& out) const {
  for (std::size_t i = 0; i < tensors_.size(); ++i) {
    if (!tensors_[i]) continue;
    const bool shared = i > 0 && tensors_[i] == operand_of(i);  // a flatten holds its operand's tensor
    out.u8(shared ? 1 : 0);
    if (!shared) out.ciphertexts(*tensors_[i]);
  }
  for (const CiphertextBatch& part : parts_) out.ciphertexts(part);
  if (!values_.empty()) out.ciphertexts(values_);
  out.ciphertexts(open_.x);
  out.integers(open_.masks);
  out.places(open_.permutation);
  sign_test_->save(plan_.place(round).exchange, out);
}

void NetworkRun::restore(std::uint64_t round, StateReader& in) {
  const RoundPlan::Place& place = plan_.place(round);
  step_ = place.step;
  node_ = step().node;
  restore_tensors(in);
  restore_level(in);
  const auto count = static_cast<std::size_t>(step().count);
  open_.x = in.ciphertexts(count);
  if (plan_.has_shares(step())) open_.masks = in.integers(count, mask_bits(step().bits));
  if (plan_.sign_test().permutes()) open_.permutation = in.permutation(count);
  sign_test_->restore(plan_.sign_test_shape(step_), place.exchange, in);
}

void NetworkRun::restore_tensors(StateReader& in) {
  for (std::size_t i = 0; i < node_; ++i) {
    if (model_.nodes[i].last_reader < node_) continue;  // not needed any more
    if (!in.flag()) {
      tensors_[i] = std::make_shared<const CiphertextBatch>(
          in.ciphertexts(static_cast<std::size_t>(node_of(i).shape.size())));
      continue;
    }
    const bool can_share = i > 0 && model_.nodes[i].linear == nullptr && operand_of(i) &&
                           operand_of(i)->size() == static_cast<std::size_t>(node_of(i).shape.size());
    if (!can_share) StateReader::reject("a tensor is not where another reads it");
    tensors_[i] = operand_of(i);
  }
}

void NetworkRun::restore_level(StateReader& in) {
  std::size_t first = step_;
  while (first > 0 && model_.steps[first - 1].node == step().node &&
         model_.steps[first - 1].level == step().level) {
    --first;
  }
  for (; first < step_; ++first) {
    parts_.push_back(in.ciphertexts(static_cast<std::size_t>(model_.steps[first].count)));
  }
  if (step().level > 0) {
    const Tournament::Level& before = model_.nodes[node_].tournament->levels[step().level - 1];
    values_ = in.ciphertexts(before.left.size() + before.kept.size());
  }
}

}  // namespace popcorn::protocols
