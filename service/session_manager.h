// Sessions and their rounds: what the routes ask for, without HTTP and without JSON.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "service/jobs/idle_rerandomisers.h"
#include "service/jobs/job_queue.h"
#include "service/key_registry.h"
#include "service/metrics.h"
#include "service/model_registry.h"
#include "service/preparation_ledger.h"
#include "service/round_upload.h"
#include "service/store/session_store.h"
#include "service/tokens.h"

namespace popcorn::service {

struct SessionRequest {
  std::string model;
  std::string key_id;
  std::string config_id;
  std::string output = "logits";
  std::string engine;           ///< empty = "ciphertext" where it is offered, else the server's preference
  std::string sign_test;        ///< empty = the server's preference
  std::string transfer_set_up;  ///< name of a set-up that the client kept; empty = none
  bool preparation = false;     ///< for a stock: the input comes later, after claim()
};

/// A round of a session that was looked up.
struct RoundAdmission {
  SessionInfo session;
  std::uint64_t round = 0;
  std::size_t max_bytes = 0;  ///< of the body
  bool due = false;           ///< not a repetition, and nobody else sends it: work on it may begin at once
};

struct SessionManagerOptions {
  std::chrono::milliseconds sweep_interval{1000};
  std::chrono::seconds round_timeout{900};  ///< how long one request waits for its answer
  bool subgroup_keys =
      false;  ///< whether keys of that kind open sessions: another server may have taken them
  /// At once, whatever a token's own limit says, so that no token takes all that there are; 0 = any number.
  std::size_t max_sessions_of_token = 0;
  std::size_t max_preparations_of_account = 0;  ///< those being made too; 0 = any number
  /// What stands in the session store for an address: the address itself is nobody's business there.
  std::function<std::string(const std::string& address)> address_name = [](const std::string& address) {
    return address;
  };
  PreparationLedger::Write ledger = nullptr;  ///< see there; called by several threads
};

class SessionManager {
 public:
  SessionManager(SessionManagerOptions options, const ModelRegistry& models, KeyRegistry& keys,
                 SessionStore& store, JobQueue& queue, Metrics& metrics);
  ~SessionManager();

  /// @throws Refusal not_found, gone "config.gone", invalid "session.*", over_limit "caller.sessions",
  /// unavailable; InputError "model.too_wide"
  SessionInfo open(const SessionRequest& request, const Caller& caller);
  /// @throws Refusal not_found "session.not_found"; gone "session.gone"
  SessionInfo info(const std::string& id, const std::string& caller);
  void cancel(const std::string& id, const std::string& caller);

  /// Before anything of a round's body is read. @throws Refusal conflict "round.out_of_order" besides those
  /// of info()
  RoundAdmission admit_round(const std::string& id, std::uint64_t round, const std::string& caller);
  /// Where the body of an admitted round goes. @param bytes of it, within the admission's limit
  std::shared_ptr<RoundUpload> begin_upload(const RoundAdmission& admission, std::uint64_t bytes,
                                            MemoryBudget::Lease lease);
  /// Computes the answer, or gives the one that exists. @throws Refusal conflict "round.conflict", gone,
  /// unavailable, timed_out; InputError for a message that the protocol does not accept
  /// @param upload all of the body
  /// @param patience when given: after it nothing is returned, the work goes on, answer_of() has the answer
  /// later. The upload's lease lasts until then, or until the answer is dropped with the session.
  std::shared_ptr<const Bytes> answer_round(const RoundAdmission& admission,
                                            const std::shared_ptr<RoundUpload>& upload,
                                            std::optional<std::chrono::seconds> patience = std::nullopt);
  /// The answer of the latest round; nothing while it is computed. @throws Refusal not_found, gone, conflict
  /// "round.not_running" when the round was never accepted or failed: send it again
  std::shared_ptr<const Bytes> answer_of(const std::string& id, std::uint64_t round,
                                         const std::string& caller);
  /// Makes a session of a preparation again, so that its online rounds can begin: once, for one name.
  /// @param name 32 lower-case hexadecimal digits of the client's choice; the same again is granted again
  /// @throws Refusal not_found, gone, conflict "preparation.used", "preparation.unfinished"; invalid
  /// "preparation.name"
  SessionInfo claim_preparation(const std::string& id, const std::string& name, const std::string& caller);
  std::size_t active() { return store_.active(); }
  std::size_t prepared() { return store_.prepared(); }
  std::size_t prepared(const Caller& caller) { return store_.prepared(account_of(caller)); }

  /// From now on no sessions are opened; those that run go on.
  void drain() noexcept { draining_ = true; }
  bool draining() const noexcept { return draining_; }
  /// Of the session store, see SessionStore::reachable().
  bool store_reachable() { return store_.reachable(); }

 private:
  struct RoundJob;

  /// The form that is asked for.
  const PublishedModel& check_request(const SessionRequest& request) const;
  std::string account_of(const Caller& caller) const;
  std::size_t limit_of(const Caller& caller) const;
  void check_limits(const Caller& caller);
  std::shared_ptr<const Bytes> claim_and_answer(const RoundAdmission& admission,
                                                const std::shared_ptr<RoundUpload>& upload,
                                                std::optional<std::chrono::seconds> patience);
  std::future<std::shared_ptr<const Bytes>> compute(const std::shared_ptr<RoundJob>& job,
                                                    const std::string& caller);
  std::shared_ptr<const Bytes> work_on(RoundJob& job);
  void keep_set_up(const SessionInfo& session, std::shared_ptr<const protocols::ot::KeptSetUp> set_up);
  /// @throws FailedCheck when a check of another session with its set-up failed
  void refuse_dropped_set_up(const protocols::ServerSession& machine);
  void end_after_failed_check(const RoundJob& job, const std::string& set_up);
  void sweep_until_stopped();

  const SessionManagerOptions options_;
  const PreparationLedger ledger_;
  const ModelRegistry& models_;
  KeyRegistry& keys_;
  SessionStore& store_;
  JobQueue& queue_;
  Metrics& metrics_;
  std::atomic<bool> draining_{false};
  IdleRerandomisers rerandomisers_;

  std::mutex sweeper_mutex_;
  std::condition_variable sweeper_wake_;
  bool stopped_ = false;
  std::thread sweeper_;
};

}  // namespace popcorn::service
