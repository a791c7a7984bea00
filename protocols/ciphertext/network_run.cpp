#include "protocols/ciphertext/network_run.h"

#include <array>
#include <utility>

#include "protocols/ciphertext/steps/max_pool_step.h"
#include "protocols/packing/slots.h"
#include "protocols/packing/wide_math.h"
#include "protocols/plan/phases.h"

namespace popcorn::protocols {

using paillier::CiphertextBatch;

NetworkRun::NetworkRun(const CiphertextNetwork& model, const RoundPlan& plan,
                       const paillier::Evaluator& evaluator, Rng& rng,
                       std::shared_ptr<const ot::KeptSetUp> set_up)
    : model_(model),
      plan_(plan),
      evaluator_(evaluator),
      step_(plan.sign_test(), evaluator, rng, std::move(set_up)),
      walk_(model, *this) {}

CiphertextBatch NetworkRun::evaluate(std::size_t node, std::span<const Tensor* const> operands) {
  const PhaseTimer timer(linear_seconds_);
  return model_.nodes[node].linear->evaluate(evaluator_, operands);
}

CiphertextBatch NetworkRun::differences(const Tournament::Level& level, const Step& step,
                                        const Tensor& values) {
  return protocols::differences(evaluator_, level, static_cast<std::size_t>(step.first),
                                static_cast<std::size_t>(step.count), values);
}

CiphertextBatch NetworkRun::part(const Step& step, const Tensor& values) {
  return values.slice(static_cast<std::size_t>(step.first), static_cast<std::size_t>(step.count));
}

CiphertextBatch NetworkRun::winners(const Tournament::Level& level, const Step& step, Tensor result,
                                    const Tensor& values) {
  return protocols::winners(evaluator_, level, static_cast<std::size_t>(step.first), result, values);
}

CiphertextBatch NetworkRun::join(std::vector<Tensor> parts) {
  if (parts.size() == 1) return std::move(parts.front());
  std::vector<const CiphertextBatch*> pointers;
  for (const CiphertextBatch& part : parts) pointers.push_back(&part);
  return CiphertextBatch::concat(pointers);
}

CiphertextBatch NetworkRun::next_level(std::vector<Tensor> parts, const Tournament::Level& level,
                                       const Tensor& values) {
  CiphertextBatch done = join(std::move(parts));
  const CiphertextBatch kept = values.gather(level.kept);
  return kept.empty() ? std::move(done) : CiphertextBatch::concat(std::array{&std::as_const(done), &kept});
}

void NetworkRun::open(std::size_t step, Tensor x) {
  step_.open(model_.steps[step].kind, plan_.sign_test_shape(step), std::move(x));
}

CiphertextBatch NetworkRun::close(std::size_t /*step*/) {
  return step_.close(*selection_);
}

void NetworkRun::stored(std::size_t node, const Tensor& tensor) {
  if (observer_) observer_(node, tensor);
}

void NetworkRun::close_step(const CiphertextBatch& selection) {
  selection_ = &selection;
  walk_.close_step();
  selection_ = nullptr;
}

void NetworkRun::append_output(Bytes& out) const {
  const SlotLayout layout = logits_layout(plan_.output_bits(), plan_.key_bits());
  const CiphertextBatch& output = walk_.output();
  WideVector addends(output.size(), WideVector::limbs_for_bits(layout.slot_bits));
  add_power_of_two(addends, layout.offset_bit);
  seal_slots(evaluator_, output, layout, addends, out);
}

std::size_t NetworkRun::memory_bytes() const noexcept {
  std::size_t bytes = step_.memory_bytes();
  walk_.for_each_held([&](const CiphertextBatch& tensor) { bytes += tensor.memory_bytes(); });
  return bytes;
}

void NetworkRun::save(std::uint64_t round, StateWriter& out) const {
  const auto& held = walk_.state();
  for (std::size_t i = 0; i < held.tensors.size(); ++i) {
    if (!held.tensors[i]) continue;
    out.u8(walk_.is_shared(i) ? 1 : 0);
    if (!walk_.is_shared(i)) out.ciphertexts(*held.tensors[i]);
  }
  for (const CiphertextBatch& part : held.parts) out.ciphertexts(part);
  if (!held.values.empty()) out.ciphertexts(held.values);
  step_.save(plan_.place(round).exchange, out);
}

void NetworkRun::restore(std::uint64_t round, StateReader& in) {
  const RoundPlan::Place& place = plan_.place(round);
  walk_.state().step = place.step;
  walk_.state().node = walk_.step().node;
  restore_tensors(in);
  restore_level(in);
  step_.restore(walk_.step().kind, plan_.sign_test_shape(place.step), place.exchange, in);
}

void NetworkRun::restore_tensors(StateReader& in) {
  auto& held = walk_.state();
  for (std::size_t i = 0; i < held.node; ++i) {
    if (model_.nodes[i].last_reader < held.node) continue;  // not needed any more
    const auto size = static_cast<std::size_t>(model_.network.nodes[i].shape.size());
    if (!in.flag()) {
      held.tensors[i] = std::make_shared<const CiphertextBatch>(in.ciphertexts(size));
      continue;
    }
    const bool can_share = i > 0 && model_.nodes[i].linear == nullptr && walk_.operand_of(i) &&
                           walk_.operand_of(i)->size() == size;
    if (!can_share) StateReader::reject("a tensor is not where another reads it");
    held.tensors[i] = walk_.operand_of(i);
  }
}

void NetworkRun::restore_level(StateReader& in) {
  auto& held = walk_.state();
  const Step& step = walk_.step();
  std::size_t first = held.step;
  while (first > 0 && model_.steps[first - 1].node == step.node &&
         model_.steps[first - 1].level == step.level) {
    --first;
  }
  for (; first < held.step; ++first) {
    held.parts.push_back(in.ciphertexts(static_cast<std::size_t>(model_.steps[first].count)));
  }
  if (step.level > 0) {
    const Tournament::Level& before = model_.nodes[held.node].tournament->levels[step.level - 1];
    held.values = in.ciphertexts(before.left.size() + before.kept.size());
  }
}

}  // namespace popcorn::protocols
