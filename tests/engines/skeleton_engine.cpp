#include "tests/engines/skeleton_engine.h"

#include <utility>

#include "models/evaluation/plaintext_evaluator.h"

namespace popcorn::test {

namespace {

using namespace popcorn::protocols;

constexpr std::uint64_t kTokenBytes = 8;

void write(const WideVector& values, std::size_t limbs, Bytes& out) {
  ByteWriter writer(out);
  const WideVector fitted = values.resized(limbs);
  for (const std::uint64_t word : fitted.words()) writer.u64(word);
}

WideVector read(ByteView bytes, std::size_t limbs) {
  ByteReader reader(bytes, "skeleton");
  WideVector values(bytes.size() / (8 * limbs), limbs);
  for (std::uint64_t& word : values.words()) word = reader.u64();
  return values;
}

/// Round 0 prepares: a token there and back. Round 1: input there, output back.
class SkeletonSchedule final : public Schedule {
 public:
  SkeletonSchedule(const ClientBundle& bundle, unsigned key_bits)
      : ciphertext_bytes_(key_bits / 4),
        inputs_(static_cast<std::uint64_t>(bundle.encoding.shape.size())),
        outputs_(bundle.output_count),
        output_limbs_(WideVector::limbs_for_bits(bundle.output_bits + 1)) {}

  std::uint64_t rounds() const noexcept override { return 2; }
  Phase phase(std::uint64_t round) const override { return round == 0 ? Phase::preparation : Phase::online; }
  MessageShape client_message(std::uint64_t round) const override {
    if (round == 0) return {MessageKind::preparation, 0, 0, ciphertext_bytes_, kTokenBytes};
    return {MessageKind::input, inputs_, 0, ciphertext_bytes_, 8 * inputs_};
  }
  MessageShape server_message(std::uint64_t round) const override {
    if (round == 0) return client_message(0);
    return {MessageKind::logits, outputs_, 0, ciphertext_bytes_, 8 * output_limbs_ * outputs_};
  }
  MessageAddress client_address(std::uint64_t /*round*/) const override { return {}; }
  MessageAddress server_address(std::uint64_t /*round*/) const override { return {}; }
  std::string step_name(std::uint64_t /*step*/) const override { return "preparation"; }
  std::size_t output_limbs() const noexcept { return output_limbs_; }

 private:
  std::uint64_t ciphertext_bytes_, inputs_, outputs_;
  std::size_t output_limbs_;
};

class SkeletonServer final : public ServerEngine {
 public:
  explicit SkeletonServer(const ServerParts& parts, const models::IntegerNetwork& network)
      : schedule_(parts.bundle, parts.key->key().bits()), network_(network) {}

  const Schedule& schedule() const noexcept override { return schedule_; }
  void take(std::uint64_t /*round*/, ByteView section) override {
    received_.assign(section.begin(), section.end());
  }
  void answer(std::uint64_t round, paillier::CiphertextBatch /*none*/, Bytes& out) override {
    if (round == 0) {
      out.insert(out.end(), received_.begin(), received_.end());
      return;
    }
    const std::vector<WideVector> tensors = models::evaluate_all(network_, read(received_, 1));
    for (std::size_t i = 0; observer_ && i < tensors.size(); ++i) observer_(i, tensors[i]);
    write(tensors.back(), schedule_.output_limbs(), out);
  }
  ServerPhases phases() const noexcept override { return {}; }
  std::size_t memory_bytes() const noexcept override { return received_.size(); }
  void observe(ClientEngine& /*client*/, Observer observer) override { observer_ = std::move(observer); }

 private:
  SkeletonSchedule schedule_;
  const models::IntegerNetwork& network_;
  Observer observer_;
  Bytes received_;
};

class SkeletonClient final : public ClientEngine {
 public:
  SkeletonClient(const ClientParts& parts, WideVector input)
      : schedule_(parts.bundle, parts.owner->public_key().bits()), input_(std::move(input)) {}

  const Schedule& schedule() const noexcept override { return schedule_; }
  void message(std::uint64_t round, Bytes& out) override {
    if (round == 0) {
      out.resize(out.size() + kTokenBytes);
    } else {
      write(input_, 1, out);
    }
  }
  WideVector decrypt(std::uint64_t /*round*/, ByteView /*ciphertexts*/) const override { return {}; }
  void take(std::uint64_t round, WideVector /*plaintexts*/, ByteView section) override {
    if (round == 1) result_ = read(section, schedule_.output_limbs());
  }
  const WideVector& result() const override { return result_; }

 private:
  SkeletonSchedule schedule_;
  WideVector input_, result_;
};

struct SkeletonNetwork final : PreparedNetwork {
  explicit SkeletonNetwork(const models::IntegerNetwork& served) : network(served) {}
  const models::IntegerNetwork& network;
};

InferenceCost cost_of(const SkeletonSchedule& schedule) {
  InferenceCost cost;
  cost.rounds = schedule.rounds();
  for (std::uint64_t round = 0; round < schedule.rounds(); ++round) {
    cost.layers.push_back({.name = schedule.name_of(round),
                           .kind = "skeleton",
                           .bytes_up = schedule.client_message(round).bytes(),
                           .bytes_down = schedule.server_message(round).bytes()});
  }
  cost.add_up();
  return cost;
}

class Skeleton final : public Engine {
 public:
  std::string_view name() const noexcept override { return "skeleton"; }
  void publish(const models::IntegerNetwork&, const PublishOptions&, ClientBundle&) const override {}
  std::unique_ptr<const PreparedNetwork> prepare(const models::IntegerNetwork& network,
                                                 const PublishOptions&) const override {
    return std::make_unique<SkeletonNetwork>(network);
  }
  bool uses_transfers(const ClientBundle&, const SessionOptions&) const override { return false; }
  std::unique_ptr<ServerEngine> server(const ServerParts& parts) const override {
    return std::make_unique<SkeletonServer>(parts,
                                            dynamic_cast<const SkeletonNetwork&>(parts.network).network);
  }
  std::unique_ptr<ClientEngine> client(const ClientParts& parts, WideVector input) const override {
    return std::make_unique<SkeletonClient>(parts, std::move(input));
  }
  InferenceCost cost(const PreparedNetwork&, const ClientBundle& bundle, unsigned key_bits,
                     const SessionOptions&, bool) const override {
    return cost_of({bundle, key_bits});
  }
  InferenceCost client_cost(const ClientBundle& bundle, unsigned key_bits, const SessionOptions&,
                            bool) const override {
    return cost_of({bundle, key_bits});
  }
  MachineSpeed measure_speed(const std::shared_ptr<const paillier::KeyOwner>&,
                             const std::shared_ptr<const paillier::PublicContext>&, const SessionOptions&,
                             Rng&) const override {
    return {};
  }
  std::unique_ptr<LayerCheck> layer_check(const models::IntegerNetwork&,
                                          std::shared_ptr<const paillier::KeyOwner>,
                                          std::shared_ptr<const paillier::PublicContext>,
                                          const SessionOptions&, Rng&) const override {
    return nullptr;
  }
};

}  // namespace

const Engine& skeleton_engine() {
  static const Skeleton engine;
  return engine;
}

}  // namespace popcorn::test
