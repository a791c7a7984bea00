#include "paillier/weighted_sum/factored_rows.h"

#include <algorithm>
#include <cstring>
#include <memory>

#include "base/parallel.h"
#include "paillier/prefetch.h"

namespace popcorn::paillier {

using kernels::GroupBuffer;
using kernels::Modulus;

namespace {
/// Summands below 2N that a sum of logarithms may hold, see kernel::sum_of_products().
constexpr unsigned kMostSummands = 1U << (kernels::kSpareBits - 3);
}  // namespace

FactoredRowRunner::LogarithmSum::LogarithmSum(const Modulus& modulus)
    : modulus_(&modulus), group_(modulus.group_words()) {
  clear();
}

void FactoredRowRunner::LogarithmSum::clear() {
  std::memset(group_.data(), 0, group_.size() * sizeof(std::uint64_t));
  count_ = 0;
}

const std::uint64_t* FactoredRowRunner::LogarithmSum::digit() const {
  return group_.data() + group_.size() / 2;
}

void FactoredRowRunner::LogarithmSum::set(const std::uint64_t* logarithm) {
  clear();
  add(logarithm);
}

void FactoredRowRunner::LogarithmSum::set(const LogarithmSum& other) {
  std::memcpy(group_.data(), other.group_.data(), group_.size() * sizeof(std::uint64_t));
  count_ = other.count_;
}

void FactoredRowRunner::LogarithmSum::add(const std::uint64_t* logarithm) {
  if (count_ == kMostSummands) reduce();
  modulus_->kernel().add_logarithm(modulus_->view(), group_.data(), logarithm);
  ++count_;
}

void FactoredRowRunner::LogarithmSum::add(LogarithmSum& other) {
  if (count_ + other.count_ > kMostSummands) {
    reduce();
    if (&other != this) other.reduce();
  }
  modulus_->kernel().add_logarithm(modulus_->view(), group_.data(), other.group_.data());
  count_ += other.count_;
}

/// Brings the digits in order; their value stays.
void FactoredRowRunner::LogarithmSum::normalise() {
  alignas(64) static constexpr std::array<std::uint64_t, kernels::kMaxGroupWords> kZero{};
  modulus_->add(group_.data(), group_.data(), kZero.data());
}

/// Below 2N, by a product with 1.
void FactoredRowRunner::LogarithmSum::reduce() {
  normalise();
  std::uint64_t* const sum = group_.data() + group_.size() / 2;
  modulus_->kernel().sum_of_products(modulus_->view(), sum, modulus_->one(), sum, nullptr, nullptr);
  count_ = 1;
}

FactoredRowRunner::FactoredRowRunner(const FactoredOperands& from)
    : from_(from),
      program_(from.program),
      modulus_(from.modulus()),
      sum_(modulus_.group_words()),
      operand_(modulus_.group_words()),
      sum_logarithm_(modulus_),
      total_logarithm_(modulus_) {}

const std::uint64_t* FactoredRowRunner::term(const RowStep& step, std::size_t lane) const {
  const std::size_t position = std::min(first_ + lane, last_);
  const std::uint32_t place = program_.map.input_index[step.index * program_.map.positions + position];
  if (place == LinearMap::kPadding) return nullptr;
  const CiphertextBatch& batch =
      step.source == TermSource::inverse ? from_.inputs.inverses : from_.inputs.units;
  return modulus_.operand(batch.group(0), place);
}

std::size_t FactoredRowRunner::gather_terms(const RowStep& step, std::size_t count) {
  std::size_t present = 0;
  for (std::size_t lane = 0; lane < modulus_.lanes(); ++lane) {
    operands_[lane] = term(step, lane);
    if (lane < count && operands_[lane] != nullptr) ++present;
  }
  return present;
}

/// Where a lane reads padding it gets the digits u = R mod N and w of the residue of 1, which are its
/// factored form as well: λ·R = w/u·R = w.
void FactoredRowRunner::gather(std::uint64_t* target) {
  modulus_.kernel().gather(modulus_.view(), target, operands_.data());
}

/// As in weighted_sum_run.cpp: the inputs of the next step are on their way while this one multiplies.
void FactoredRowRunner::fetch_step(const RowStep& step, std::size_t count) const {
  if (step.op != RowOp::load_sum && step.op != RowOp::add_sum) return;
  const std::uint64_t* const first = first_of_line(term(step, 0));
  const std::uint64_t* const last = first_of_line(term(step, count - 1));
  if (first != nullptr) fetch_ahead(first, modulus_.group_words());
  if (last != nullptr && last != first) fetch_ahead(last, modulus_.group_words());
}

void FactoredRowRunner::add_bias(std::uint32_t row) {
  if (from_.biases.empty()) return;
  const std::size_t channel = program_.negative == NegativeWeights::invert_outputs ? row / 2 : row;
  operands_.fill(modulus_.operand(from_.biases.group(0), channel));
  gather(operand_.data());
  total_logarithm_.add(operand_.data());
}

void FactoredRowRunner::multiply_sum() {
  const auto product = sum_is_unit_ ? modulus_.kernel().multiply_units : modulus_.kernel().multiply_unit;
  product(modulus_.view(), sum_.data(), sum_.data(), operand_.data());
  sum_is_unit_ = false;
}

/// total ← total·(1 + N·λ): w ← (u·λ·R + w·R)/R.
void FactoredRowRunner::apply_logarithm(std::uint64_t* total) {
  total_logarithm_.normalise();
  std::uint64_t* const w = total + modulus_.group_words() / 2;
  modulus_.kernel().sum_of_products(modulus_.view(), w, total, total_logarithm_.digit(), w, modulus_.one());
}

std::uint64_t FactoredRowRunner::run(std::uint32_t row, std::size_t first, std::size_t count,
                                     std::uint64_t* total) {
  const std::size_t bytes = modulus_.group_words() * sizeof(std::uint64_t);
  std::uint64_t multiplications = count;  // the logarithm at the end
  first_ = first;
  last_ = first + count - 1;
  const std::uint32_t end = program_.row_start[row + 1];
  for (std::uint32_t i = program_.row_start[row]; i < end; ++i) {
    const RowStep& step = program_.steps[i];
    switch (step.op) {
      case RowOp::load_sum:
        gather_terms(step, count);
        gather(operand_.data());
        std::memset(sum_.data(), 0, bytes);
        std::memcpy(sum_.data(), operand_.data(), bytes / 2);
        sum_logarithm_.set(operand_.data());
        sum_is_unit_ = true;
        break;
      case RowOp::add_sum:
        if (const std::size_t present = gather_terms(step, count); present != 0) {
          gather(operand_.data());
          if (i + 1 < end) fetch_step(program_.steps[i + 1], count);
          multiply_sum();
          sum_logarithm_.add(operand_.data());
          multiplications += present;
        }
        break;
      case RowOp::load_total:
        std::memcpy(total, sum_.data(), bytes);
        total_logarithm_.set(sum_logarithm_);
        break;
      case RowOp::add_total:
        modulus_.multiply(total, total, sum_.data());
        total_logarithm_.add(sum_logarithm_);
        multiplications += count;
        break;
      case RowOp::double_total:
        modulus_.square(total, total);
        total_logarithm_.twice();
        multiplications += count;
        break;
      case RowOp::load_bias:
        std::memcpy(total, modulus_.one(), bytes);
        total_logarithm_.clear();
        add_bias(row);
        break;
      case RowOp::add_bias:
        add_bias(row);
        break;
    }
  }
  apply_logarithm(total);
  return multiplications;
}

CiphertextBatch run_factored_rows(const FactoredOperands& from, std::atomic<std::uint64_t>& multiplications) {
  const Modulus& modulus = from.modulus();
  const std::size_t lanes = modulus.lanes();
  const std::size_t positions = from.program.map.positions;
  const std::size_t blocks = (positions + lanes - 1) / lanes;  // of a row
  CiphertextBatch rows(from.inputs.units.shared_modulus(), from.program.rows() * positions);
  parallel_ranges(from.program.rows() * blocks, 1, [&](std::size_t begin, std::size_t end) {
    const auto runner = std::make_unique<FactoredRowRunner>(from);
    std::uint64_t done = 0;
    GroupBuffer result(modulus.group_words());
    for (std::size_t item = begin; item < end; ++item) {
      const auto row = static_cast<std::uint32_t>(item / blocks);
      const std::size_t first = item % blocks * lanes;
      const std::size_t count = std::min(lanes, positions - first);
      done += runner->run(row, first, count, result.data());
      for (unsigned lane = 0; lane < count; ++lane) {
        modulus.kernel().put(modulus.view(), modulus.operand(rows.group(0), row * positions + first + lane),
                             result.data(), lane);
      }
    }
    multiplications += done;
  });
  return rows;
}

}  // namespace popcorn::paillier
