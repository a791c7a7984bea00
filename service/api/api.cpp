#include "service/api/api.h"

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>
#include <optional>

#include "service/api/openapi.h"
#include "service/api/request_reading.h"
#include "service/jobs/queued_work.h"
#include "service/refusal.h"

namespace popcorn::service {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kModelVersion = "1";  // a changed model has another config_id, not another version
constexpr std::size_t kMaxJsonBody = 65536;
constexpr std::uint64_t kMaxRound = 1'000'000;
constexpr std::uint64_t kMaxPatience = 900;
constexpr std::chrono::seconds kKeyPatience{60};

std::string_view text_of(const Bytes& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

HttpResponse json_response(const Json& body, int status = 200) {
  HttpResponse response;
  response.status = status;
  response.content_type = "application/json";
  response.text = body.dump() + "\n";
  return response;
}

Json key_json(const std::string& key_id, const paillier::PublicKey& key) {
  return {{"key_id", key_id},
          {"kind", key.kind() == paillier::KeyKind::subgroup ? "subgroup" : "ordinary"},
          {"bits", key.bits()}};
}

HttpResponse key_response(const std::string& key_id, const paillier::PublicKey& key, bool created) {
  HttpResponse response = json_response(key_json(key_id, key), created ? 201 : 200);
  response.headers.emplace_back("Location", "/v2/keys/" + key_id);
  return response;
}

const char* state_of(const SessionInfo& session) {
  if (session.phase == SessionPhase::finished) return "finished";
  if (session.phase == SessionPhase::prepared) return "prepared";
  return session.computing ? "computing" : "active";
}

Json session_json(const SessionInfo& session) {
  Json json = {{"session_id", session.id},
               {"model", session.model},
               {"config_id", session.config_id},
               {"key_id", session.key_id},
               {"engine", session.engine},
               {"state", state_of(session)},
               {"rounds", session.rounds},
               {"next_round", session.next_round},
               {"expires_at", utc_text(session.expires_at)}};
  if (session.preparation_rounds > 0) {
    json["preparation_rounds"] = session.preparation_rounds;
    json["claimed"] = session.claimed;
  }
  if (!session.transfer_set_up.empty()) {
    json["sign_test_state"] = session.transfer_set_up;
  }
  return json;
}

/// The value of a parameter of the query; empty when it is not there. Nothing is decoded: names of engines
/// need no escapes.
std::string_view query_value(std::string_view query, std::string_view name) {
  while (!query.empty()) {
    const std::string_view pair = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(query.size(), pair.size() + 1));
    if (pair.size() > name.size() && pair.starts_with(name) && pair[name.size()] == '=')
      return pair.substr(name.size() + 1);
  }
  return {};
}

/// @param engines of all forms of the model
Json model_json(const PublishedModel& model, const std::vector<std::string>& engines) {
  const auto& bundle = model.served->bundle();
  const auto& shape = bundle.encoding.shape;
  Json steps = Json::array();
  for (const auto& step : bundle.steps) {
    steps.push_back(
        {{"kind", to_string(step.kind)}, {"name", step.name}, {"count", step.count}, {"bits", step.bits}});
  }
  Json traffic = Json::array();
  Json key_bits = Json::array();
  for (const auto& row : model.traffic) {
    key_bits.push_back(row.key_bits);
    traffic.push_back({{"key_bits", row.key_bits},
                       {"rounds", row.rounds},
                       {"bytes_up", row.bytes_up},
                       {"bytes_down", row.bytes_down},
                       {"multiplications", row.multiplications}});
  }
  return {{"name", model.name()},
          {"versions", {kModelVersion}},
          {"platform", "popcorn"},
          {"inputs",
           {{{"name", "input"},
             {"datatype", "INT64"},
             {"shape", {1, shape.channels, shape.height, shape.width}}}}},
          {"outputs", {{{"name", "logits"}, {"datatype", "INT64"}, {"shape", {1, bundle.output_count}}}}},
          {"description", model.served->network().description},
          {"config_id", model.config_id()},
          {"key_bits", key_bits},
          {"engines", engines},
          {"sign_tests", bundle.sign_tests},
          {"steps", steps},
          {"expected_traffic", traffic}};
}

std::uint64_t parse_round(const std::string& text) {
  if (text.empty() || text.size() > 7 || text.find_first_not_of("0123456789") != std::string::npos) {
    throw Refusal(RefusalKind::malformed, "round.number", "The round in the path must be a number");
  }
  return std::min<std::uint64_t>(std::stoull(text), kMaxRound);
}

/// How long a client that sent "Prefer: respond-async" (RFC 7240) waits before it would rather poll; nothing
/// when it did not.
std::optional<std::chrono::seconds> patience_of(const HttpRequest& request) {
  const std::string_view prefer = request.header("prefer");
  if (prefer.find("respond-async") == std::string_view::npos) {
    return std::nullopt;
  }
  std::uint64_t seconds = 0;
  const std::size_t wait = prefer.find("wait=");
  for (std::size_t i = wait + 5; wait != std::string_view::npos && i < prefer.size(); ++i) {
    if (prefer[i] < '0' || prefer[i] > '9' || seconds > kMaxPatience) {
      break;
    }
    seconds = 10 * seconds + static_cast<std::uint64_t>(prefer[i] - '0');
  }
  return std::chrono::seconds(std::min(seconds, kMaxPatience));
}

/// Tests for primes and small factors: work for the queue, like any other that takes long. When the queue
/// does not take it, it does not count in what the caller may have validated.
paillier::PublicKey validate_key(const ApiServices& services, const std::string& caller,
                                 const std::string& who, const Bytes& body, bool binary, unsigned cost) {
  std::future<paillier::PublicKey> key;
  try {
    key = submit<paillier::PublicKey>(services.queue, caller, [body, binary, policy = services.key_policy] {
      constexpr auto kProof = paillier::ProofPolicy::required;
      return binary ? paillier::PublicKey::parse(body, policy, kProof)
                    : paillier::PublicKey::from_json(text_of(body), policy, kProof);
    });
  } catch (const Refusal&) {
    services.admission.give_back(who, cost);
    throw;
  }
  try {
    return await(std::move(key), kKeyPatience);
  } catch (const InputError&) {
    services.admission.charge(who, cost);
    throw;
  }
}

/// 200 with the answer, or 202 and where to ask for it.
HttpResponse round_response(std::shared_ptr<const Bytes> answer, const std::string& path) {
  HttpResponse response;
  if (answer) {
    response.content_type = kRoundContentType;
    response.binary = std::move(answer);
    return response;
  }
  response = json_response({{"state", "computing"}}, 202);
  response.headers.emplace_back("Location", path);
  response.headers.emplace_back("Retry-After", "1");
  return response;
}

}  // namespace

struct Api::Entry {
  const char* method;
  const char* pattern;
  Access access;
  HttpResponse (Api::*handler)(Call&);
};

const std::vector<Api::Entry>& Api::table() {
  static const std::vector<Entry> entries = {
      {"GET", "/v2/health/live", Access::open, &Api::live},
      {"GET", "/v2/health/ready", Access::open, &Api::ready},
      {"GET", "/v2", Access::infer, &Api::server_metadata},
      {"GET", "/v2/models", Access::infer, &Api::list_models},
      {"GET", "/v2/models/{model}", Access::infer, &Api::model_metadata},
      {"GET", "/v2/models/{model}/ready", Access::infer, &Api::model_ready},
      {"GET", "/v2/models/{model}/versions/{version}", Access::infer, &Api::version_metadata},
      {"GET", "/v2/models/{model}/versions/{version}/ready", Access::infer, &Api::version_ready},
      {"GET", "/v2/models/{model}/client", Access::infer, &Api::client_bundle},
      {"POST", "/v2/models/{model}/sessions", Access::infer, &Api::open_session},
      {"POST", "/v2/models/{model}/preparations", Access::infer, &Api::open_preparation},
      {"POST", "/v2/models/{model}/infer", Access::infer, &Api::plaintext_inference},
      {"POST", "/v2/keys", Access::infer, &Api::register_key},
      {"GET", "/v2/keys/{key_id}", Access::infer, &Api::key_status},
      {"DELETE", "/v2/keys/{key_id}", Access::infer, &Api::forget_key},
      {"GET", "/v2/sessions/{session_id}", Access::infer, &Api::session_status},
      {"DELETE", "/v2/sessions/{session_id}", Access::infer, &Api::cancel_session},
      {"POST", "/v2/sessions/{session_id}/rounds/{round}", Access::infer, &Api::run_round},
      {"GET", "/v2/sessions/{session_id}/rounds/{round}", Access::infer, &Api::round_status},
      {"GET", "/v2/preparations", Access::infer, &Api::preparations},
      {"GET", "/v2/preparations/{session_id}", Access::infer, &Api::preparation_status},
      {"DELETE", "/v2/preparations/{session_id}", Access::infer, &Api::forget_preparation},
      {"POST", "/v2/preparations/{session_id}/claim", Access::infer, &Api::claim_preparation},
      {"GET", "/openapi.json", Access::open, &Api::openapi},
  };
  return entries;
}

std::vector<Api::RouteName> Api::route_names() {
  std::vector<RouteName> names;
  for (const Entry& entry : table()) {
    names.push_back({entry.method, entry.pattern});
  }
  return names;
}

std::vector<Route> Api::routes() {
  std::vector<Route> routes;
  for (const Entry& entry : table()) {
    routes.push_back({entry.method, entry.pattern, entry.access,
                      [this, handler = entry.handler](Call& call) { return (this->*handler)(call); }});
  }
  return routes;
}

HttpResponse Api::live(Call&) {
  return json_response({{"live", true}});
}

void Api::require_ready() {
  if (services_.sessions.draining()) {
    throw Refusal(RefusalKind::unavailable, "server.draining", "The server is shutting down; ask again later",
                  5);
  }
  if (!services_.sessions.store_reachable()) {
    throw Refusal(RefusalKind::unavailable, "server.store",
                  "The server's session store does not answer; ask again later", 5);
  }
}

HttpResponse Api::ready(Call&) {
  require_ready();
  return json_response({{"ready", true}});
}

HttpResponse Api::server_metadata(Call&) {
  return json_response(
      {{"name", "popcorn"}, {"version", POPCORN_VERSION}, {"extensions", {"oblivious_inference_v1"}}});
}

HttpResponse Api::list_models(Call&) {
  Json models = Json::array();
  for (const auto& [name, forms] : services_.models.all()) {
    const PublishedModel& preferred = forms.front();
    models.push_back({{"name", name},
                      {"description", preferred.served->network().description},
                      {"config_id", preferred.config_id()},
                      {"ready", true}});
  }
  return json_response({{"models", models}});
}

const PublishedModel& Api::form_of(const Call& call) const {
  return services_.models.get(call.parameters.at(0), query_value(call.request.query, "engine"));
}

HttpResponse Api::model_metadata(Call& call) {
  return json_response(model_json(form_of(call), engines_of(services_.models.forms(call.parameters.at(0)))));
}

HttpResponse Api::model_ready(Call& call) {
  const PublishedModel& model = services_.models.get(call.parameters.at(0));
  require_ready();
  return json_response({{"name", model.name()}, {"ready", true}});
}

void Api::require_version(const std::string& model, const std::string& version) {
  services_.models.forms(model);
  if (version != kModelVersion)
    throw Refusal(RefusalKind::not_found, "model.version",
                  std::string("There is no such version here; models have version ") + kModelVersion);
}

HttpResponse Api::version_metadata(Call& call) {
  require_version(call.parameters.at(0), call.parameters.at(1));
  return model_metadata(call);
}

HttpResponse Api::version_ready(Call& call) {
  require_version(call.parameters.at(0), call.parameters.at(1));
  return model_ready(call);
}

HttpResponse Api::client_bundle(Call& call) {
  const PublishedModel& model = form_of(call);
  HttpResponse response;
  response.headers = {{"ETag", model.etag}, {"Cache-Control", "no-cache"}};
  if (call.request.header("if-none-match") == model.etag) {
    response.status = 304;
    return response;
  }
  response.content_type = "application/json";
  response.text = model.bundle_json;
  return response;
}

HttpResponse Api::register_key(Call& call) {
  require_type(call.request, {"application/json", "application/jwk+json", kRoundContentType});
  const Bytes body = read_body(call.request, kMaxJsonBody);
  call.bytes_in = body.size();
  // Without tokens everybody has the same name; the address tells them apart.
  const std::string who = call.caller.id.empty() ? call.caller.address : call.caller.id;
  const Sha256 digest = sha256(body);
  if (const auto known = services_.admission.known(who, digest)) {
    if (const auto key = services_.keys.find(*known, call.caller.id)) {
      return key_response(*known, *key, false);
    }
  }
  const bool binary = media_type(call.request) == kRoundContentType;
  // Reading tells JSON that is broken (400) from a key that is not acceptable (422).
  const KeyClaim claim = binary ? claim_of_binary(body) : claim_of_json(parse_object(body));
  if (claim.kind == paillier::KeyKind::subgroup && !services_.subgroup_keys) {
    refuse_subgroup_key();
  }
  const unsigned cost = cost_of(claim);
  services_.admission.admit(who, cost);
  const paillier::PublicKey key = validate_key(services_, call.caller.id, who, body, binary, cost);
  if (key.kind() == paillier::KeyKind::subgroup && !services_.subgroup_keys) {
    refuse_subgroup_key();
  }
  const std::string key_id = to_hex(key.fingerprint());
  const bool created = services_.keys.add(key, call.caller.id);
  services_.admission.remember(who, digest, key_id);
  return key_response(key_id, key, created);
}

HttpResponse Api::key_status(Call& call) {
  const std::string& key_id = call.parameters.at(0);
  const auto key = services_.keys.find(key_id, call.caller.id);
  if (!key) {
    throw Refusal(RefusalKind::not_found, "key.not_found", "This key is not registered here");
  }
  return json_response(key_json(key_id, *key));
}

HttpResponse Api::forget_key(Call& call) {
  if (!services_.keys.forget(call.parameters.at(0), call.caller.id)) {
    throw Refusal(RefusalKind::not_found, "key.not_found", "This key is not registered here");
  }
  HttpResponse response;
  response.status = 204;
  return response;
}

SessionInfo Api::open(Call& call, bool preparation) {
  require_type(call.request, {"application/json"});
  SessionRequest wanted;
  wanted.preparation = preparation;
  wanted.model = call.parameters.at(0);
  services_.models.forms(wanted.model);
  const Bytes body = read_body(call.request, kMaxJsonBody);
  call.bytes_in = body.size();
  const nlohmann::json object = parse_object(body);
  allow_fields(object, {"key_id", "config_id", "output", "engine", "sign_test", "sign_test_state"});
  wanted.key_id = required_text(object, "key_id");
  wanted.config_id = required_text(object, "config_id");
  wanted.output = optional_text(object, "output", wanted.output);
  wanted.engine = optional_text(object, "engine", "");
  wanted.sign_test = optional_text(object, "sign_test", "");
  wanted.transfer_set_up = optional_text(object, "sign_test_state", "");
  return services_.sessions.open(wanted, call.caller);
}

HttpResponse Api::open_session(Call& call) {
  const SessionInfo session = open(call, false);
  HttpResponse response = json_response(session_json(session), 201);
  response.headers.emplace_back("Location", "/v2/sessions/" + session.id);
  return response;
}

HttpResponse Api::open_preparation(Call& call) {
  const SessionInfo session = open(call, true);
  HttpResponse response = json_response(session_json(session), 201);
  response.headers.emplace_back("Location", "/v2/preparations/" + session.id);
  return response;
}

HttpResponse Api::preparations(Call& call) {
  return json_response({{"prepared", services_.sessions.prepared(call.caller)}});
}

SessionInfo Api::preparation_of(const Call& call) {
  SessionInfo session = services_.sessions.info(call.parameters.at(0), call.caller.id);
  if (session.preparation_rounds == 0) {
    throw Refusal(RefusalKind::not_found, "session.not_found", "There is no such preparation");
  }
  return session;
}

HttpResponse Api::preparation_status(Call& call) {
  return json_response(session_json(preparation_of(call)));
}

HttpResponse Api::forget_preparation(Call& call) {
  preparation_of(call);
  return cancel_session(call);
}

HttpResponse Api::claim_preparation(Call& call) {
  require_type(call.request, {"application/json"});
  const Bytes body = read_body(call.request, kMaxJsonBody);
  call.bytes_in = body.size();
  const nlohmann::json object = parse_object(body);
  allow_fields(object, {"claim"});
  return json_response(session_json(services_.sessions.claim_preparation(
      call.parameters.at(0), required_text(object, "claim"), call.caller.id)));
}

HttpResponse Api::session_status(Call& call) {
  return json_response(session_json(services_.sessions.info(call.parameters.at(0), call.caller.id)));
}

HttpResponse Api::cancel_session(Call& call) {
  services_.sessions.cancel(call.parameters.at(0), call.caller.id);
  HttpResponse response;
  response.status = 204;
  return response;
}

HttpResponse Api::run_round(Call& call) {
  const std::string& session = call.parameters.at(0);
  const std::uint64_t round = parse_round(call.parameters.at(1));
  const RoundAdmission admission = services_.sessions.admit_round(session, round, call.caller.id);
  std::uint64_t max_bytes = admission.max_bytes;
  if (services_.max_body_bytes != 0) {
    max_bytes = std::min(max_bytes, services_.max_body_bytes);
  }
  require_type(call.request, {kRoundContentType});
  const std::uint64_t bytes = require_length(call.request, max_bytes);
  const auto upload = services_.sessions.begin_upload(admission, bytes, services_.memory.take(bytes));
  try {
    call.request.body->read([&](ByteView piece) { upload->append(piece); });
  } catch (...) {
    upload->abandon();
    throw;
  }
  call.bytes_in = bytes;
  services_.metrics.round_bytes_received(bytes);
  const auto patience = patience_of(call.request);
  auto answer = services_.sessions.answer_round(admission, upload, patience);
  HttpResponse response = round_response(std::move(answer), call.request.path);
  if (patience) {
    response.headers.emplace_back("Preference-Applied", "respond-async");
  }
  services_.metrics.round_bytes_sent(response.binary ? response.binary->size() : 0);
  return response;
}

HttpResponse Api::round_status(Call& call) {
  const std::uint64_t round = parse_round(call.parameters.at(1));
  HttpResponse response = round_response(
      services_.sessions.answer_of(call.parameters.at(0), round, call.caller.id), call.request.path);
  services_.metrics.round_bytes_sent(response.binary ? response.binary->size() : 0);
  return response;
}

HttpResponse Api::plaintext_inference(Call& call) {
  services_.models.forms(call.parameters.at(0));
  throw Refusal(
      RefusalKind::not_implemented, "infer.plaintext",
      "This service never takes plaintext inputs; open a session with POST /v2/models/{model}/sessions");
}

HttpResponse Api::openapi(Call&) {
  HttpResponse response;
  response.content_type = "application/json";
  response.text = openapi_document();
  response.headers.emplace_back("Cache-Control", "no-cache");
  return response;
}

}  // namespace popcorn::service
