#include "protocols/time_estimate.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <functional>

#include "models/network/integer_network.h"
#include "protocols/linear_layer.h"
#include "protocols/relu_step.h"
#include "protocols/share.h"
#include "protocols/sign_test.h"

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

  /// @param test its own multiplications are timed too where it has any: they are of another mixture
  void step(MachineSpeed& speed, const SignTest& test) const {
    const CiphertextBatch x = encrypted(kNeurons);
    WideVector masks;
    Bytes shares;
    const std::uint64_t before = evaluator_.counts().multiplications;
    double server = median_seconds([&] {
      shares.clear();
      masks = seal_shares(evaluator_, x, kBits, rng_, shares);
    });
    const std::size_t packed = shares.size() / owner_.public_key().ciphertext_bytes();
    WideVector opened;
    speed.decryption = median_seconds([&] { opened = open_shares(owner_, shares, kNeurons, kBits); }) /
                       static_cast<double>(packed);
    const std::vector<std::uint8_t> bits(kNeurons, 1);
    Bytes selection;
    speed.encryption = median_seconds([&] {
                         selection.clear();
                         answer_relu(owner_, opened, bits, selection);
                       }) /
                       (2.0 * kNeurons);
    server += median_seconds([&] {
      select_relu(evaluator_, x, masks, mask_bits(kBits), bits, evaluator_.parse(selection, 2 * kNeurons));
    });
    if (test.plaintext_bits(kBits) != 0) server += sign_test(test, {x, masks}, opened);
    speed.step = kRuns * server / static_cast<double>(evaluator_.counts().multiplications - before);
  }

  /// The server's seconds for the test of all neurons.
  double sign_test(const SignTest& test, const ServerNeurons& neurons, const WideVector& opened) const {
    const std::unique_ptr<ServerSignTest> server = test.server(evaluator_, rng_);
    const std::unique_ptr<ClientSignTest> client = test.client(owner_, rng_);
    const SignTestShape shape{kNeurons, kBits, owner_.public_key().bits(), test.set_up(false)};
    std::array<double, kRuns> seconds{};
    for (double& run : seconds) {
      server->begin(shape);
      client->begin(shape);
      for (unsigned exchange = 0; exchange < test.exchanges(kBits); ++exchange) {
        Bytes question, answer;
        run += seconds_of([&] { server->question(exchange, neurons, question); });
        client->question(exchange, opened, question);
        client->answer(exchange, answer);
        run += seconds_of([&] { server->answer(exchange, answer); });
      }
    }
    return median(seconds);
  }

  /// Runs a test twice, the set-up being in the first; the second is timed.
  double transfer_byte(const SignTest& test) const {
    const CiphertextBatch x = encrypted(kNeurons);
    Bytes shares;
    const WideVector masks = seal_shares(evaluator_, x, kBits, rng_, shares);
    const WideVector opened = open_shares(owner_, shares, kNeurons, kBits);
    const std::unique_ptr<ServerSignTest> server = test.server(evaluator_, rng_);
    const std::unique_ptr<ClientSignTest> client = test.client(owner_, rng_);
    Bytes request;
    client->request(request);
    if (!request.empty()) server->request(request);
    SignTestShape shape{kNeurons, kBits, owner_.public_key().bits(), test.set_up(false)};
    double seconds = 0;
    std::size_t bytes = 0;
    for (int run = 0; run < 2; ++run) {
      bytes = 0;
      seconds = seconds_of([&] {
        server->begin(shape);
        client->begin(shape);
        for (unsigned exchange = 0; exchange < test.exchanges(kBits); ++exchange) {
          Bytes question, answer;
          server->question(exchange, {x, masks}, question);
          client->question(exchange, opened, question);
          client->answer(exchange, answer);
          server->answer(exchange, answer);
          bytes += question.size() + answer.size();
        }
      });
      shape.set_up = SetUp::done;
    }
    return seconds / static_cast<double>(std::max<std::size_t>(1, bytes));
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
  // The blinded test's bytes are ciphertexts, which are counted as such.
  if (test.plaintext_bits(kBits) == 0) speed.transfer_byte = measurement.transfer_byte(test);
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
