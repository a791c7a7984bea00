#include "cli/bench/transfers_benchmark.h"

#include <algorithm>
#include <array>
#include <ctime>

#include "base/error.h"
#include "base/random.h"
#include "protocols/ot/sources/silent.h"
#include "protocols/ot/steps/local_parties.h"
#include "protocols/ot/steps/share_steps.h"

namespace popcorn::cli {

namespace ot = protocols::ot;
using ot::Block;
using ot::Dialogue;
using ot::TransferParty;
using ot::Words;

namespace {

/// Values of a step that travel together, and transfers that are taken at once.
constexpr std::size_t kStepValues = std::size_t{1} << 15;
constexpr std::size_t kTransferChunk = std::size_t{1} << 18;

std::uint32_t random_word() {
  return static_cast<std::uint32_t>(system_rng().next_u64());
}

/// One sample: what `values` of an operation took.
struct Sample {
  ot::Traffic traffic;
  std::uint64_t values = 0;
  std::uint64_t transfers = 0;
  std::uint64_t wrong = 0;
  std::uint64_t memory_bytes = 0;

  void add(const ot::Traffic& more) {
    for (std::size_t party = 0; party < 2; ++party) {
      traffic.bytes[party] += more.bytes[party];
      traffic.seconds[party] += more.seconds[party];
    }
  }
};

/// What is measured: run() once to warm up, then for every sample.
class Measured {
 public:
  virtual ~Measured() = default;
  virtual Sample run(std::size_t values) = 0;
};

class RandomTransfers final : public Measured {
 public:
  explicit RandomTransfers(ot::TransferSource source) : parties_(source, system_rng()) {}

  Sample run(std::size_t values) override {
    Sample sample;
    while (sample.values < values) {
      std::vector<std::uint32_t> zero(kTransferChunk), one(kTransferChunk), pad(kTransferChunk);
      std::vector<std::uint8_t> bit(kTransferChunk);
      sample.add(parties_.run([&](TransferParty& party) -> Dialogue<void> {
        if (party.first) {
          co_await party.sender.reserve(party.wire, kTransferChunk);
          party.sender.take(kTransferChunk, zero.data(), one.data());
        } else {
          co_await party.receiver.reserve(party.wire, kTransferChunk);
          party.receiver.take(kTransferChunk, pad.data(), bit.data());
        }
      }));
      for (std::size_t i = 0; i < kTransferChunk; ++i)
        sample.wrong += pad[i] == (bit[i] != 0 ? one[i] : zero[i]) ? 0 : 1;
      sample.values += kTransferChunk;
      sample.memory_bytes =
          std::max<std::uint64_t>({sample.memory_bytes, parties_.party(true).sender.memory_bytes(),
                                   parties_.party(false).receiver.memory_bytes()});
    }
    sample.transfers = sample.values;
    return sample;
  }

 private:
  ot::TwoParties parties_;
};

/// Silent rows y and z = y ⊕ x·Δ before they become pads, from a dealt base.
class CorrelatedTransfers final : public Measured {
 public:
  explicit CorrelatedTransfers(const ot::SilentParameters& parameters) {
    Rng& rng = system_rng();
    delta_ = random_block();
    delta_.low |= 1U;
    std::vector<Block> y(parameters.base()), z(parameters.base());
    for (std::size_t i = 0; i < y.size(); ++i) {
      y[i] = random_block();
      y[i].low &= ~std::uint64_t{1};
      z[i] = (rng.next_u64() & 1U) != 0 ? y[i] ^ delta_ : y[i];
    }
    const ByteView name = as_bytes("bench");
    sender_ =
        std::make_unique<ot::SilentSender>(parameters, name, delta_, y.data(), rng, ot::kernels::active());
    receiver_ = std::make_unique<ot::SilentReceiver>(parameters, name, z.data(), ot::kernels::active());
  }

  Sample run(std::size_t values) override {
    Sample sample;
    while (sample.values < values) round(sample);
    sample.transfers = sample.values;
    sample.memory_bytes = std::max(sender_->memory_bytes(), receiver_->memory_bytes());
    return sample;
  }

 private:
  static ot::RowSink into(std::vector<Block>& rows) {
    return [&rows](const Block* from, std::size_t count) { rows.insert(rows.end(), from, from + count); };
  }
  static Block random_block() { return {system_rng().next_u64(), system_rng().next_u64()}; }

  /// A whole one: its first batches feed the next and give nothing.
  void round(Sample& sample) {
    for (std::size_t batch = 0; batch < sender_->parameters().batches(); ++batch) {
      Bytes trees, check, proof;
      y_.clear();
      z_.clear();
      timed(sample.traffic.seconds[0], [&] { sender_->trees(trees); });
      timed(sample.traffic.seconds[1], [&] { receiver_->check(trees, check); });
      timed(sample.traffic.seconds[0], [&] { sender_->prove(check, proof, into(y_)); });
      timed(sample.traffic.seconds[1], [&] { receiver_->accept(proof, into(z_)); });
      sample.traffic.bytes[0] += trees.size() + proof.size();
      sample.traffic.bytes[1] += check.size();
      sample.values += y_.size();
      for (std::size_t i = 0; i < y_.size(); ++i)
        sample.wrong += (y_[i] ^ z_[i]) == ((z_[i].low & 1U) != 0 ? delta_ : Block{}) ? 0 : 1;
    }
  }

  template <class Work>
  static void timed(double& seconds, Work work) {
    timespec start{}, end{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &start);
    work();
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &end);
    seconds += static_cast<double>(end.tv_sec - start.tv_sec) +
               1e-9 * static_cast<double>(end.tv_nsec - start.tv_nsec);
  }

  Block delta_;
  std::unique_ptr<ot::SilentSender> sender_;
  std::unique_ptr<ot::SilentReceiver> receiver_;
  std::vector<Block> y_, z_;
};

/// A step on shares: what it sends, how a party runs it, and whether a result is right.
struct Step {
  ot::FlightLedger cost;
  unsigned ring = 0, result_ring = 0;
  std::int64_t low = 0, high = 0;  ///< x in [low, high)
  bool neighbour = false;          ///< the carry of a packed neighbour comes in
  bool two_operands = false;
  std::function<Dialogue<Words>(TransferParty&, const Words& x, const Words& y, const Words& lowest)> run;
  /// @param y the second operand, 0 when there is none
  std::function<bool(std::int64_t x, std::int64_t y, std::uint32_t result)> right;
};

ot::TruncationShape truncation_shape(unsigned ring, unsigned kept) {
  ot::TruncationShape shape;
  shape.ring = ring;
  shape.groups = {{kStepValues, ring - kept}};
  return shape;
}

Dialogue<Words> run_relu(TransferParty& party, const ot::TruncationShape& shape, const Words& x,
                         const Words& lowest) {
  const ot::WordGroups kept = shape.kept();
  const Words words = co_await ot::truncate_and_rectify(party, shape, x, shape.neighbour ? &lowest : nullptr);
  Words result = co_await ot::extend(party, kept, shape.ring, words, false);
  co_return result;
}

Step relu_step(unsigned ring, unsigned kept, bool exact) {
  ot::TruncationShape shape = truncation_shape(ring, kept);
  const unsigned shift = ring - kept;
  shape.nearest = shape.neighbour = exact;
  Step step;
  ot::truncate_and_rectify(step.cost, shape);
  ot::extend(step.cost, shape.kept(), ring);
  step.ring = step.result_ring = ring;
  step.low = -(std::int64_t{1} << (ring - 1));
  step.high = (std::int64_t{1} << (ring - 1)) - (std::int64_t{1} << shift);
  step.neighbour = exact;
  step.run = [shape](TransferParty& party, const Words& x, const Words&, const Words& lowest) {
    return run_relu(party, shape, x, lowest);
  };
  step.right = [exact, shift](std::int64_t x, std::int64_t, std::uint32_t result) {
    const std::int64_t half = std::int64_t{1} << (shift - 1);
    if (exact) return std::int64_t{result} == std::max<std::int64_t>(0, (x + half) >> shift);
    const std::int64_t floor = x >> shift;
    return std::int64_t{result} == std::max<std::int64_t>(0, floor) ||
           std::int64_t{result} == std::max<std::int64_t>(0, floor + 1);
  };
  return step;
}

Dialogue<Words> run_truncation(TransferParty& party, const ot::TruncationShape& shape, const Words& x) {
  const ot::WordGroups kept = shape.kept();
  const Words words = co_await ot::truncate(party, shape, x);
  Words result = co_await ot::extend(party, kept, shape.ring, words, true);
  co_return result;
}

Step truncation_step(unsigned ring, unsigned kept) {
  const ot::TruncationShape shape = truncation_shape(ring, kept);
  const unsigned shift = ring - kept;
  Step step;
  ot::truncate(step.cost, shape);
  ot::extend(step.cost, shape.kept(), ring);
  step.ring = step.result_ring = ring;
  const std::int64_t half = std::int64_t{1} << (shift - 1);
  step.low = -(std::int64_t{1} << (ring - 2)) - half;
  step.high = (std::int64_t{1} << (ring - 2)) - half;
  step.run = [shape](TransferParty& party, const Words& x, const Words&, const Words&) {
    return run_truncation(party, shape, x);
  };
  step.right = [ring, shift, half](std::int64_t x, std::int64_t, std::uint32_t result) {
    return result == (static_cast<std::uint32_t>((x + half) >> shift) & ot::low_bits(ring));
  };
  return step;
}

Step maximum_step(unsigned ring) {
  const ot::ValueShape shape{{{kStepValues, ring}}, 0};
  Step step;
  ot::maximum(step.cost, shape);
  step.ring = step.result_ring = ring;
  step.low = -(std::int64_t{1} << (ring - 2));
  step.high = std::int64_t{1} << (ring - 2);
  step.two_operands = true;
  step.run = [shape](TransferParty& party, const Words& x, const Words& y, const Words&) {
    return ot::maximum(party, shape, x, y);
  };
  step.right = [ring](std::int64_t x, std::int64_t y, std::uint32_t result) {
    return result == (static_cast<std::uint32_t>(std::max(x, y)) & ot::low_bits(ring));
  };
  return step;
}

class ShareStep final : public Measured {
 public:
  ShareStep(ot::TransferSource source, Step step) : parties_(source, system_rng()), step_(std::move(step)) {}

  Sample run(std::size_t values) override {
    Sample sample;
    while (sample.values < values) batch(sample);
    sample.transfers = sample.values / kStepValues * (step_.cost.transfers()[0] + step_.cost.transfers()[1]);
    return sample;
  }

 private:
  /// Both parties' shares of one operand, and its values.
  struct Operand {
    std::vector<std::int64_t> values;
    std::array<Words, 2> shares;
  };
  Operand operand(const std::array<Words, 2>* lowest) const {
    Operand result;
    const auto range = static_cast<std::uint64_t>(step_.high - step_.low);
    for (std::size_t i = 0; i < kStepValues; ++i) {
      const std::int64_t x = step_.low + static_cast<std::int64_t>(system_rng().below(range));
      const std::uint32_t carry = lowest == nullptr ? 0 : (*lowest)[0][i] | (*lowest)[1][i];
      const std::uint32_t share = random_word() & ot::low_bits(step_.ring);
      result.values.push_back(x);
      result.shares[0].push_back(share);
      result.shares[1].push_back((static_cast<std::uint32_t>(x) - share - carry) & ot::low_bits(step_.ring));
    }
    return result;
  }

  void batch(Sample& sample) {
    std::array<Words, 2> lowest, results;
    for (Words& bits : lowest) {
      for (std::size_t i = 0; step_.neighbour && i < kStepValues; ++i) bits.push_back(random_word() & 1U);
    }
    const Operand x = operand(step_.neighbour ? &lowest : nullptr);
    const Operand y = step_.two_operands ? operand(nullptr) : Operand{};
    sample.add(parties_.run([&](TransferParty& party) -> Dialogue<void> {
      const std::size_t me = party.first ? 0 : 1;
      party.first_asks = true;
      co_await ot::reserve(party, step_.cost.transfers()[0], step_.cost.transfers()[1]);
      results[me] = co_await step_.run(party, x.shares[me], y.shares[me], lowest[me]);
    }));
    for (std::size_t i = 0; i < kStepValues; ++i) {
      const std::uint32_t result = (results[0][i] + results[1][i]) & ot::low_bits(step_.result_ring);
      sample.wrong += step_.right(x.values[i], step_.two_operands ? y.values[i] : 0, result) ? 0 : 1;
    }
    sample.values += kStepValues;
    sample.memory_bytes = std::max<std::uint64_t>(
        {sample.memory_bytes,
         parties_.party(true).sender.memory_bytes() + parties_.party(true).receiver.memory_bytes(),
         parties_.party(false).sender.memory_bytes() + parties_.party(false).receiver.memory_bytes()});
  }

  ot::TwoParties parties_;
  Step step_;
};

TransferFigure measure(Measured& measured, std::size_t values, std::size_t samples) {
  TransferFigure figure;
  figure.wrong = measured.run(1).wrong;
  std::array<std::vector<double>, 2> seconds;
  std::uint64_t bytes = 0, transfers = 0;
  for (std::size_t i = 0; i < samples; ++i) {
    const Sample sample = measured.run(values);
    for (std::size_t party = 0; party < 2; ++party)
      seconds[party].push_back(sample.traffic.seconds[party] / static_cast<double>(sample.values));
    bytes += sample.traffic.bytes[0] + sample.traffic.bytes[1];
    transfers += sample.transfers;
    figure.wrong += sample.wrong;
    figure.checked += sample.values;
    figure.memory_bytes = std::max(figure.memory_bytes, sample.memory_bytes);
  }
  figure.sender = timing_of(std::move(seconds[0]));
  figure.receiver = timing_of(std::move(seconds[1]));
  figure.bytes = static_cast<double>(bytes) / static_cast<double>(figure.checked);
  figure.transfers = static_cast<double>(transfers) / static_cast<double>(figure.checked);
  return figure;
}

Step step_named(const std::string& op, const TransfersOptions& options) {
  if (op == "relu") return relu_step(options.ring, options.kept, false);
  if (op == "relu_exact") return relu_step(options.ring, options.kept, true);
  if (op == "truncation") return truncation_step(options.ring, options.kept);
  return maximum_step(options.kept);
}

void check(const TransfersOptions& options) {
  if (options.kept < 2 || options.kept >= options.ring || options.ring > 30)
    throw UsageError("bench.width",
                     "Widths must satisfy 2 ≤ κ < w ≤ 30, not w = " + std::to_string(options.ring) +
                         ", κ = " + std::to_string(options.kept));
  for (const std::string& op : options.ops) {
    if (std::ranges::find(transfer_operations(), op) != transfer_operations().end()) continue;
    std::string names;
    for (const std::string_view name : transfer_operations())
      names += (names.empty() ? "" : ", ") + std::string(name);
    throw UsageError("bench.unknown_op", "There is no operation " + op + "; there are " + names);
  }
}

TransferFigure figure_of(const std::string& op, const ot::TransferSource& source,
                         const TransfersOptions& options) {
  TransferFigure figure;
  if (op == "correlated") {
    CorrelatedTransfers transfers(source.parameters);
    figure = measure(transfers, options.values, options.samples);
  } else if (op == "random") {
    RandomTransfers transfers(source);
    figure = measure(transfers, options.values, options.samples);
  } else {
    ShareStep step(source, step_named(op, options));
    figure = measure(step, std::max<std::size_t>(1, options.values / 8), options.samples);
    const Step shape = step_named(op, options);
    figure.ring = shape.ring;
    figure.kept = op == "maximum" ? 0 : options.kept;
    figure.flights = static_cast<unsigned>(shape.cost.flights().size());
  }
  figure.op = op;
  figure.source = source.name();
  return figure;
}

}  // namespace

const std::vector<std::string_view>& transfer_operations() {
  static const std::vector<std::string_view> names = {"correlated", "random",     "relu",
                                                      "relu_exact", "truncation", "maximum"};
  return names;
}

TransfersBenchmark run_transfers_benchmark(
    const TransfersOptions& options,
    const std::function<void(std::size_t, std::size_t, const std::string&)>& progress) {
  check(options);
  std::vector<std::pair<ot::TransferSource, std::string>> work;
  for (const std::string& name : options.sources) {
    const ot::TransferSource source = ot::TransferSource::named(name);
    for (const std::string_view op : transfer_operations()) {
      const bool wanted = options.ops.empty() || std::ranges::find(options.ops, op) != options.ops.end();
      const bool possible = op != "correlated" || source.kind == ot::TransferSource::Kind::silent;
      if (wanted && possible) work.emplace_back(source, op);
    }
  }
  TransfersBenchmark benchmark;
  benchmark.kernel = ot::kernels::active().name();
  for (std::size_t i = 0; i < work.size(); ++i) {
    const auto& [source, op] = work[i];
    if (progress) progress(i, work.size(), op + " from " + std::string(source.name()));
    benchmark.figures.push_back(figure_of(op, source, options));
  }
  return benchmark;
}

}  // namespace popcorn::cli
