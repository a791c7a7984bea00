#include "service/client/rest_client.h"

#include <openssl/crypto.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <ctime>
#include <filesystem>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/sha256.h"
#include "protocols/engines.h"
#include "protocols/ot/failed_check.h"
#include "service/client/session_file.h"
#include "service/http/http_exchange.h"
#include "service/jobs/idle_preparation.h"

namespace popcorn::service {
namespace {

using Steady = std::chrono::steady_clock;

/// A session that no other server can go on with went away with its own.
class SessionLost : public RefusedError {
 public:
  using RefusedError::RefusedError;
};

bool says_session_is_over(const RefusedError& error) {
  return error.code() == "session.gone" || error.code() == "session.not_found";
}

constexpr const char* kJson = "application/json";
constexpr const char* kRound = "application/vnd.popcorn+octet-stream";
constexpr std::size_t kMaxSentence = 600;
constexpr std::chrono::milliseconds kFirstPause{100};
constexpr std::chrono::milliseconds kLongestPause{5000};
constexpr std::chrono::milliseconds kCancelPoll{100};

double seconds_since(Steady::time_point start) {
  return std::chrono::duration<double>(Steady::now() - start).count();
}

Sha256 digest_of(const WideVector& input) {
  Bytes bytes;
  ByteWriter out(bytes);
  for (const std::uint64_t word : input.words()) {
    out.u64(word);
  }
  return sha256(bytes);
}

std::string_view text_of(const Bytes& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// A server's text may end on a terminal: no control characters, no novels.
std::string harmless(std::string text) {
  std::replace_if(
      text.begin(), text.end(),
      [](char c) { return static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) == 0x7f; },
      ' ');
  if (text.size() > kMaxSentence) {
    text.resize(kMaxSentence);
  }
  return text;
}

bool is_code(const std::string& text) {
  return !text.empty() && text.size() <= 64 &&
         text.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789._") == std::string::npos;
}

std::string text_field(const nlohmann::json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

nlohmann::json parse_answer(const ClientAnswer& answer) {
  Json object;
  read_json(text_of(answer.body), object);
  return object.is_object() ? object : Json::object();
}

bool may_pass(int status) {
  return status == 408 || status == 429 || status == 502 || status == 503 || status == 504;
}

/// What an answer without Popcorn's explanation most likely means: something between client and server gave
/// it.
std::string likely_cause(const ClientAnswer& answer) {
  const std::string status = "HTTP status " + std::to_string(answer.status);
  switch (answer.status) {
    case 301:
    case 302:
    case 307:
    case 308:
      return "the answer points elsewhere (" + status + "), to " +
             (answer.location.empty() ? std::string("no address") : harmless(answer.location)) +
             "; give the address there as --server, up to what stands before /v2";
    case 401:
      return "something in front of the server wants a login (" + status +
             "); is it a proxy with a password of its own?";
    case 403:
      return "something in front of the server refuses this client (" + status + ")";
    case 404:
      return "nothing is there (" + status + "); is the path before /v2 right, and is it a Popcorn server?";
    case 407:
      return "the proxy wants a login (" + status + "); put user and password into HTTPS_PROXY or HTTP_PROXY";
    case 413:
      return "a proxy in front of the server limits the size of requests (" + status +
             "); its operator must raise that (nginx: client_max_body_size 0)";
    case 429:
      return "something in front of the server limits requests (" + status + "); try again later";
    case 502:
    case 504:
      return "a proxy answers, but does not reach the Popcorn server behind it (" + status +
             "); is that running?";
    case 503:
      return "something in front of the server says that it is not available (" + status + ")";
    default:
      return "answered with " + status + " and no explanation; is it a Popcorn server?";
  }
}

[[noreturn]] void throw_refusal(const ClientAnswer& answer, const std::string& url) {
  const nlohmann::json object = parse_answer(answer);
  std::string code = text_field(object, "code");
  std::string sentence = harmless(text_field(object, "error"));
  if (!is_code(code)) {
    code = "server.status_" + std::to_string(answer.status);
  }
  if (sentence.empty()) {
    sentence = likely_cause(answer);
  }
  sentence = url + ": " + sentence;
  switch (answer.status) {
    case 401:
    case 403:
      throw AuthError(code, sentence);
    case 400:
    case 409:
    case 411:
    case 413:
    case 415:
    case 422:
      throw InputError(code, sentence);
    case 408:
    case 502:
    case 504:
      throw NetworkError(code, sentence);
    default:
      throw RefusedError(code, sentence);
  }
}

/// Looks at the caller's flag while requests wait, and interrupts them.
class CancelWatch {
 public:
  CancelWatch(const std::atomic<bool>* flag, HttpExchange& http) : flag_(flag) {
    if (flag_ != nullptr) {
      thread_ = std::thread([this, &http] { watch(http); });
    }
  }
  ~CancelWatch() {
    {
      const std::lock_guard lock(mutex_);
      done_ = true;
    }
    wake_.notify_all();
    if (thread_.joinable()) {
      thread_.join();
    }
  }

 private:
  void watch(HttpExchange& http) {
    std::unique_lock lock(mutex_);
    // A signal handler can set a flag but notify nobody.
    while (!wake_.wait_for(lock, kCancelPoll, [this] { return done_; })) {
      if (*flag_) {
        http.interrupt();
      }
    }
  }

  const std::atomic<bool>* flag_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool done_ = false;
  std::thread thread_;
};

}  // namespace

struct Client::State {
  State(const std::string& url, ClientOptions given)
      : options(std::move(given)),
        endpoint(Endpoint::parse(url)),
        http(endpoint, options),
        set_ups(options.set_ups ? options.set_ups : std::make_shared<KeptSetUps>()) {}

  bool cancelled() const { return options.cancel != nullptr && *options.cancel; }
  void check_cancelled() const {
    if (cancelled()) {
      throw Error("interrupted", "Interrupted", 130);
    }
  }

  /// One request, repeated while the reason may pass. Gives answers with status < 300 only.
  ClientAnswer call(const ClientRequest& request) { return call(request, 0, options.retry_seconds); }

  ClientAnswer call(const ClientRequest& request, int wanted_status, unsigned patience_seconds) {
    const auto start = Steady::now();
    for (auto pause = kFirstPause;; pause = std::min(2 * pause, kLongestPause)) {
      std::optional<ClientAnswer> answer;
      std::exception_ptr failure;
      try {
        check_cancelled();
        answer = http.send(request);
        reached = true;
      } catch (const NetworkError&) {
        failure = std::current_exception();
      }
      if (answer && answer->status < 300) {
        if (wanted_status != 0 && answer->status != wanted_status) {
          throw NetworkError("network.unexpected", endpoint.url + " answered with HTTP status " +
                                                       std::to_string(answer->status) +
                                                       "; is it a Popcorn server?");
        }
        return std::move(*answer);
      }
      // Half of it by chance, so that clients that were interrupted together do not come back together.
      auto wait = pause / 2 + std::chrono::milliseconds(
                                  system_rng().below(static_cast<std::uint64_t>(pause.count() / 2) + 1));
      if (answer) {
        wait = std::max(wait, std::chrono::milliseconds(1000 * answer->retry_after_seconds));
      }
      // A server that was never there is more likely a mistyped address than one that restarts.
      const bool worth_it = answer ? may_pass(answer->status) : reached;
      const bool in_time = Steady::now() + wait - start <= std::chrono::seconds(patience_seconds);
      if (!worth_it || !in_time) {
        if (failure) {
          std::rethrow_exception(failure);
        }
        throw_refusal(*answer, endpoint.url);
      }
      ++retries;
      pause_for(wait);
    }
  }

  void pause_for(std::chrono::milliseconds wait) const {
    const auto end = Steady::now() + wait;
    while (!cancelled() && Steady::now() < end) {
      std::this_thread::sleep_for(std::min<Steady::duration>(kCancelPoll, end - Steady::now()));
    }
  }

  /// Every answer of a Popcorn server to such a request is JSON.
  ClientAnswer call_for_json(const ClientRequest& request) {
    ClientAnswer answer = call(request);
    const std::string_view text = text_of(answer.body);
    const std::size_t first = text.find_first_not_of(" \t\r\n");
    if (first == std::string_view::npos || text[first] != '{') {
      const bool page = answer.content_type.starts_with("text/html") ||
                        (first != std::string_view::npos && text[first] == '<');
      throw NetworkError("network.unexpected",
                         endpoint.url + " answered with " +
                             (page ? "a web page" : "something that is not JSON") +
                             ": this is not a Popcorn server, or a proxy or login page stands before it");
    }
    return answer;
  }
  nlohmann::json call_json(const ClientRequest& request) { return parse_answer(call_for_json(request)); }

  void register_key(const paillier::PublicKey& key) {
    const std::string body = key.to_json();
    ClientRequest request{"POST", "/v2/keys", kJson, as_bytes(body)};
    request.what = "the registration of the key";
    call(request);
  }

  static nlohmann::json session_request(const protocols::ClientBundle& bundle, const paillier::PublicKey& key,
                                        const protocols::SessionOptions& session) {
    nlohmann::json wanted = {
        {"key_id", to_hex(key.fingerprint())}, {"config_id", bundle.config_id}, {"output", session.output}};
    if (session.engine != protocols::kDefaultEngine) {  // older servers know no other and not the field
      wanted["engine"] = session.engine;
    }
    if (!bundle.sign_tests.empty()) {
      wanted["sign_test"] = session.sign_test;
    }
    if (session.transfer_set_up) {
      wanted["sign_test_state"] = to_hex(session.transfer_set_up->id());
    }
    return wanted;
  }

  /// Forgets the set-up in `session` when the server does not know it. @param kind "sessions", "preparations"
  std::string open_session(const protocols::ClientBundle& bundle, const paillier::PublicKey& key,
                           protocols::SessionOptions& session, const char* kind) {
    const std::string body = session_request(bundle, key, session).dump();
    ClientRequest request{"POST", "/v2/models/" + bundle.model + "/" + kind, kJson, as_bytes(body)};
    request.timeout_seconds = options.round_timeout_seconds;
    request.what = "the start of the session";
    const nlohmann::json opened = call_json(request);
    if (session.transfer_set_up &&
        text_field(opened, "sign_test_state") != to_hex(session.transfer_set_up->id())) {
      set_ups->forget(endpoint.url, key.fingerprint());
      session.transfer_set_up = nullptr;
    }
    const std::string id = text_field(opened, "session_id");
    if (id.empty() || id.size() > 128 ||
        id.find_first_not_of("0123456789abcdefABCDEF-") != std::string::npos) {
      throw NetworkError("network.unexpected", endpoint.url + " gave no session; is it a Popcorn server?");
    }
    return id;
  }

  std::string register_and_open(const protocols::ClientBundle& bundle, const paillier::PublicKey& key,
                                protocols::SessionOptions& session, const char* kind = "sessions") {
    register_key(key);
    try {
      return open_session(bundle, key, session, kind);
    } catch (const RefusedError& error) {
      if (error.code() != "key.not_found") {
        throw;
      }
    }
    // Another client's key took its place in between.
    register_key(key);
    return open_session(bundle, key, session, kind);
  }

  std::chrono::sys_seconds expiry_of(const std::string& id) {
    const nlohmann::json told = call_json({"GET", "/v2/preparations/" + id, "", {}});
    const std::string text = text_field(told, "expires_at");
    std::tm parts{};
    const char* end = ::strptime(text.c_str(), "%Y-%m-%dT%H:%M:%S", &parts);
    if (text_field(told, "state") != "prepared" || end == nullptr) {
      throw NetworkError("network.unexpected", endpoint.url + " did not say how long it keeps a preparation");
    }
    return std::chrono::sys_seconds(std::chrono::seconds(::timegm(&parts)));
  }

  /// The first preparation of the stock that the server still has, claimed.
  std::optional<Preparation> claimed_preparation(const protocols::ClientBundle& bundle) {
    if (!options.stock) return std::nullopt;
    while (std::optional<Preparation> taken = options.stock->take(endpoint.url, bundle.config_id)) {
      try {
        claim(taken->facts.id);
        return taken;
      } catch (const RefusedError& error) {
        if (!says_session_is_over(error)) throw;
        options.note("a preparation of the stock was dropped: " + std::string(error.what()));
      } catch (const InputError& error) {
        if (!error.code().starts_with("preparation.")) throw;
        options.note("a preparation of the stock was dropped: " + std::string(error.what()));
      }
      options.stock->forget(taken->facts);
      OPENSSL_cleanse(taken->session.data(), taken->session.size());
    }
    options.note("the stock has no preparation for " + bundle.model + " as " + endpoint.url +
                 " serves it now: all rounds are run" + unusable());
    return std::nullopt;
  }

  /// What stands in the stock's way, as the end of a sentence.
  std::string unusable() const {
    std::size_t count = 0;
    std::string problem;
    for (const Stock::Listed& one : options.stock->list()) {
      if (one.problem.empty()) continue;
      ++count;
      problem = one.problem;
    }
    return count == 0 ? "" : "; " + std::to_string(count) + " of its files cannot be used (" + problem + ")";
  }

  /// Without data: until the server has granted it, nothing of an input leaves.
  void claim(const std::string& id) {
    Bytes name(16);
    system_rng().fill(name);
    const std::string body = nlohmann::json{{"claim", to_hex(name)}}.dump();
    ClientRequest request{"POST", "/v2/preparations/" + id + "/claim", kJson, as_bytes(body)};
    request.what = "the claim of a preparation";
    call_json(request);
  }

  /// Best effort, over a connection of its own since the other one may be interrupted or dead.
  void delete_session(const std::string& id) {
    try {
      ClientOptions brief = options;
      brief.connect_timeout_seconds = 2;
      HttpExchange fresh(endpoint, brief);
      ClientRequest request{"DELETE", "/v2/sessions/" + id, "", {}};
      request.timeout_seconds = 3;
      fresh.send(request);
    } catch (const std::exception&) {
      // The session ends by itself when its lifetime is over.
    }
  }

  /// Sends a round's message and takes its answer; gives the bytes of the answer. The session begins with it
  /// while it arrives, and again when it has to be sent again: it is the same then.
  std::uint64_t run_round(const std::string& id, protocols::ClientSession& session, ByteView message,
                          const AnswerReceiver& receiver) {
    ClientRequest request{"POST", "/v2/sessions/" + id + "/rounds/" + std::to_string(session.round()), kRound,
                          message};
    request.max_answer_bytes = std::max(session.max_message_bytes(), kMaxErrorBytes);
    request.timeout_seconds = options.round_timeout_seconds;
    request.receiver = &receiver;
    request.what = "round " + std::to_string(session.round() + 1) + " of " +
                   std::to_string(session.rounds()) + " (" + session.step_name() + ")";
    const ClientAnswer answer = call(request, 200, options.round_retry_seconds);
    if (answer.content_type != kRound) {
      throw NetworkError(
          "network.unexpected",
          endpoint.url + " answered a round with another type of content; is it a Popcorn server?");
    }
    return answer.body_bytes;
  }

  /// For a session that has a use for it. Of options that the model does not offer the server says so itself.
  std::shared_ptr<const protocols::ot::KeptSetUp> kept_set_up(const protocols::ClientBundle& bundle,
                                                              const protocols::SessionOptions& session,
                                                              const Sha256& key) const {
    try {
      const protocols::Engine& engine = protocols::accepted_engine(bundle, session);
      return engine.uses_transfers(bundle, session) ? set_ups->find(endpoint.url, key) : nullptr;
    } catch (const RefusedError&) {
      return nullptr;
    }
  }

  /// What is kept of an earlier call with the same input, or nothing.
  std::optional<KeptSession> kept_session(const Sha256& input) const {
    if (options.session_file.empty()) {
      return std::nullopt;
    }
    std::optional<KeptSession> kept = read_session_file(options.session_file);
    if (kept && kept->server != endpoint.url) {
      throw InputError("session_file.server", options.session_file + " holds a session with " +
                                                  harmless(kept->server) + ", not with " + endpoint.url);
    }
    if (kept && kept->input != input) {
      throw InputError("session_file.input", options.session_file + " holds a session on another input");
    }
    return kept;
  }

  void keep_session(const std::string& id, const Sha256& input, const protocols::ClientSession& session,
                    const InferenceResult& result) const {
    if (options.session_file.empty() || session.finished()) {
      return;
    }
    if (!session.can_be_kept()) {
      // What is in the file is of a round that is over. Gone for good before the next message leaves: an
      // online phase that began twice would show the server how the two differ.
      remove_file(options.session_file);
      return;
    }
    KeptSession kept{endpoint.url,  id, input, result.rounds, result.bytes_up, result.bytes_down,
                     session.save()};
    write_session_file(options.session_file, kept);
    OPENSSL_cleanse(kept.session.data(), kept.session.size());
  }

  /// After a failed check: nothing of the session is of use any more, at neither side.
  void forget_set_up(const Sha256& key, const std::string& id) {
    set_ups->forget(endpoint.url, key);
    forget_session();
    delete_session(id);
  }

  void forget_session() const {
    std::error_code ignored;
    if (!options.session_file.empty()) {
      std::filesystem::remove(options.session_file, ignored);
    }
  }

  /// A session that the server does not know any more cannot be taken up by another call either.
  [[noreturn]] void give_up_kept(const RefusedError& error) const {
    forget_session();
    throw RefusedError(error.code(), std::string(error.what()) + "; " + options.session_file +
                                         " was removed, start the inference again");
  }

  void run_rounds(const std::string& id, protocols::ClientSession& session, IdlePreparation& preparation,
                  const std::function<void()>& after_answer, InferenceResult& result,
                  const Progress& progress) {
    auto own_work = Steady::now();
    const AnswerReceiver receiver{kRound,
                                  [&] {
                                    preparation.stop();
                                    session.begin_answer();
                                  },
                                  [&](ByteView piece) {
                                    const auto begun = Steady::now();
                                    session.take_answer(piece);
                                    result.client_seconds += seconds_since(begun);
                                  }};
    std::optional<ByteView> message = session.round() == 0 ? session.start() : session.message();
    result.encrypt_seconds = seconds_since(own_work);
    result.client_seconds = result.encrypt_seconds;
    while (message) {
      check_cancelled();
      if (progress) {
        progress(session.round(), session.rounds(), session.step_name());
      }
      preparation.start();
      const std::uint64_t answer_bytes = run_round(id, session, *message, receiver);
      result.bytes_up += message->size();
      result.bytes_down += answer_bytes;
      ++result.rounds;
      if (session.round() < session.preparation_rounds()) {
        ++result.preparation_rounds;
        result.preparation_bytes_up += message->size();
        result.preparation_bytes_down += answer_bytes;
      }
      own_work = Steady::now();
      message = session.finish_answer();
      result.client_seconds += seconds_since(own_work);
      after_answer();
    }
    if (session.finished()) result.logits = session.logits();
    result.phases = session.phases();
  }

  /// The online phase of a preparation that was claimed. Whatever happens, it is used.
  InferenceResult run_prepared(const protocols::ClientBundle& bundle,
                               const std::shared_ptr<const paillier::KeyOwner>& owner, Preparation& taken,
                               const WideVector& input, const Progress& progress) {
    InferenceResult result;
    result.engine = taken.facts.engine;
    result.from_stock = true;
    const std::uint64_t retries_before = retries;
    try {
      const auto session = protocols::ClientSession::restore(bundle, owner, taken.session);
      OPENSSL_cleanse(taken.session.data(), taken.session.size());
      session->provide(input);
      IdlePreparation preparation(owner, 0);
      run_rounds(
          taken.facts.id, *session, preparation, [] {}, result, progress);
    } catch (const RefusedError& error) {
      options.stock->forget(taken.facts);
      if (says_session_is_over(error)) throw SessionLost(error.code(), error.what());
      delete_session(taken.facts.id);
      throw;
    } catch (...) {
      options.stock->forget(taken.facts);
      delete_session(taken.facts.id);
      throw;
    }
    options.stock->forget(taken.facts);
    result.retries = retries - retries_before;
    return result;
  }

  static constexpr std::size_t kMaxErrorBytes = 65536;

  const ClientOptions options;
  const Endpoint endpoint;
  HttpExchange http;
  const std::shared_ptr<KeptSetUps> set_ups;
  bool reached = false;  ///< the server has answered at least once
  std::uint64_t retries = 0;
};

Client::Client(const std::string& url, ClientOptions options)
    : state_(std::make_unique<State>(url, std::move(options))) {}

Client::~Client() = default;

const std::string& Client::url() const noexcept {
  return state_->endpoint.url;
}

std::vector<std::string> Client::models() {
  const CancelWatch watch(state_->options.cancel, state_->http);
  const nlohmann::json answer = state_->call_json({"GET", "/v2/models", "", {}});
  std::vector<std::string> names;
  const auto models = answer.find("models");
  if (models == answer.end() || !models->is_array()) {
    throw NetworkError("network.unexpected",
                       state_->endpoint.url + " lists no models; is it a Popcorn server?");
  }
  for (const auto& model : *models) {
    names.push_back(harmless(model.is_object() ? text_field(model, "name") : std::string()));
  }
  return names;
}

protocols::ClientBundle Client::bundle(const std::string& model) {
  constexpr std::string_view kAllowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
  if (model.empty() || model.find_first_not_of(kAllowed) != std::string::npos) {
    // No server can serve it, but the person who mistyped it wants to know what this one does serve.
    std::string served;
    for (const std::string& name : models()) {
      served += (served.empty() ? "" : ", ") + name;
    }
    throw RefusedError("model.not_found",
                       state_->endpoint.url + ": There is no model of that name here; served: " + served);
  }
  const CancelWatch watch(state_->options.cancel, state_->http);
  const std::string& engine = state_->options.engine;
  const std::string path = "/v2/models/" + model + "/client" + (engine.empty() ? "" : "?engine=" + engine);
  return protocols::bundle_from_json(text_of(state_->call_for_json({"GET", path, "", {}}).body));
}

InferenceResult Client::infer(const protocols::ClientBundle& bundle,
                              std::shared_ptr<const paillier::KeyOwner> owner, const WideVector& input,
                              const Progress& progress) {
  const CancelWatch watch(state_->options.cancel, state_->http);
  for (std::uint64_t restarts = 0;; ++restarts) {
    try {
      InferenceResult result = run_session(bundle, owner, input, progress);
      result.restarts = restarts;
      return result;
    } catch (const SessionLost& lost) {
      if (restarts == kMostRestarts) throw RefusedError(lost.code(), lost.what());
    }
  }
}

InferenceResult Client::run_session(const protocols::ClientBundle& bundle,
                                    const std::shared_ptr<const paillier::KeyOwner>& owner,
                                    const WideVector& input, const Progress& progress) {
  protocols::SessionOptions session_options;
  session_options.output = state_->options.output;
  session_options.engine = protocols::chosen_of(state_->options.engine, bundle.engines);
  session_options.sign_test = protocols::chosen_of(state_->options.sign_test, bundle.sign_tests);
  const auto asked = Steady::now();
  if (auto taken = state_->claimed_preparation(bundle)) {
    InferenceResult answer = state_->run_prepared(bundle, owner, *taken, input, progress);
    answer.seconds = seconds_since(asked);
    return answer;
  }
  const Sha256& key = owner->public_key().fingerprint();
  const Sha256 digest = digest_of(input);
  const std::optional<KeptSession> kept_session = state_->kept_session(digest);
  const std::uint64_t retries_before = state_->retries;
  InferenceResult result;
  result.engine = session_options.engine;
  std::string id;
  std::unique_ptr<protocols::ClientSession> session;
  if (kept_session) {
    id = kept_session->id;
    session = protocols::ClientSession::restore(bundle, owner, kept_session->session);
    result.rounds = kept_session->rounds;
    result.bytes_up = kept_session->bytes_up;
    result.bytes_down = kept_session->bytes_down;
    result.continued_at = session->round();
  } else {
    session_options.transfer_set_up = state_->kept_set_up(bundle, session_options, key);
    id = state_->register_and_open(bundle, owner->public_key(), session_options);
  }
  bool is_on_disk = kept_session.has_value();
  try {
    const auto start = Steady::now();
    if (!session) {
      session = std::make_unique<protocols::ClientSession>(bundle, owner, input, session_options);
    }
    result.resumed = session_options.transfer_set_up != nullptr;
    bool kept = result.resumed || kept_session;
    bool is_answered = false;  // the message that the set-up went into: the server has it too
    const auto keep = [&] {
      const auto set_up = session->transfer_set_up();
      if (!kept && is_answered) {
        state_->set_ups->keep(state_->endpoint.url, key, set_up);
        kept = true;
      }
      is_answered = set_up != nullptr;
      state_->keep_session(id, digest, *session, result);
      is_on_disk = !state_->options.session_file.empty() && session->can_be_kept();
    };
    IdlePreparation preparation(owner, session->encryptions());
    state_->run_rounds(id, *session, preparation, keep, result, progress);
    state_->forget_session();
    result.offline_seconds = preparation.seconds();
    result.prepared = preparation.prepared();
    result.seconds = seconds_since(start);
  } catch (const protocols::ot::FailedCheck&) {
    state_->forget_set_up(key, id);
    throw;
  } catch (const InputError& error) {
    if (error.code() == "ot.check") {  // the server found it, in this session or another
      state_->forget_set_up(key, id);
    } else if (!is_on_disk) {
      state_->delete_session(id);
    }
    throw;
  } catch (const RefusedError& error) {
    const bool is_lost = says_session_is_over(error);
    if (is_lost && kept_session) state_->give_up_kept(error);
    if (is_lost && session && !session->can_be_kept()) throw SessionLost(error.code(), error.what());
    if (!is_on_disk) state_->delete_session(id);
    throw;
  } catch (...) {
    if (!is_on_disk) state_->delete_session(id);
    throw;
  }
  result.retries = state_->retries - retries_before;
  return result;
}

Preparation Client::prepare(const protocols::ClientBundle& bundle,
                            std::shared_ptr<const paillier::KeyOwner> owner, const Progress& progress) {
  const CancelWatch watch(state_->options.cancel, state_->http);
  protocols::SessionOptions session_options;
  session_options.engine = protocols::chosen_of(state_->options.engine, bundle.engines);
  session_options.sign_test = protocols::chosen_of(state_->options.sign_test, bundle.sign_tests);
  for (std::uint64_t restarts = 0;; ++restarts) {
    try {
      return prepare_once(bundle, owner, session_options, progress);
    } catch (const SessionLost& lost) {
      if (restarts == kMostRestarts) throw RefusedError(lost.code(), lost.what());
    }
  }
}

Preparation Client::prepare_once(const protocols::ClientBundle& bundle,
                                 const std::shared_ptr<const paillier::KeyOwner>& owner,
                                 protocols::SessionOptions session_options, const Progress& progress) {
  const auto session = protocols::ClientSession::preparation(bundle, owner, session_options);
  const std::string id =
      state_->register_and_open(bundle, owner->public_key(), session_options, "preparations");
  InferenceResult made;
  Preparation result;
  try {
    IdlePreparation ahead(owner, session->encryptions());
    state_->run_rounds(
        id, *session, ahead, [] {}, made, progress);
    result.session = session->save();
    result.facts = {state_->endpoint.url,  bundle.model, bundle.config_id, session_options.engine, id,
                    state_->expiry_of(id), made.rounds,  made.bytes_up,    made.bytes_down};
  } catch (const RefusedError& error) {
    // While transfers are made one server alone has the preparation.
    if (says_session_is_over(error) && !session->can_be_kept()) throw SessionLost(error.code(), error.what());
    state_->delete_session(id);
    throw;
  } catch (...) {
    state_->delete_session(id);
    throw;
  }
  return result;
}

void Client::forget(const PreparationFacts& facts) {
  state_->delete_session(facts.id);
}

}  // namespace popcorn::service
