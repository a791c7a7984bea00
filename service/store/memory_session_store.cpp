#include <openssl/crypto.h>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>

#include "base/error.h"
#include "service/refusal.h"
#include "service/store/preparation_folder.h"
#include "service/store/session_store.h"

namespace popcorn::service {
namespace {

using Steady = std::chrono::steady_clock;

/// Ended sessions are remembered, so that their clients hear 410 and not 404.
constexpr std::size_t kRememberedSessions = 4096;

class MemorySessionStore final : public LocalSessionStore {
 public:
  MemorySessionStore(SessionStoreOptions options, std::unique_ptr<PreparationFolder> folder,
                     SessionRestorer restore)
      : options_(std::move(options)), folder_(std::move(folder)), restore_(std::move(restore)) {
    if (folder_) load_kept();
  }
  ~MemorySessionStore() override {
    for (auto& [id, entry] : sessions_) forget_state(entry);
  }
  MemorySessionStore(const MemorySessionStore&) = delete;
  MemorySessionStore& operator=(const MemorySessionStore&) = delete;

  SessionInfo create(SessionInfo info, std::unique_ptr<protocols::ServerSession> machine) override {
    const std::lock_guard lock(mutex_);
    if (info.preparation_rounds > 0) refuse_more_preparations(info);
    if (count_locked(nullptr) >= options_.max_sessions) {
      throw Refusal(RefusalKind::unavailable, "server.sessions",
                    "The server runs as many sessions as it may; ask again later", 5);
    }
    if (info.account_limit != 0 && count_locked(&info.account) >= info.account_limit) {
      refuse_account();
    }
    Entry& entry = sessions_[info.id];
    entry.info = std::move(info);
    entry.machine = std::move(machine);
    touch(entry);
    return entry.info;
  }

  std::optional<SessionInfo> find(const std::string& id) override {
    const std::lock_guard lock(mutex_);
    const auto found = sessions_.find(id);
    if (found == sessions_.end()) {
      return std::nullopt;
    }
    end_if_expired(found->second);
    return found->second.info;
  }

  RoundClaim claim(const std::string& id, std::uint64_t round, const Sha256& body) override {
    const std::lock_guard lock(mutex_);
    return claim_locked(id, round, body);
  }

  RoundClaim claim_or_wait(const std::string& id, std::uint64_t round, const Sha256& body,
                           Steady::time_point deadline) override {
    std::unique_lock lock(mutex_);
    for (;;) {
      RoundClaim claim = claim_locked(id, round, body);
      if (claim.state != RoundClaim::State::running ||
          changed_.wait_until(lock, deadline) == std::cv_status::timeout) {
        return claim;
      }
    }
  }

  RoundClaim peek(const std::string& id, std::uint64_t round) override {
    const std::lock_guard lock(mutex_);
    RoundClaim claim;
    const auto found = sessions_.find(id);
    if (found == sessions_.end()) {
      return claim;
    }
    Entry& entry = found->second;
    end_if_expired(entry);
    claim.next_round = entry.info.next_round;
    if (entry.info.phase == SessionPhase::gone) {
      claim.state = RoundClaim::State::gone;
    } else if (round + 1 == entry.info.next_round && entry.last_answer) {
      claim.state = RoundClaim::State::answered;
      claim.answer = entry.last_answer;
    } else {
      const bool running = round == entry.info.next_round && entry.info.computing;
      claim.state = running ? RoundClaim::State::running : RoundClaim::State::out_of_order;
    }
    return claim;
  }

  std::unique_ptr<protocols::ServerSession> take(const RoundClaim& claim) override {
    std::unique_lock lock(mutex_);
    const auto found = sessions_.find(claim.id);
    if (found == sessions_.end() || (!found->second.machine && found->second.state.empty())) {
      throw Refusal(RefusalKind::gone, "session.gone",
                    "This session is over: finished, cancelled or expired");
    }
    if (found->second.machine) return std::move(found->second.machine);
    Bytes state;
    state.swap(found->second.state);
    const SessionInfo info = found->second.info;
    lock.unlock();
    return restored(info, state);
  }

  std::shared_ptr<const Bytes> commit(const RoundClaim& claim, std::shared_ptr<const Bytes> answer,
                                      std::unique_ptr<protocols::ServerSession> machine) override {
    const bool is_kept = keep_if_prepared(claim, *machine);
    const std::lock_guard lock(mutex_);
    const auto found = sessions_.find(claim.id);
    if (found == sessions_.end() || found->second.info.phase == SessionPhase::gone) {
      if (is_kept) remove_kept(claim.id);
      changed_.notify_all();
      return nullptr;
    }
    Entry& entry = found->second;
    entry.info.computing = false;
    entry.info.next_round = claim.round + 1;
    entry.last_body = claim.body;
    entry.last_answer = answer;
    if (machine->finished()) {
      entry.info.phase = SessionPhase::finished;
      machine.reset();
    } else if (!entry.info.claimed && entry.info.preparation_rounds == entry.info.next_round) {
      entry.info.phase = SessionPhase::prepared;
      if (is_kept) machine.reset();
    }
    entry.machine = std::move(machine);
    touch(entry);
    changed_.notify_all();
    return answer;
  }

  void abandon(const RoundClaim& claim, std::unique_ptr<protocols::ServerSession> machine) override {
    const std::lock_guard lock(mutex_);
    const auto found = sessions_.find(claim.id);
    if (found != sessions_.end() && found->second.info.phase != SessionPhase::gone) {
      found->second.info.computing = false;
      if (machine) {
        found->second.machine = std::move(machine);
      }
      touch(found->second);
    }
    changed_.notify_all();
  }

  void end(const RoundClaim& claim) override { erase(claim.id); }

  void adopt(SessionInfo info, std::unique_ptr<protocols::ServerSession> machine, const RoundClaim& last,
             std::shared_ptr<const Bytes> answer) override {
    const std::lock_guard lock(mutex_);
    Entry& entry = sessions_[last.id];
    entry.info = std::move(info);
    entry.info.computing = false;
    entry.info.next_round = last.round + 1;
    entry.last_body = last.body;
    entry.last_answer = std::move(answer);
    entry.machine = std::move(machine);
    touch(entry);
  }

  PreparationClaim claim_preparation(const std::string& id, const std::string& name) override {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] {
      const auto claimed = sessions_.find(id);
      return claimed == sessions_.end() || !claimed->second.is_being_claimed;
    });
    const auto found = sessions_.find(id);
    if (found == sessions_.end()) return PreparationClaim::unknown;
    Entry& entry = found->second;
    end_if_expired(entry);
    if (entry.info.phase == SessionPhase::gone) return PreparationClaim::gone;
    if (entry.info.claimed) {
      return entry.claimed_by == name ? PreparationClaim::granted : PreparationClaim::other_name;
    }
    if (entry.info.phase != SessionPhase::prepared) return PreparationClaim::not_prepared;
    const bool is_kept = !entry.machine && folder_;
    if (is_kept && !take_out_of_folder(id, lock)) return PreparationClaim::gone;
    entry.info.phase = SessionPhase::active;
    entry.info.claimed = true;
    entry.claimed_by = name;
    touch(entry);
    return PreparationClaim::granted;
  }

  bool erase(const std::string& id) override {
    const std::lock_guard lock(mutex_);
    const auto found = sessions_.find(id);
    if (found == sessions_.end() || found->second.info.phase == SessionPhase::gone) {
      return false;
    }
    end(found->second);
    changed_.notify_all();
    return true;
  }

  std::size_t sweep() override {
    const std::lock_guard lock(mutex_);
    std::size_t unfinished = 0;
    for (auto& [id, entry] : sessions_) {
      const bool was_active =
          entry.info.phase == SessionPhase::active || entry.info.phase == SessionPhase::prepared;
      unfinished += static_cast<std::size_t>(end_if_expired(entry) && was_active);
    }
    while (!ended_.empty() && (ended_.size() > kRememberedSessions ||
                               ended_.front().second + options_.lifetime < options_.now())) {
      sessions_.erase(ended_.front().first);
      ended_.pop_front();
    }
    return unfinished;
  }

  std::size_t active() override {
    const std::lock_guard lock(mutex_);
    return count_locked(nullptr);
  }

  std::size_t active(const std::string& account) override {
    const std::lock_guard lock(mutex_);
    return count_locked(&account);
  }

  std::size_t prepared() override {
    const std::lock_guard lock(mutex_);
    return count_locked(nullptr, SessionPhase::prepared);
  }

  std::size_t prepared(const std::string& account) override {
    const std::lock_guard lock(mutex_);
    return count_locked(&account, SessionPhase::prepared);
  }

  bool count_today(const std::string& account, std::uint64_t limit) override {
    const auto today = std::chrono::floor<std::chrono::days>(std::chrono::system_clock::now());
    const std::lock_guard lock(mutex_);
    if (today != day_) {
      day_ = today;
      opened_today_.clear();
    }
    std::uint64_t& count = opened_today_[account];
    if (count >= limit) {
      return false;
    }
    ++count;
    return true;
  }

 private:
  struct Entry {
    SessionInfo info;
    Steady::time_point deadline;
    std::unique_ptr<protocols::ServerSession> machine;  ///< empty while it is taken and when it is over
    std::string claimed_by;                             ///< of a preparation that is a session again
    bool is_being_claimed = false;                      ///< its file is read, with the lock given back
    Bytes state;  ///< of one that was claimed out of the folder, until its machine is wanted
    Sha256 running_body{};
    Sha256 last_body{};
    std::shared_ptr<const Bytes>
        last_answer;  ///< a client that sent round k has the answer to k − 1: one is enough
  };

  RoundClaim claim_locked(const std::string& id, std::uint64_t round, const Sha256& body) {
    RoundClaim claim;
    const auto found = sessions_.find(id);
    if (found == sessions_.end()) {
      return claim;
    }
    Entry& entry = found->second;
    end_if_expired(entry);
    claim.next_round = entry.info.next_round;
    claim.state = judge(entry, round, body);
    if (claim.state == RoundClaim::State::answered) {
      claim.answer = entry.last_answer;
    } else if (claim.state == RoundClaim::State::granted) {
      claim.id = id;
      claim.round = round;
      claim.body = body;
      entry.running_body = body;
      entry.info.computing = true;
    }
    return claim;
  }

  static RoundClaim::State judge(const Entry& entry, std::uint64_t round, const Sha256& body) {
    const SessionInfo& info = entry.info;
    if (info.phase == SessionPhase::gone) {
      return RoundClaim::State::gone;
    }
    if (round + 1 == info.next_round && entry.last_answer) {
      return body == entry.last_body ? RoundClaim::State::answered : RoundClaim::State::other_body;
    }
    if (round != info.next_round || info.phase == SessionPhase::finished) {
      return RoundClaim::State::out_of_order;
    }
    if (info.phase == SessionPhase::prepared) {
      return RoundClaim::State::unclaimed;
    }
    if (info.computing) {
      return body == entry.running_body ? RoundClaim::State::running : RoundClaim::State::other_body;
    }
    return RoundClaim::State::granted;
  }

  void load_kept() {
    for (PreparationFolder::Kept& kept : folder_->load()) {
      Entry& entry = sessions_[kept.info.id];
      entry.deadline = kept.deadline;
      entry.info = std::move(kept.info);
      entry.info.expires_at =
          std::chrono::system_clock::now() +
          std::chrono::duration_cast<std::chrono::system_clock::duration>(entry.deadline - options_.now());
    }
  }

  /// On the disk before its last answer leaves: until then nobody counts on it. False when the claim makes no
  /// preparation, or there is no folder.
  bool keep_if_prepared(const RoundClaim& claim, const protocols::ServerSession& machine) {
    PreparationFolder::Kept kept;
    {
      const std::lock_guard lock(mutex_);
      const auto found = sessions_.find(claim.id);
      if (!folder_ || found == sessions_.end()) return false;
      kept.info = found->second.info;
    }
    if (kept.info.claimed || kept.info.preparation_rounds != claim.round + 1) return false;
    kept.deadline = options_.now() + options_.preparation_lifetime;
    Bytes state = machine.save();
    try {
      folder_->keep(kept, state);
    } catch (const IoError&) {
      OPENSSL_cleanse(state.data(), state.size());
      erase(claim.id);
      throw Refusal(
          RefusalKind::gone, "session.not_kept",
          "The server could not keep this preparation, its disk takes no more; prepare again later");
    }
    OPENSSL_cleanse(state.data(), state.size());
    return true;
  }

  /// The state of a preparation, whose file is gone then. False when it ended meanwhile or did not open.
  bool take_out_of_folder(const std::string& id, std::unique_lock<std::mutex>& lock) {
    sessions_.at(id).is_being_claimed = true;
    lock.unlock();
    std::optional<Bytes> state;
    bool failed = false;
    try {
      state = folder_->claim(id);
    } catch (const IoError&) {
      failed = true;
    }
    lock.lock();
    Entry& entry = sessions_.at(id);
    entry.is_being_claimed = false;
    changed_.notify_all();
    if (failed) {
      throw Refusal(RefusalKind::unavailable, "server.preparation_store",
                    "The server cannot note that this preparation is used; ask again later", 5);
    }
    if (entry.info.phase == SessionPhase::gone) {
      if (state) OPENSSL_cleanse(state->data(), state->size());
      return false;
    }
    if (!state) {
      end(entry);
      return false;
    }
    entry.state = std::move(*state);
    return true;
  }

  std::unique_ptr<protocols::ServerSession> restored(const SessionInfo& info, Bytes& state) const {
    try {
      auto machine = restore_(info, state);
      OPENSSL_cleanse(state.data(), state.size());
      return machine;
    } catch (const InputError&) {
      OPENSSL_cleanse(state.data(), state.size());
      throw Refusal(RefusalKind::gone, "session.gone",
                    "This session was begun by another version of the server");
    }
  }

  static void forget_state(Entry& entry) {
    OPENSSL_cleanse(entry.state.data(), entry.state.size());
    entry.state.clear();
  }

  void remove_kept(const std::string& id) {
    try {
      folder_->remove(id);
    } catch (const IoError&) {
      // Its lifetime ends it.
    }
  }

  void touch(Entry& entry) const {
    const auto lifetime =
        entry.info.phase == SessionPhase::prepared ? options_.preparation_lifetime : options_.lifetime;
    entry.deadline = options_.now() + lifetime;
    entry.info.expires_at = std::chrono::system_clock::now() + lifetime;
  }

  bool end_if_expired(Entry& entry) {
    const bool late = entry.deadline < options_.now();
    const bool over = late && entry.info.phase != SessionPhase::gone && !entry.info.computing;
    if (over) {
      end(entry);
    }
    return over;
  }

  void end(Entry& entry) {
    if (folder_ && entry.info.phase == SessionPhase::prepared) remove_kept(entry.info.id);
    forget_state(entry);
    entry.info.phase = SessionPhase::gone;
    entry.info.computing = false;
    entry.machine.reset();
    entry.last_answer.reset();
    ended_.emplace_back(entry.info.id, options_.now());
  }

  std::size_t count_locked(const std::string* account, SessionPhase phase = SessionPhase::active) const {
    return count_if_locked(account, [phase](const SessionInfo& info) { return info.phase == phase; });
  }

  std::size_t count_if_locked(const std::string* account, const auto& counts) const {
    return static_cast<std::size_t>(std::count_if(sessions_.begin(), sessions_.end(), [&](const auto& item) {
      const SessionInfo& info = item.second.info;
      return counts(info) && (account == nullptr || info.account == *account);
    }));
  }

  void refuse_more_preparations(const SessionInfo& wanted) const {
    const auto is_one = [](const SessionInfo& info) {
      const bool being_made =
          info.phase == SessionPhase::active && info.preparation_rounds > 0 && !info.claimed;
      return being_made || info.phase == SessionPhase::prepared;
    };
    if (count_if_locked(nullptr, is_one) >= options_.max_preparations) refuse_preparation();
    const std::size_t limit = wanted.preparation_limit;
    if (limit != 0 && count_if_locked(&wanted.account, is_one) >= limit) refuse_account_preparations();
  }

  const SessionStoreOptions options_;
  const std::unique_ptr<PreparationFolder> folder_;  ///< null = preparations are in memory as all sessions
  const SessionRestorer restore_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, Entry> sessions_;
  std::deque<std::pair<std::string, Steady::time_point>> ended_;  ///< oldest first
  std::chrono::sys_days day_;
  std::map<std::string, std::uint64_t> opened_today_;  ///< by account
};

}  // namespace

std::unique_ptr<LocalSessionStore> make_memory_session_store(SessionStoreOptions options,
                                                             std::unique_ptr<PreparationFolder> folder,
                                                             SessionRestorer restore) {
  return std::make_unique<MemorySessionStore>(std::move(options), std::move(folder), std::move(restore));
}

}  // namespace popcorn::service
