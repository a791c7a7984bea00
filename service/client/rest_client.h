// The client of the REST service: transport around protocols::ClientSession.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "paillier/keys/key_owner.h"
#include "protocols/session/session.h"
#include "service/client/kept_set_ups.h"
#include "service/client/stock.h"

namespace popcorn::service {

struct ClientOptions {
  unsigned connect_timeout_seconds = 10;
  unsigned round_timeout_seconds = 600;  ///< a round of a large network takes minutes
  std::string engine;                    ///< empty = the server's preference
  std::string sign_test;                 ///< likewise
  std::string output = "logits";
  /// How long to keep trying when the server is busy or goes away: before a session is open, and in the
  /// middle of one, where more work would be lost.
  unsigned retry_seconds = 8;
  unsigned round_retry_seconds = 120;
  std::string token;    ///< sent as "Authorization: Bearer"; empty = none
  std::string ca_file;  ///< PEM of the authorities to trust for https; empty = the system's
  std::string client_certificate_file, client_key_file;  ///< PEM, for servers that ask for a certificate
  bool verify_certificate = true;
  /// Where set-ups of transfers are kept for later inferences under the same key; null = with the Client
  std::shared_ptr<KeptSetUps> set_ups = nullptr;
  /// Where infer() keeps its session from the first answer on, readable for the owner alone, and takes it up
  /// again when the file is there: the same server, model, key and input are then required. Removed at the
  /// end. Empty = not kept.
  std::string session_file;
  /// Preparations that infer() takes from, of this server and model, before it does anything else; null =
  /// none
  std::shared_ptr<const Stock> stock = nullptr;
  /// Sentences for a person: a preparation that the server does not know any more
  std::function<void(const std::string& sentence)> note = [](const std::string&) {};
  /// Set it (from a signal handler) to end: the session is deleted, unless it was kept in a file.
  const std::atomic<bool>* cancel = nullptr;
};

struct InferenceResult {
  WideVector logits;
  std::string engine;
  double seconds = 0;  ///< wall, from the first byte encrypted, or the look into the stock, to the logits
  double client_seconds = 0;   ///< of it: encryption, decryption, sign tests at the client
  double encrypt_seconds = 0;  ///< of it: the input's encryption
  double offline_seconds = 0;  ///< not of it: randomness prepared while the server computed
  std::uint64_t prepared = 0;  ///< encryptions whose randomness was prepared so
  protocols::ClientPhases phases;
  std::uint64_t bytes_up = 0, bytes_down = 0;  ///< message bodies
  std::uint64_t rounds = 0;
  /// Of them, what did not depend on the input; 0 for an engine that prepares nothing.
  std::uint64_t preparation_rounds = 0, preparation_bytes_up = 0, preparation_bytes_down = 0;
  std::uint64_t retries = 0;       ///< requests that had to be sent again
  std::uint64_t restarts = 0;      ///< sessions that ended with their server before this one
  bool resumed = false;            ///< with the transfers' set-up of an earlier inference
  bool from_stock = false;         ///< what is counted here is the online phase alone
  std::uint64_t continued_at = 0;  ///< round at which a kept session was taken up; 0 = a new one
};

/// Called before each exchange: rounds done, rounds in all, name of the step.
using Progress = std::function<void(std::uint64_t done, std::uint64_t rounds, const std::string& step)>;

class Client {
 public:
  /// @param url "http://host:port" or "https://host[:port]", with a path before /v2 if wanted. The
  /// environment's HTTPS_PROXY, HTTP_PROXY and NO_PROXY count. @throws UsageError "client.url",
  /// "client.proxy"
  explicit Client(const std::string& url, ClientOptions options = {});
  ~Client();

  /// Of the server, as files of this client name it.
  const std::string& url() const noexcept;
  /// Names of the models served. @throws NetworkError, AuthError, RefusedError
  std::vector<std::string> models();
  /// @throws RefusedError "model.not_found" that lists what is served
  protocols::ClientBundle bundle(const std::string& model);
  /// Registers the public key (idempotent), opens a session, runs all rounds. Requests that fail for a reason
  /// that may pass are repeated: a round with the same body has the same answer.
  /// A session of an engine that keeps none begins anew when its server is gone, kMostRestarts times: with
  /// another preparation (of the stock, or made now), so that nothing is used twice. Figures are the last
  /// session's. Bytes and rounds of a session that was taken up count from its beginning, times do not.
  /// @throws NetworkError when the server goes away, AuthError, RefusedError, InputError, Error
  /// "interrupted"; InputError "session_file.*", "session_state.*" for a kept session that is another's
  InferenceResult infer(const protocols::ClientBundle& bundle,
                        std::shared_ptr<const paillier::KeyOwner> owner, const WideVector& input,
                        const Progress& progress = {});
  /// One preparation for later: registers the public key, opens a session for a stock and runs the rounds
  /// that need no input. @throws as infer(); RefusedError "session.preparation" for an engine without such
  /// rounds
  Preparation prepare(const protocols::ClientBundle& bundle, std::shared_ptr<const paillier::KeyOwner> owner,
                      const Progress& progress = {});

  /// Tells the server that nobody will use it. Best effort.
  void forget(const PreparationFacts& facts);

  static constexpr std::uint64_t kMostRestarts = 4;

 private:
  struct State;
  Preparation prepare_once(const protocols::ClientBundle& bundle,
                           const std::shared_ptr<const paillier::KeyOwner>& owner,
                           protocols::SessionOptions session_options, const Progress& progress);
  InferenceResult run_session(const protocols::ClientBundle& bundle,
                              const std::shared_ptr<const paillier::KeyOwner>& owner, const WideVector& input,
                              const Progress& progress);
  std::unique_ptr<State> state_;
};

}  // namespace popcorn::service
