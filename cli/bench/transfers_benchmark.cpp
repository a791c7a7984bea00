#include "cli/bench/transfers_benchmark.h"

#include <tbb/global_control.h>

#include <algorithm>
#include <array>

#include "base/error.h"
#include "base/random.h"
#include "cli/bench/transfer_steps.h"
#include "protocols/ot/sources/silent.h"
#include "protocols/ot/steps/local_parties.h"

namespace popcorn::cli {

namespace ot = protocols::ot;
using ot::Block;
using ot::Dialogue;
using ot::TransferParty;
using ot::Words;

namespace {

/// Transfers that are taken at once.
constexpr std::size_t kTransferChunk = std::size_t{1} << 18;

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
  class Rows final : public ot::RowSink {
   public:
    void begin(std::size_t count) override { rows.resize(count); }
    void put(const Block* from, std::size_t first, std::size_t count) override {
      std::copy_n(from, count, rows.data() + first);
    }
    std::vector<Block> rows;
  };
  static Block random_block() { return {system_rng().next_u64(), system_rng().next_u64()}; }

  /// A whole one: its first batches feed the next and give nothing.
  void round(Sample& sample) {
    for (std::size_t batch = 0; batch < sender_->parameters().batches(); ++batch) {
      Bytes trees, check, proof;
      timed(sample.traffic.seconds[0], [&] { sender_->trees(trees); });
      timed(sample.traffic.seconds[1], [&] { receiver_->check(trees, check); });
      timed(sample.traffic.seconds[0], [&] { sender_->prove(check, proof, y_); });
      timed(sample.traffic.seconds[1], [&] { receiver_->accept(proof, z_); });
      sample.traffic.bytes[0] += trees.size() + proof.size();
      sample.traffic.bytes[1] += check.size();
      sample.values += y_.rows.size();
      for (std::size_t i = 0; i < y_.rows.size(); ++i)
        sample.wrong += (y_.rows[i] ^ z_.rows[i]) == ((z_.rows[i].low & 1U) != 0 ? delta_ : Block{}) ? 0 : 1;
    }
  }

  template <class Work>
  static void timed(double& seconds, Work work) {
    const double start = thread_seconds();
    work();
    seconds += thread_seconds() - start;
  }

  Block delta_;
  std::unique_ptr<ot::SilentSender> sender_;
  std::unique_ptr<ot::SilentReceiver> receiver_;
  Rows y_, z_;
};

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
  void batch(Sample& sample) {
    const StepInputs inputs = random_inputs(step_);
    std::array<Words, 2> results;
    sample.add(parties_.run([&](TransferParty& party) -> Dialogue<void> {
      party.first_asks = true;
      co_await ot::reserve(party, step_.cost.transfers()[0], step_.cost.transfers()[1]);
      results[party.first ? 0 : 1] = co_await run_on_shares(step_, party, inputs);
    }));
    sample.wrong += wrong_results(step_, inputs, results);
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
  // One thread a party: what is measured is its processor time.
  const tbb::global_control one_thread(tbb::global_control::max_allowed_parallelism, 1);
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
    const Step shape = step_named(op, options.ring, options.kept);
    ShareStep step(source, shape);
    figure = measure(step, std::max<std::size_t>(1, options.values / 8), options.samples);
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

void check_transfers_options(const TransfersOptions& options) {
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

TransfersBenchmark run_transfers_benchmark(
    const TransfersOptions& options,
    const std::function<void(std::size_t, std::size_t, const std::string&)>& progress) {
  check_transfers_options(options);
  const tbb::global_control one_core(tbb::global_control::max_allowed_parallelism, 1);
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
