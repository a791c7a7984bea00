#include "protocols/ciphertext/time_estimate.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <functional>

#include "models/network/integer_network.h"
#include "protocols/ciphertext/steps/linear_layer.h"
#include "protocols/ciphertext/steps/local_step.h"

namespace popcorn::protocols {

namespace {

using paillier::CiphertextBatch;

/// The sample layer: a convolution of 3×3 on a small picture, a third of its weights not zero, 5 bits.
constexpr std::int64_t kChannels = 16;
constexpr std::int64_t kSide = 12;
constexpr std::uint64_t kKeptOneIn = 3;
constexpr std::int64_t kLargestWeight = 15;
/// The sample step.
constexpr std::size_t kNeurons = 1024;
constexpr unsigned kBits = 64;
constexpr int kRuns = 3;

double seconds_of(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

double median(std::array<double, kRuns> seconds) {
  std::ranges::sort(seconds);
  return seconds[kRuns / 2];
}

/// Median of a few runs.
double median_seconds(const std::function<void()>& work) {
  std::array<double, kRuns> seconds{};
  for (double& run : seconds) run = seconds_of(work);
  return median(seconds);
}

/// Of one quantity of all runs.
double median_of(const std::array<LocalStep::Work, kRuns>& runs,
                 const std::function<double(const LocalStep::Work&)>& quantity) {
  std::array<double, kRuns> seconds{};
  std::ranges::transform(runs, seconds.begin(), quantity);
  return median(seconds);
}

models::IntegerNetwork sample_layer(Rng& rng) {
  models::IntegerNetwork network;
  network.name = "sample";
  const auto add = [&](models::NodeKind kind, const char* name, models::Shape shape) -> models::Node& {
    models::Node node;
    node.kind = kind;
    node.name = name;
    node.shape = shape;
    if (!network.nodes.empty()) node.inputs = {network.nodes.size() - 1};
    network.nodes.push_back(std::move(node));
    return network.nodes.back();
  };
  const models::Shape shape{kChannels, kSide, kSide};
  add(models::NodeKind::input, "input", shape);
  models::Node& layer = add(models::NodeKind::conv2d, "layer", shape);
  layer.window = {3, 3, 1, 1, 1, 1, 1, 1, 1, 1};
  for (std::int64_t i = 0; i < kChannels * kChannels * 9; ++i) {
    const auto weight = 1 + static_cast<std::int32_t>(rng.below(kLargestWeight));
    const bool kept = rng.below(kKeptOneIn) == 0;
    layer.weights.push_back(!kept ? 0 : rng.below(2) == 0 ? weight : -weight);
  }
  add(models::NodeKind::output, "output", shape);
  network.finish();
  return network;
}

/// Between −2^62 and 2^62.
WideVector sample_values(std::size_t count, Rng& rng) {
  WideVector values(count, 1);
  for (std::size_t i = 0; i < count; ++i) values.set_int64(i, static_cast<std::int64_t>(rng.next_u64()) >> 1);
  return values;
}

class Measurement {
 public:
  Measurement(const paillier::KeyOwner& owner, const paillier::Evaluator& evaluator, Rng& rng)
      : owner_(owner), evaluator_(evaluator), rng_(rng) {}

  CiphertextBatch encrypted(std::size_t count) const {
    Bytes wire;
    owner_.encrypt(sample_values(count, rng_), wire);
    return evaluator_.parse(wire, count);
  }

  double linear() const {
    const LinearLayer layer(sample_layer(rng_), 1);
    const CiphertextBatch x = encrypted(static_cast<std::size_t>(kChannels * kSide * kSide));
    const std::array<const CiphertextBatch*, 1> operands{&x};
    const double seconds = median_seconds([&] { layer.evaluate(evaluator_, operands); });
    return seconds / static_cast<double>(layer.cost().multiplications);
  }

  /// Everything but `linear`. The first step sets the sign test up and is not timed.
  void step(MachineSpeed& speed, const SignTest& test) const {
    const CiphertextBatch x = encrypted(kNeurons);
    LocalStep local(test, owner_, evaluator_, rng_);
    local.run(StepKind::relu, kBits, x);
    const std::uint64_t before = evaluator_.counts().multiplications;
    std::array<LocalStep::Work, kRuns> runs;
    for (LocalStep::Work& run : runs) {
      local.run(StepKind::relu, kBits, x);
      run = local.work();
    }
    const LocalStep::Work& work = runs.front();
    const auto counted = static_cast<double>(evaluator_.counts().multiplications - before) / kRuns;
    // A test that works on ciphertexts is timed with the other work on them where it has any: its bytes are
    // counted as ciphertexts.
    const bool on_ciphertexts = test.plaintext_bits(kBits) != 0;
    speed.step =
        median_of(runs,
                  [&](const LocalStep::Work& run) {
                    return run.server.share + run.server.selection + (on_ciphertexts ? run.server.test : 0);
                  }) /
        counted;
    speed.decryption = median_of(runs, [](const LocalStep::Work& run) { return run.client.share; }) /
                       static_cast<double>(work.shares);
    speed.encryption = median_of(runs, [](const LocalStep::Work& run) { return run.client.selection; }) /
                       static_cast<double>(work.selections);
    if (on_ciphertexts) return;
    speed.transfer_byte =
        median_of(runs, [](const LocalStep::Work& run) { return run.server.test + run.client.test; }) /
        static_cast<double>(std::max<std::uint64_t>(1, work.test_bytes));
  }

 private:
  const paillier::KeyOwner& owner_;
  const paillier::Evaluator& evaluator_;
  Rng& rng_;
};

bool is_linear(const std::string& kind) {
  return kind == "dense" || kind == "conv2d" || kind == "sum_pool2d" || kind == "add" || kind == "concat";
}

}  // namespace

MachineSpeed measure_speed(const std::shared_ptr<const paillier::KeyOwner>& owner,
                           const std::shared_ptr<const paillier::PublicContext>& context,
                           const std::string& sign_test, Rng& rng) {
  const SignTest& test = sign_test_named(sign_test);
  const paillier::Evaluator evaluator(context, rng);
  const Measurement measurement(*owner, evaluator, rng);
  MachineSpeed speed;
  speed.linear = measurement.linear();
  measurement.step(speed, test);
  return speed;
}

TimeEstimate estimate_time(const InferenceCost::Layer& layer, unsigned key_bits, const MachineSpeed& speed) {
  TimeEstimate time;
  const bool linear = is_linear(layer.kind);
  (linear ? time.server_linear : time.server_steps) =
      static_cast<double>(layer.multiplications) * (linear ? speed.linear : speed.step);
  time.client = static_cast<double>(layer.ciphertexts_up) * speed.encryption +
                static_cast<double>(layer.ciphertexts_down) * speed.decryption;
  const std::uint64_t ciphertexts = (layer.ciphertexts_up + layer.ciphertexts_down) * (key_bits / 4);
  const std::uint64_t bytes = layer.bytes_up + layer.bytes_down;
  time.transfers = static_cast<double>(bytes - std::min(bytes, ciphertexts)) * speed.transfer_byte;
  return time;
}

TimeEstimate estimate_time(const InferenceCost& cost, unsigned key_bits, const MachineSpeed& speed) {
  TimeEstimate all;
  for (const InferenceCost::Layer& layer : cost.layers) {
    const TimeEstimate one = estimate_time(layer, key_bits, speed);
    all.server_linear += one.server_linear;
    all.server_steps += one.server_steps;
    all.client += one.client;
    all.transfers += one.transfers;
  }
  return all;
}

}  // namespace popcorn::protocols
