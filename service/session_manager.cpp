#include "service/session_manager.h"

#include <algorithm>
#include <future>

#include "protocols/engines.h"
#include "protocols/ot/failed_check.h"
#include "service/jobs/queued_work.h"
#include "service/refusal.h"

namespace popcorn::service {
namespace {

constexpr std::size_t kSessionIdBytes = 16;
constexpr std::size_t kPreparationNameDigits = 32;

std::string new_session_id() {
  Bytes random(kSessionIdBytes);
  system_rng().fill(random);
  return to_hex(random);
}

[[noreturn]] void refuse_gone() {
  throw Refusal(RefusalKind::gone, "session.gone", "This session is over: finished, cancelled or expired");
}

[[noreturn]] void refuse_unknown() {
  throw Refusal(RefusalKind::not_found, "session.not_found", "There is no such session");
}

[[noreturn]] void refuse_order(std::uint64_t next_round) {
  throw Refusal(RefusalKind::conflict, "round.out_of_order",
                "This is not the next round; expected round " + std::to_string(next_round));
}

[[noreturn]] void refuse_unclaimed() {
  throw Refusal(
      RefusalKind::conflict, "preparation.unclaimed",
      "This preparation takes no input before it is claimed: POST /v2/preparations/{id}/claim first");
}

/// @throws Refusal invalid "session.preparation"
std::uint64_t preparation_rounds_of(const protocols::ServerSession& machine, const std::string& engine) {
  if (machine.preparation_rounds() == 0) {
    throw Refusal(RefusalKind::invalid, "session.preparation",
                  "The engine \"" + engine + "\" does nothing before the input is there; choose another");
  }
  return machine.preparation_rounds();
}

/// @throws Refusal invalid "session.FIELD" for a name that is not offered; empty = the first of them
void require_offered(const std::string& field, const std::string& name,
                     const std::vector<std::string>& offered) {
  if (name.empty() || std::ranges::find(offered, name) != offered.end()) {
    return;
  }
  std::string names;
  for (const auto& known : offered) {
    names += (names.empty() ? "" : ", ") + known;
  }
  throw Refusal(RefusalKind::invalid, "session." + field, "The field " + field + " must be one of: " + names);
}

protocols::SessionOptions options_of(const SessionRequest& request, const protocols::ClientBundle& bundle) {
  protocols::SessionOptions options;
  options.output = request.output;
  // Clients from before there were others do not name the first engine.
  const bool has_first = std::ranges::find(bundle.engines, options.engine) != bundle.engines.end();
  if (!request.engine.empty() || !has_first) {
    options.engine = protocols::chosen_of(request.engine, bundle.engines);
  }
  options.sign_test = protocols::chosen_of(request.sign_test, bundle.sign_tests);
  return options;
}

}  // namespace

/// For later sessions; without it they make their own, so the answer does not depend on it.
void SessionManager::keep_set_up(const SessionInfo& session,
                                 std::shared_ptr<const protocols::ot::KeptSetUp> set_up) {
  try {
    keys_.keep_set_up(session.key_id, session.caller, std::move(set_up));
  } catch (const Refusal&) {
    // The store does not answer at the moment.
  }
}

struct SessionManager::RoundJob {
  RoundClaim claim;
  SessionInfo session;
  std::shared_ptr<RoundUpload> upload;
  bool polled = false;  ///< whether the client may fetch the answer later
  std::unique_ptr<protocols::ServerSession> machine{};
};

void SessionManager::refuse_dropped_set_up(const protocols::ServerSession& machine) {
  const auto set_up = machine.transfer_set_up();
  if (set_up && keys_.set_up_is_dropped(to_hex(set_up->id()))) {
    throw protocols::ot::FailedCheck("ot.check", "a check of another session with the same set-up failed");
  }
}

/// Nothing is ever answered with the session's secrets again, nor with those of the set-up that it has.
void SessionManager::end_after_failed_check(const RoundJob& job, const std::string& set_up) {
  if (!set_up.empty()) {
    keys_.drop_set_up(job.session.key_id, job.session.caller, set_up);
  }
  store_.end(job.claim);
  metrics_.session_ended(SessionOutcome::cancelled);
}

SessionManager::SessionManager(SessionManagerOptions options, const ModelRegistry& models, KeyRegistry& keys,
                               SessionStore& store, JobQueue& queue, Metrics& metrics)
    : options_(std::move(options)),
      ledger_(options_.ledger),
      models_(models),
      keys_(keys),
      store_(store),
      queue_(queue),
      metrics_(metrics),
      rerandomisers_(queue, metrics),
      sweeper_([this] { sweep_until_stopped(); }) {}

SessionManager::~SessionManager() {
  {
    const std::lock_guard lock(sweeper_mutex_);
    stopped_ = true;
  }
  sweeper_wake_.notify_all();
  sweeper_.join();
}

void SessionManager::sweep_until_stopped() {
  std::unique_lock lock(sweeper_mutex_);
  while (!sweeper_wake_.wait_for(lock, options_.sweep_interval, [this] { return stopped_; })) {
    lock.unlock();
    metrics_.session_ended(SessionOutcome::expired, store_.sweep());
    keys_.tell_dropped();
    lock.lock();
  }
}

const PublishedModel& SessionManager::check_request(const SessionRequest& request) const {
  if (draining_) {
    throw Refusal(RefusalKind::unavailable, "server.draining", "The server is shutting down; ask again later",
                  5);
  }
  const PublishedModel* model = models_.find(request.model, request.config_id);
  if (model == nullptr) {
    throw Refusal(RefusalKind::gone, "config.gone",
                  "This configuration of \"" + request.model +
                      "\" is not served any more; fetch its client bundle again");
  }
  if (request.output != "logits") {
    throw Refusal(RefusalKind::invalid, "session.output", "The field output must be \"logits\"");
  }
  const protocols::ClientBundle& bundle = model->served->bundle();
  require_offered("engine", request.engine, bundle.engines);
  require_offered("sign_test", request.sign_test, bundle.sign_tests);
  return *model;
}

std::string SessionManager::account_of(const Caller& caller) const {
  return caller.id.empty() ? "address " + options_.address_name(caller.address) : caller.id;
}

std::size_t SessionManager::limit_of(const Caller& caller) const {
  const std::size_t share = caller.id.empty() ? 0 : options_.max_sessions_of_token;
  if (caller.max_sessions == 0 || share == 0) {
    return std::max(caller.max_sessions, share);
  }
  return std::min(caller.max_sessions, share);
}

/// Before anything is computed; that two requests at the same time do not both pass is the store's part.
void SessionManager::check_limits(const Caller& caller) {
  const std::size_t limit = limit_of(caller);
  const std::string account = account_of(caller);
  if (limit != 0 && store_.active(account) >= limit) {
    refuse_account();
  }
  if (caller.max_sessions_per_day != 0 && !store_.count_today(account, caller.max_sessions_per_day)) {
    const auto now = std::chrono::system_clock::now();
    const auto midnight = std::chrono::ceil<std::chrono::days>(now);
    const auto left = std::chrono::ceil<std::chrono::seconds>(midnight - now).count();
    throw Refusal(RefusalKind::over_limit, "caller.sessions_per_day",
                  "You have used all your sessions of this day", static_cast<unsigned>(left));
  }
}

SessionInfo SessionManager::open(const SessionRequest& request, const Caller& asking) {
  const PublishedModel& model = check_request(request);
  const std::string& caller = asking.id;
  const auto key = keys_.find(request.key_id, caller);
  if (!key) {
    throw Refusal(RefusalKind::not_found, "key.not_found",
                  "This key is not registered here; register it with POST /v2/keys");
  }
  if (key->kind() == paillier::KeyKind::subgroup && !options_.subgroup_keys) {
    refuse_subgroup_key();
  }
  check_limits(asking);
  const std::function<SessionInfo()> make = [this, request, &model, caller, account = account_of(asking),
                                             limit = limit_of(asking),
                                             most_preparations = options_.max_preparations_of_account] {
    const protocols::ClientBundle& bundle = model.served->bundle();
    protocols::SessionOptions options = options_of(request, bundle);
    const protocols::Engine& engine = protocols::engine_named(options.engine);
    if (!request.transfer_set_up.empty() && engine.uses_transfers(bundle, options)) {
      options.transfer_set_up = keys_.set_up(request.key_id, caller, request.transfer_set_up);
    }
    auto context = keys_.context(request.key_id, caller);
    SessionInfo info;
    info.engine = options.engine;
    info.transfer_set_up = options.transfer_set_up ? request.transfer_set_up : "";
    const paillier::PublicKey& public_key = context->key();
    info.ciphertext_bytes = public_key.ciphertext_bytes();
    auto machine = std::make_unique<protocols::ServerSession>(model.served, context, std::move(options));
    rerandomisers_.request(context, machine->rerandomisations());
    info.id = new_session_id();
    info.model = request.model;
    info.config_id = model.config_id();
    info.key_id = request.key_id;
    info.caller = caller;
    info.account = account;
    info.account_limit = limit;
    info.public_key = public_key.serialise();
    info.rounds = machine->rounds();
    info.preparation_rounds = request.preparation ? preparation_rounds_of(*machine, info.engine) : 0;
    info.preparation_limit = most_preparations;
    for (std::uint64_t round = 0; round < info.rounds; ++round) {
      info.round_limits.push_back(machine->max_message_bytes(round));
    }
    return store_.create(std::move(info), std::move(machine));
  };
  const Urgency urgency = request.preparation ? Urgency::later : Urgency::turn;
  SessionInfo info = await(submit(queue_, caller, make, urgency), options_.round_timeout);
  metrics_.session_started(info.engine);
  return info;
}

SessionInfo SessionManager::claim_preparation(const std::string& id, const std::string& name,
                                              const std::string& caller) {
  if (name.size() != kPreparationNameDigits ||
      name.find_first_not_of("0123456789abcdef") != std::string::npos) {
    throw Refusal(RefusalKind::invalid, "preparation.name",
                  "The field claim must be 32 lower-case hexadecimal digits, drawn at random");
  }
  if (info(id, caller).preparation_rounds == 0) {
    throw Refusal(RefusalKind::conflict, "preparation.none", "This session is no preparation");
  }
  switch (store_.claim_preparation(id, name)) {
    case SessionStore::PreparationClaim::granted:
      metrics_.preparation_claimed();
      ledger_.claimed(id, name);
      return info(id, caller);
    case SessionStore::PreparationClaim::other_name:
      throw Refusal(RefusalKind::conflict, "preparation.used",
                    "This preparation was claimed before under another name; make or take a new one");
    case SessionStore::PreparationClaim::not_prepared:
      throw Refusal(RefusalKind::conflict, "preparation.unfinished",
                    "This preparation is not finished; send its remaining rounds first");
    case SessionStore::PreparationClaim::gone:
      refuse_gone();
    case SessionStore::PreparationClaim::unknown:
      break;
  }
  refuse_unknown();
}

SessionInfo SessionManager::info(const std::string& id, const std::string& caller) {
  std::optional<SessionInfo> found = store_.find(id);
  if (!found || found->caller != caller) {
    refuse_unknown();
  }
  if (found->phase == SessionPhase::gone) {
    refuse_gone();
  }
  return std::move(*found);
}

void SessionManager::cancel(const std::string& id, const std::string& caller) {
  info(id, caller);
  if (!store_.erase(id)) {
    refuse_gone();
  }
  metrics_.session_ended(SessionOutcome::cancelled);
}

RoundAdmission SessionManager::admit_round(const std::string& id, std::uint64_t round,
                                           const std::string& caller) {
  SessionInfo session = info(id, caller);
  const bool repeats_last = round + 1 == session.next_round;
  if ((round != session.next_round && !repeats_last) || round >= session.rounds) {
    refuse_order(session.next_round);
  }
  if (!repeats_last && session.phase == SessionPhase::prepared) {
    refuse_unclaimed();
  }
  const std::size_t max_bytes = session.round_limits.at(round);
  const bool due = !repeats_last && !session.computing;
  return {std::move(session), round, max_bytes, due};
}

std::shared_ptr<RoundUpload> SessionManager::begin_upload(const RoundAdmission& admission,
                                                          std::uint64_t bytes, MemoryBudget::Lease lease) {
  const std::string& caller = admission.session.caller;
  RoundUpload::Options options;
  options.bytes = bytes;
  options.caller = caller;
  options.key = [this, key_id = admission.session.key_id, caller] { return keys_.context(key_id, caller); };
  options.worked_ahead = [this](std::uint64_t ciphertexts) { metrics_.worked_ahead(ciphertexts); };
  return std::make_shared<RoundUpload>(std::move(options), queue_, admission.due, std::move(lease));
}

std::shared_ptr<const Bytes> SessionManager::answer_round(const RoundAdmission& admission,
                                                          const std::shared_ptr<RoundUpload>& upload,
                                                          std::optional<std::chrono::seconds> patience) {
  auto answer = claim_and_answer(admission, upload, patience);
  give_lease_back(answer);
  return answer;
}

std::shared_ptr<const Bytes> SessionManager::claim_and_answer(const RoundAdmission& admission,
                                                              const std::shared_ptr<RoundUpload>& upload,
                                                              std::optional<std::chrono::seconds> patience) {
  const std::uint64_t round = admission.round;
  const Sha256 digest = upload->end();
  const auto wait = std::min(patience.value_or(options_.round_timeout), options_.round_timeout);
  const auto deadline = std::chrono::steady_clock::now() + wait;
  RoundClaim claim = store_.claim_or_wait(admission.session.id, round, digest, deadline);
  switch (claim.state) {
    case RoundClaim::State::granted: {
      auto job = std::make_shared<RoundJob>();
      *job = {std::move(claim), admission.session, upload, patience.has_value()};
      auto answer = compute(job, admission.session.caller);
      if (patience && answer.wait_until(deadline) != std::future_status::ready) {
        return nullptr;
      }
      return await(std::move(answer), wait);
    }
    case RoundClaim::State::answered:
      return claim.answer;
    case RoundClaim::State::running:
      if (patience) {
        return nullptr;
      }
      refuse_slow();
    case RoundClaim::State::other_body:
      throw Refusal(RefusalKind::conflict, "round.conflict",
                    "Round " + std::to_string(round) + " was sent before with another body");
    case RoundClaim::State::out_of_order:
      refuse_order(claim.next_round);
    case RoundClaim::State::unclaimed:
      refuse_unclaimed();
    case RoundClaim::State::gone:
      refuse_gone();
    case RoundClaim::State::unknown:
      break;
  }
  refuse_unknown();
}

std::shared_ptr<const Bytes> SessionManager::answer_of(const std::string& id, std::uint64_t round,
                                                       const std::string& caller) {
  info(id, caller);
  const RoundClaim claim = store_.peek(id, round);
  switch (claim.state) {
    case RoundClaim::State::answered:
      give_lease_back(claim.answer);
      return claim.answer;
    case RoundClaim::State::running:
      return nullptr;
    case RoundClaim::State::gone:
      refuse_gone();
    case RoundClaim::State::unknown:
      refuse_unknown();
    default:
      throw Refusal(RefusalKind::conflict, "round.not_running",
                    "Round " + std::to_string(round) + " has no answer and none is computed; send its body");
  }
}

std::future<std::shared_ptr<const Bytes>> SessionManager::compute(const std::shared_ptr<RoundJob>& job,
                                                                  const std::string& caller) {
  // A preparation yields to those who wait for an answer.
  const bool prepares = job->session.preparation_rounds > 0 && !job->session.claimed;
  const Urgency urgency = prepares ? Urgency::later : Urgency::turn;
  try {
    return submit<std::shared_ptr<const Bytes>>(
        queue_, caller, [this, job] { return work_on(*job); }, urgency);
  } catch (...) {
    store_.abandon(job->claim, nullptr);
    throw;
  }
}

std::shared_ptr<const Bytes> SessionManager::work_on(RoundJob& job) {
  const auto start = std::chrono::steady_clock::now();
  paillier::OperationCounts before;
  protocols::ServerPhases phases_before;
  std::shared_ptr<const Bytes> answer;
  std::uint64_t ciphertexts = 0;
  std::string set_up_name = job.session.transfer_set_up;
  bool had_set_up = false;
  const std::uint64_t preparation_rounds = job.session.preparation_rounds;
  const bool is_online = preparation_rounds > 0 && job.claim.round >= preparation_rounds;
  try {
    job.machine = store_.take(job.claim);
    if (is_online) ledger_.online(job.claim.id, job.claim.round, job.claim.body);
    if (const auto kept = job.machine->transfer_set_up()) {
      set_up_name = to_hex(kept->id());
      had_set_up = true;
    }
    refuse_dropped_set_up(*job.machine);
    before = job.machine->counts();
    phases_before = job.machine->phases();
    protocols::MessageIntake& message = job.upload->finish(job.machine->key());
    ciphertexts = message.ciphertexts();
    Bytes made = job.machine->handle(message);
    refuse_dropped_set_up(*job.machine);  // meanwhile
    answer = job.polled ? leased(std::move(made), job.upload->take_lease())
                        : std::make_shared<const Bytes>(std::move(made));
  } catch (const protocols::ot::FailedCheck& error) {
    metrics_.rejected(error.code());
    end_after_failed_check(job, set_up_name);
    throw;
  } catch (const InputError& error) {
    metrics_.rejected(error.code());
    store_.abandon(job.claim, std::move(job.machine));
    throw;
  } catch (...) {
    store_.abandon(job.claim, std::move(job.machine));
    throw;
  }
  job.upload.reset();
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  metrics_.phases(job.machine->phases().since(phases_before));
  metrics_.round(ciphertexts, before, job.machine->counts(), seconds.count());
  const bool finished = job.machine->finished();
  const bool prepared = job.claim.round + 1 == preparation_rounds;
  auto set_up = had_set_up ? nullptr : job.machine->transfer_set_up();
  answer = store_.commit(job.claim, std::move(answer), std::move(job.machine));
  if (!answer) {
    refuse_gone();
  }
  // It is complete with this answer, and the client keeps it when it has that.
  if (set_up) {
    keep_set_up(job.session, std::move(set_up));
  }
  if (prepared) {
    metrics_.preparation_made();
    ledger_.prepared(job.claim.id, preparation_rounds);
  }
  if (is_online) ledger_.answered(job.claim.id, job.claim.round);
  if (finished) {
    metrics_.session_ended(SessionOutcome::finished);
  }
  return answer;
}

}  // namespace popcorn::service
