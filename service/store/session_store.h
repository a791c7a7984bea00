// Where sessions live between their rounds, and the rule that a round is answered for one body only.
//
//   claim(id, k, body) ─► granted: take() ─► compute ─► commit(answer)   the answer of round k is now fixed
//                     │                            └─► abandon()        nothing was answered: k is open again
//                     ├─► answered: the same body again: the same answer again
//                     ├─► running: the same body is being computed; claim_or_wait()
//                     └─► other_body, out_of_order, gone, unknown
//
// The masks of a round must never be drawn for two different bodies: the difference of two answers would show
// what the masks hide. A claim therefore binds the round to the digest of its body before anything is
// computed, and only an answer that commit() has stored may leave the server.
//
// A *preparation* is a session for a stock whose rounds without the input are all answered. It lives for
// long, counts in limits of its own, and takes no further round until claim_preparation() has made a session
// of it again, once: for one name, whoever says it first.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/sha256.h"
#include "protocols/session/session.h"

namespace popcorn::service {

enum class SessionPhase { active, prepared, finished, gone };

struct SessionInfo {
  std::string id;
  std::string model, config_id, key_id;
  std::string caller;             ///< who opened it; to all others it does not exist
  std::string account;            ///< whose limits it counts in; known to who opens it only
  std::size_t account_limit = 0;  ///< sessions at once of the account; 0 = any number. Likewise
  std::uint64_t rounds = 0;
  /// Of a session for a stock: the rounds that make a preparation. 0 = the session is for an input that is
  /// here.
  std::uint64_t preparation_rounds = 0;
  std::size_t preparation_limit = 0;  ///< preparations of the account, those being made too; 0 = any number
  bool claimed = false;               ///< a preparation that was made a session again
  std::uint64_t next_round = 0;
  std::vector<std::size_t> round_limits;  ///< largest body of each round
  std::size_t ciphertext_bytes = 1;
  std::string engine = protocols::kDefaultEngine;
  std::string transfer_set_up;  ///< name of the set-up that the session resumes; empty = it makes its own
  Bytes public_key;             ///< serialised, so that another process needs no registration to go on
  std::chrono::system_clock::time_point expires_at;
  SessionPhase phase = SessionPhase::active;
  bool computing = false;
};

struct RoundClaim {
  /// unclaimed: the round is the next one of a preparation
  enum class State { granted, answered, running, other_body, out_of_order, unclaimed, gone, unknown };
  State state = State::unknown;
  std::uint64_t next_round = 0;
  std::shared_ptr<const Bytes> answer{};  ///< answered
  std::string id{};                       ///< granted: of the session
  std::uint64_t round = 0;                ///< granted
  Sha256 body{};                          ///< granted
  std::string token{};                    ///< granted: names this claim to a store that several processes use
};

/// Thread-safe.
/// @throws Refusal unavailable "server.store" from all but abandon(), sweep() and active() when a store
/// outside of the process does not answer
class SessionStore {
 public:
  virtual ~SessionStore() = default;

  /// `info.expires_at` is set here. The limits are judged and the session counted in one piece.
  /// @throws Refusal unavailable "server.sessions", "server.preparations" when the store is full; over_limit
  /// "caller.sessions", "caller.preparations" when the account has as many as it may
  virtual SessionInfo create(SessionInfo info, std::unique_ptr<protocols::ServerSession> machine) = 0;
  /// Nothing when the id was never given out; phase `gone` when the session is over.
  virtual std::optional<SessionInfo> find(const std::string& id) = 0;
  virtual RoundClaim claim(const std::string& id, std::uint64_t round, const Sha256& body) = 0;
  /// Like claim(), but waits until the deadline while the state is `running`.
  virtual RoundClaim claim_or_wait(const std::string& id, std::uint64_t round, const Sha256& body,
                                   std::chrono::steady_clock::time_point deadline) = 0;
  /// The answer of a round without its body: `answered`, `running`, or `out_of_order` when there is neither.
  virtual RoundClaim peek(const std::string& id, std::uint64_t round) = 0;
  /// The machine of a granted claim, once: give it back with commit() or abandon(). May take seconds.
  virtual std::unique_ptr<protocols::ServerSession> take(const RoundClaim& claim) = 0;
  /// Gives the answer that counts; nothing when the session ended meanwhile. @throws Refusal unavailable
  /// "round.lost" when another process took the round over
  virtual std::shared_ptr<const Bytes> commit(const RoundClaim& claim, std::shared_ptr<const Bytes> answer,
                                              std::unique_ptr<protocols::ServerSession> machine) = 0;
  /// Ends a granted claim without an answer; `machine` is null when it was not taken.
  virtual void abandon(const RoundClaim& claim, std::unique_ptr<protocols::ServerSession> machine) = 0;
  /// Ends the session whose machine is of no use any more. Where that cannot be noted now, the round stays
  /// claimed: no other body is ever taken for it.
  virtual void end(const RoundClaim& claim) = 0;
  enum class PreparationClaim {
    granted,       ///< the preparation is a session again; the same name again gives the same
    other_name,    ///< it is somebody else's, or its claimer forgot the name
    not_prepared,  ///< it is none, or not all of its rounds are answered
    gone,
    unknown
  };
  /// Once: what was claimed is never a preparation again. @param name random, of the claimer's choice
  virtual PreparationClaim claim_preparation(const std::string& id, const std::string& name) = 0;
  /// False when there was nothing to end.
  virtual bool erase(const std::string& id) = 0;
  /// Ends what is past its lifetime and gives how many of them had not finished.
  virtual std::size_t sweep() = 0;
  /// Sessions that have not ended; of one account or of all.
  virtual std::size_t active() = 0;
  virtual std::size_t active(const std::string& account) = 0;
  /// Preparations, without those that are being made; of one account or of all.
  virtual std::size_t prepared() = 0;
  virtual std::size_t prepared(const std::string& account) = 0;
  /// Counts one more session of the account since midnight UTC; false (and not counted) when that would
  /// exceed `limit`.
  virtual bool count_today(const std::string& account, std::uint64_t limit) = 0;
  /// Whether the store answers: for readiness. Asks at most once a second.
  virtual bool reachable() { return true; }
  /// Active sessions that end with this process: all, unless others can go on with them.
  virtual std::size_t bound_to_process() { return active(); }
  /// True when sessions outlive this process and others can go on with them.
  virtual bool shared() const noexcept { return false; }
};

struct SessionStoreOptions {
  std::size_t max_sessions = 64;
  std::chrono::milliseconds lifetime{600'000};  ///< since the last round
  std::size_t max_preparations = 256;
  std::chrono::milliseconds preparation_lifetime{86'400'000};  ///< since the last round of the preparation
  /// What lifetimes are measured by; of the store in memory, called with its lock held.
  std::function<std::chrono::steady_clock::time_point()> now = &std::chrono::steady_clock::now;
};

/// The store of one process.
class LocalSessionStore : public SessionStore {
 public:
  /// Takes over a session whose rounds up to `last` were answered in another store.
  virtual void adopt(SessionInfo info, std::unique_ptr<protocols::ServerSession> machine,
                     const RoundClaim& last, std::shared_ptr<const Bytes> answer) = 0;
};

class PreparationFolder;

/// Makes a session's machine from what was saved of it. May take seconds.
using SessionRestorer =
    std::function<std::unique_ptr<protocols::ServerSession>(const SessionInfo& session, ByteView state)>;

/// @param folder where preparations are kept, so that they outlive the process; null = in memory too. A disk
/// that takes no more: Refusal unavailable "server.preparation_store" from commit(), which ends the session,
/// and from claim_preparation(), which leaves it as it was
/// @param restore for those of the folder
std::unique_ptr<LocalSessionStore> make_memory_session_store(
    SessionStoreOptions options, std::unique_ptr<PreparationFolder> folder = nullptr,
    SessionRestorer restore = nullptr);

}  // namespace popcorn::service
