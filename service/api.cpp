#include "service/api.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <ctime>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/random.h"
#include "service/api_errors.h"
#include "service/openapi.h"
#include "service/refusal.h"
#include "service/request_reading.h"

namespace popcorn::service {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kMaxJsonBody = 65536;
constexpr std::size_t kMaxRequestIdLength = 64;
constexpr std::uint64_t kMaxRound = 1'000'000;

std::vector<std::string> split_path(std::string_view path) {
  std::vector<std::string> segments;
  for (std::size_t begin = 1; begin <= path.size();) {
    const std::size_t end = std::min(path.find('/', begin), path.size());
    segments.emplace_back(path.substr(begin, end - begin));
    begin = end + 1;
  }
  return segments;
}

/// The client's X-Request-Id when it is harmless, else a fresh one.
std::string request_id_of(const HttpRequest& request) {
  constexpr std::string_view kAllowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
  const std::string_view given = request.header("x-request-id");
  if (!given.empty() && given.size() <= kMaxRequestIdLength &&
      given.find_first_not_of(kAllowed) == std::string_view::npos) {
    return std::string(given);
  }
  std::array<std::uint8_t, 8> random{};
  system_rng().fill(random);
  return to_hex(random);
}

std::string utc(std::chrono::system_clock::time_point time) {
  const std::time_t seconds = std::chrono::system_clock::to_time_t(time);
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  std::array<char, 32> text{};
  std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text.data();
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

Json session_json(const SessionInfo& session) {
  const bool finished = session.phase == SessionPhase::finished;
  return {{"session_id", session.id},
          {"model", session.model},
          {"config_id", session.config_id},
          {"key_id", session.key_id},
          {"state", finished ? "finished" : (session.computing ? "computing" : "active")},
          {"rounds", session.rounds},
          {"next_round", session.next_round},
          {"expires_at", utc(session.expires_at)}};
}

Json model_json(const PublishedModel& model) {
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
          {"versions", {"1"}},
          {"platform", "popcorn"},
          {"inputs",
           {{{"name", "input"},
             {"datatype", "INT64"},
             {"shape", {1, shape.channels, shape.height, shape.width}}}}},
          {"outputs", {{{"name", "logits"}, {"datatype", "INT64"}, {"shape", {1, bundle.output_count}}}}},
          {"description", model.served->network().description},
          {"config_id", model.config_id()},
          {"key_bits", key_bits},
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

}  // namespace

struct Api::Route {
  std::string method;
  std::string pattern;  ///< as in the OpenAPI document; "{x}" takes one segment
  HttpResponse (Api::*handler)(Call&);
  std::vector<std::string> segments;
};

struct Api::Call {
  HttpRequest& request;
  std::string request_id;
  std::string route = "unmatched";        ///< pattern, for logs: the path itself may hold a session id
  std::vector<std::string> parameters{};  ///< what the "{x}" stand for, in order
  std::string caller{};
  std::uint64_t bytes_in = 0;
  std::chrono::steady_clock::time_point started = std::chrono::steady_clock::now();
};

const std::vector<Api::Route>& Api::table() {
  static const std::vector<Route> routes = [] {
    std::vector<Route> rows = {
        {"GET", "/v2/health/live", &Api::live, {}},
        {"GET", "/v2/health/ready", &Api::ready, {}},
        {"GET", "/v2", &Api::server_metadata, {}},
        {"GET", "/v2/models", &Api::list_models, {}},
        {"GET", "/v2/models/{model}", &Api::model_metadata, {}},
        {"GET", "/v2/models/{model}/ready", &Api::model_ready, {}},
        {"GET", "/v2/models/{model}/client", &Api::client_bundle, {}},
        {"POST", "/v2/models/{model}/sessions", &Api::open_session, {}},
        {"POST", "/v2/models/{model}/infer", &Api::plaintext_inference, {}},
        {"POST", "/v2/keys", &Api::register_key, {}},
        {"GET", "/v2/keys/{key_id}", &Api::key_status, {}},
        {"DELETE", "/v2/keys/{key_id}", &Api::forget_key, {}},
        {"GET", "/v2/sessions/{session_id}", &Api::session_status, {}},
        {"DELETE", "/v2/sessions/{session_id}", &Api::cancel_session, {}},
        {"POST", "/v2/sessions/{session_id}/rounds/{round}", &Api::run_round, {}},
        {"GET", "/openapi.json", &Api::openapi, {}},
    };
    for (Route& row : rows) {
      row.segments = split_path(row.pattern);
    }
    return rows;
  }();
  return routes;
}

std::vector<Api::RouteName> Api::routes() {
  std::vector<RouteName> names;
  for (const Route& route : table()) {
    names.push_back({route.method, route.pattern});
  }
  return names;
}

HttpResponse Api::handle(HttpRequest& request) {
  ++services_.counters.requests;
  Call call{request, request_id_of(request)};
  HttpResponse response;
  std::string code;
  try {
    response = dispatch(call);
  } catch (...) {
    const ErrorReport report = report_of(std::current_exception());
    code = report.code;
    response = error_response(report, call.request_id);
  }
  const bool has = std::any_of(response.headers.begin(), response.headers.end(),
                               [](const auto& header) { return header.first == "Cache-Control"; });
  if (!has) {
    response.headers.emplace_back("Cache-Control", "no-store");
  }
  response.headers.emplace_back("X-Request-Id", call.request_id);
  response.headers.emplace_back("X-Content-Type-Options", "nosniff");
  log(call, response, code);
  return response;
}

HttpResponse Api::reject(int status) {
  ++services_.counters.requests;
  const HttpRequest none;
  HttpResponse response = error_response(report_of_status(status), request_id_of(none));
  response.headers.emplace_back("Cache-Control", "no-store");
  return response;
}

HttpResponse Api::dispatch(Call& call) {
  const std::vector<std::string> segments = split_path(call.request.path);
  const std::string method = call.request.method == "HEAD" ? "GET" : call.request.method;
  std::string allowed;
  for (const Route& route : table()) {
    std::vector<std::string> parameters;
    const bool matches = route.segments.size() == segments.size() &&
                         std::equal(segments.begin(), segments.end(), route.segments.begin(),
                                    [&](const std::string& given, const std::string& wanted) {
                                      if (!wanted.starts_with('{')) {
                                        return given == wanted;
                                      }
                                      parameters.push_back(given);
                                      return !given.empty();
                                    });
    if (!matches) {
      continue;
    }
    if (route.method == method) {
      call.route = route.pattern;
      call.parameters = std::move(parameters);
      return (this->*route.handler)(call);
    }
    allowed += (allowed.empty() ? "" : ", ") + route.method;
  }
  if (allowed.empty()) {
    throw Refusal(RefusalKind::not_found, "route.not_found",
                  "There is nothing at this path; see /openapi.json");
  }
  HttpResponse response = error_response(report_of(std::make_exception_ptr(Refusal(
                                             RefusalKind::method_not_allowed, "route.method_not_allowed",
                                             "This path does not take this method; it takes: " + allowed))),
                                         call.request_id);
  response.headers.emplace_back("Allow", allowed);
  return response;
}

void Api::log(const Call& call, const HttpResponse& response, const std::string& code) const {
  if (!services_.log) {
    return;
  }
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - call.started;
  Json line = {{"time", utc(std::chrono::system_clock::now())},
               {"event", "request"},
               {"request_id", call.request_id},
               {"remote", call.request.remote_address},
               {"method", call.request.method},
               {"route", call.route},
               {"status", response.status},
               {"seconds", seconds.count()},
               {"bytes_in", call.bytes_in},
               {"bytes_out", response.body_bytes()}};
  if (!code.empty()) {
    line["code"] = code;
  }
  services_.log(line.dump(-1, ' ', false, Json::error_handler_t::replace));
}

HttpResponse Api::live(Call&) {
  return json_response({{"live", true}});
}

HttpResponse Api::ready(Call&) {
  if (services_.sessions.draining()) {
    throw Refusal(RefusalKind::unavailable, "server.draining", "The server is shutting down; ask again later",
                  5);
  }
  return json_response({{"ready", true}});
}

HttpResponse Api::server_metadata(Call&) {
  return json_response(
      {{"name", "popcorn"}, {"version", POPCORN_VERSION}, {"extensions", {"oblivious_inference_v1"}}});
}

HttpResponse Api::list_models(Call&) {
  Json models = Json::array();
  for (const auto& [name, model] : services_.models.all()) {
    models.push_back({{"name", name},
                      {"description", model.served->network().description},
                      {"config_id", model.config_id()},
                      {"ready", true}});
  }
  return json_response({{"models", models}});
}

HttpResponse Api::model_metadata(Call& call) {
  return json_response(model_json(services_.models.get(call.parameters.at(0))));
}

HttpResponse Api::model_ready(Call& call) {
  const PublishedModel& model = services_.models.get(call.parameters.at(0));
  if (services_.sessions.draining()) {
    throw Refusal(RefusalKind::unavailable, "server.draining", "The server is shutting down; ask again later",
                  5);
  }
  return json_response({{"name", model.name()}, {"ready", true}});
}

HttpResponse Api::client_bundle(Call& call) {
  const PublishedModel& model = services_.models.get(call.parameters.at(0));
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
  const bool binary = media_type(call.request) == kRoundContentType;
  if (!binary) {
    parse_object(body);  // tells JSON that is broken (400) from a key that is not acceptable (422)
  }
  const auto policy = services_.key_policy;
  const paillier::PublicKey key =
      binary
          ? paillier::PublicKey::parse(body, policy)
          : paillier::PublicKey::from_json({reinterpret_cast<const char*>(body.data()), body.size()}, policy);
  const std::string key_id = to_hex(key.fingerprint());
  const bool created = services_.keys.add(key, call.caller);
  HttpResponse response = json_response(key_json(key_id, key), created ? 201 : 200);
  response.headers.emplace_back("Location", "/v2/keys/" + key_id);
  return response;
}

HttpResponse Api::key_status(Call& call) {
  const std::string& key_id = call.parameters.at(0);
  const auto key = services_.keys.find(key_id, call.caller);
  if (!key) {
    throw Refusal(RefusalKind::not_found, "key.not_found", "This key is not registered here");
  }
  return json_response(key_json(key_id, *key));
}

HttpResponse Api::forget_key(Call& call) {
  if (!services_.keys.forget(call.parameters.at(0), call.caller)) {
    throw Refusal(RefusalKind::not_found, "key.not_found", "This key is not registered here");
  }
  HttpResponse response;
  response.status = 204;
  return response;
}

HttpResponse Api::open_session(Call& call) {
  require_type(call.request, {"application/json"});
  SessionRequest wanted;
  wanted.model = call.parameters.at(0);
  services_.models.get(wanted.model);
  const Bytes body = read_body(call.request, kMaxJsonBody);
  call.bytes_in = body.size();
  const nlohmann::json object = parse_object(body);
  allow_fields(object, {"key_id", "config_id", "output", "sign_test"});
  wanted.key_id = required_text(object, "key_id");
  wanted.config_id = required_text(object, "config_id");
  wanted.output = optional_text(object, "output", wanted.output);
  wanted.sign_test = optional_text(object, "sign_test", "");
  const SessionInfo session = services_.sessions.open(wanted, call.caller);
  HttpResponse response = json_response(session_json(session), 201);
  response.headers.emplace_back("Location", "/v2/sessions/" + session.id);
  return response;
}

HttpResponse Api::session_status(Call& call) {
  return json_response(session_json(services_.sessions.info(call.parameters.at(0), call.caller)));
}

HttpResponse Api::cancel_session(Call& call) {
  services_.sessions.cancel(call.parameters.at(0), call.caller);
  HttpResponse response;
  response.status = 204;
  return response;
}

HttpResponse Api::run_round(Call& call) {
  const std::string& session = call.parameters.at(0);
  const std::uint64_t round = parse_round(call.parameters.at(1));
  const std::size_t max_bytes = services_.sessions.admit_round(session, round, call.caller);
  require_type(call.request, {kRoundContentType});
  const MemoryBudget::Lease lease = services_.memory.take(require_length(call.request, max_bytes));
  Bytes body = read_body(call.request, max_bytes);
  call.bytes_in = body.size();
  services_.counters.bytes_received += body.size();
  HttpResponse response;
  response.content_type = kRoundContentType;
  response.binary = services_.sessions.answer_round(session, round, std::move(body), call.caller);
  services_.counters.bytes_sent += response.binary->size();
  return response;
}

HttpResponse Api::plaintext_inference(Call& call) {
  services_.models.get(call.parameters.at(0));
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
