#include "cli/capacity.h"

#include <openssl/crypto.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "base/error.h"
#include "cli/bench/own_work.h"
#include "models/evaluation/plaintext_evaluator.h"
#include "protocols/session/cost_prediction.h"
#include "protocols/session/session.h"

namespace popcorn::cli {

namespace {

constexpr double kSecondsAnHour = 3600;
constexpr double kBitsAByte = 8;
/// Clients and networks are not this machine: a session is there for longer than its work takes here.
constexpr double kWaiting = 3;
/// Seals, field names and what a store's allocator rounds up to.
constexpr double kStoreOverhead = 1.25;

/// What an action takes of the processors goes to `seconds`.
template <class Action>
auto timed(double& seconds, const Action& action) {
  const double before = processor_seconds();
  auto result = action();
  seconds += processor_seconds() - before;
  return result;
}

std::uint64_t size_and_wipe(Bytes state) {
  const std::uint64_t size = state.size();
  OPENSSL_cleanse(state.data(), state.size());
  return size;
}

/// Both parties, and what they take.
class Inference {
 public:
  Inference(const std::shared_ptr<const protocols::ServedModel>& model,
            const std::shared_ptr<const paillier::KeyOwner>& owner, protocols::SessionOptions session,
            const std::function<void(std::uint64_t, std::uint64_t)>& progress)
      : progress_(progress),
        context_(paillier::PublicContext::create(owner->public_key())),
        input_(random_input(model->bundle().encoding)),
        server_(model, context_, session) {
    made_.key_memory = context_->memory_bytes();
    if (server_.preparation_rounds() > 0) {
      client_ = protocols::ClientSession::preparation(model->bundle(), owner, std::move(session));
    } else {
      client_ =
          std::make_unique<protocols::ClientSession>(model->bundle(), owner, input_, std::move(session));
    }
  }

  MeasuredInference run(const models::IntegerNetwork& network) {
    if (server_.preparation_rounds() > 0) {
      run_part(made_.preparation, [this] { return std::optional<ByteView>(client_->start()); });
      made_.server_state = size_and_wipe(server_.save());
      made_.client_state = size_and_wipe(client_->save());
      run_part(made_.online, [this] { return std::optional<ByteView>(client_->provide(input_)); });
    } else {
      run_part(made_.online, [this] { return std::optional<ByteView>(client_->start()); });
    }
    if (client_->logits() != models::evaluate(network, input_))
      throw CheckError("capacity.wrong_result",
                       "the measured inference does not equal the plaintext network");
    return made_;
  }

 private:
  template <class First>
  void run_part(MeasuredInference::Part& part, const First& first) {
    std::optional<ByteView> message = timed(part.client_seconds, first);
    while (message) {
      if (progress_) progress_(server_.next_round(), server_.rounds());
      part.bytes_up += message->size();
      const Bytes answer = timed(part.server_seconds, [&] { return server_.handle(*message); });
      part.bytes_down += answer.size();
      ++part.rounds;
      if (!server_.finished() && server_.can_be_kept())
        made_.store_writes += answer.size() + size_and_wipe(server_.save());
      message = timed(part.client_seconds, [&] { return client_->handle(answer); });
    }
  }

  const std::function<void(std::uint64_t, std::uint64_t)>& progress_;
  std::shared_ptr<const paillier::PublicContext> context_;
  WideVector input_;
  protocols::ServerSession server_;
  std::unique_ptr<protocols::ClientSession> client_;
  MeasuredInference made_;
};

std::uint64_t rounded_up(double value) {
  return static_cast<std::uint64_t>(std::ceil(value));
}

}  // namespace

MeasuredInference measure_inference(const std::shared_ptr<const protocols::ServedModel>& model,
                                    const std::shared_ptr<const paillier::KeyOwner>& owner,
                                    protocols::SessionOptions session,
                                    const std::function<void(std::uint64_t, std::uint64_t)>& progress) {
  const protocols::InferenceCost cost = protocols::predict_cost(*model, owner->public_key().bits(), session);
  MeasuredInference made = Inference(model, owner, std::move(session), progress).run(model->network());
  made.session_memory = cost.peak_memory_server;
  return made;
}

Capacity plan_capacity(const MeasuredInference& inference, const CapacityWish& wish) {
  const double a_second = wish.answers_per_hour / kSecondsAnHour;
  const MeasuredInference::Part& ahead = inference.preparation;
  const MeasuredInference::Part& online = inference.online;
  const double server_seconds = ahead.server_seconds + online.server_seconds;
  const double client_seconds = ahead.client_seconds + online.client_seconds;
  Capacity capacity;
  capacity.cores = a_second * server_seconds / Capacity::kBusy;
  capacity.answers_per_hour = kSecondsAnHour * wish.cores * Capacity::kBusy / server_seconds;
  const double at_once = a_second * kWaiting * (server_seconds + client_seconds);
  capacity.sessions_at_once = std::max<std::uint64_t>(wish.cores, rounded_up(at_once));
  capacity.memory = capacity.sessions_at_once * (inference.session_memory + inference.key_memory);
  if (ahead.rounds > 0) {
    capacity.preparations = rounded_up(wish.answers_per_hour * wish.stock_hours);
    const auto waiting = static_cast<double>(capacity.preparations);
    capacity.server_store =
        rounded_up(kStoreOverhead * waiting * static_cast<double>(inference.server_state));
    capacity.client_store = rounded_up(waiting * static_cast<double>(inference.client_state));
    capacity.store_bytes_per_second = a_second * static_cast<double>(inference.store_writes);
  }
  capacity.up_bits_per_second = a_second * kBitsAByte * static_cast<double>(ahead.bytes_up + online.bytes_up);
  capacity.down_bits_per_second =
      a_second * kBitsAByte * static_cast<double>(ahead.bytes_down + online.bytes_down);
  return capacity;
}

}  // namespace popcorn::cli
