#include "service/api/router.h"

#include <algorithm>
#include <array>
#include <ctime>
#include <nlohmann/json.hpp>

#include "base/random.h"
#include "service/api/api_errors.h"
#include "service/http/address.h"
#include "service/refusal.h"

namespace popcorn::service {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kMaxRequestIdLength = 64;

std::vector<std::string> split_path(std::string_view path) {
  std::vector<std::string> segments;
  for (std::size_t begin = 1; begin <= path.size();) {
    const std::size_t end = std::min(path.find('/', begin), path.size());
    segments.emplace_back(path.substr(begin, end - begin));
    begin = end + 1;
  }
  return segments;
}

/// True when the segments fit the pattern; `parameters` are then what its "{x}" stand for.
bool match(const std::vector<std::string>& pattern, const std::vector<std::string>& segments,
           std::vector<std::string>& parameters) {
  if (pattern.size() != segments.size()) {
    return false;
  }
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    if (!pattern[i].starts_with('{')) {
      if (pattern[i] != segments[i]) {
        return false;
      }
    } else if (segments[i].empty()) {
      return false;
    } else {
      parameters.push_back(segments[i]);
    }
  }
  return true;
}

std::string new_request_id() {
  std::array<std::uint8_t, 8> random{};
  system_rng().fill(random);
  return to_hex(random);
}

/// The client's X-Request-Id when it is harmless, else a fresh one.
std::string request_id_of(const HttpRequest& request) {
  constexpr std::string_view kAllowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
  const std::string_view given = request.header("x-request-id");
  const bool harmless = !given.empty() && given.size() <= kMaxRequestIdLength &&
                        given.find_first_not_of(kAllowed) == std::string_view::npos;
  return harmless ? std::string(given) : new_request_id();
}

void check_scope(const Caller& caller, Access access) {
  if ((access == Access::infer && !caller.infer) || (access == Access::admin && !caller.admin)) {
    throw Refusal(RefusalKind::forbidden, "auth.scope", "This token may not do that");
  }
}

}  // namespace

std::string utc_text(std::chrono::system_clock::time_point time) {
  const std::time_t seconds = std::chrono::system_clock::to_time_t(time);
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  std::array<char, 32> text{};
  std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text.data();
}

Router::Router(std::vector<Route> routes, const Authenticator& authenticator, Metrics& metrics, Log log)
    : authenticator_(authenticator), metrics_(metrics), log_(std::move(log)) {
  for (Route& route : routes) {
    std::vector<std::string> segments = split_path(route.pattern);
    rows_.push_back({std::move(route), std::move(segments)});
  }
}

HttpResponse Router::handle(HttpRequest& request) const {
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
  finish(call, response, code);
  return response;
}

HttpResponse Router::reject(int status) const {
  HttpRequest none;
  const Call call{none, new_request_id()};
  const ErrorReport report = report_of_status(status);
  HttpResponse response = error_response(report, call.request_id);
  finish(call, response, report.code);
  return response;
}

HttpResponse Router::dispatch(Call& call) const {
  const std::vector<std::string> segments = split_path(call.request.path);
  const std::string method = call.request.method == "HEAD" ? "GET" : call.request.method;
  std::string allowed;
  for (const Row& row : rows_) {
    std::vector<std::string> parameters;
    if (!match(row.segments, segments, parameters)) {
      continue;
    }
    if (row.route.method == method) {
      call.route = row.route.pattern;
      call.parameters = std::move(parameters);
      return run(row.route, call);
    }
    allowed += (allowed.empty() ? "" : ", ") + row.route.method;
  }
  if (allowed.empty()) {
    throw Refusal(RefusalKind::not_found, "route.not_found",
                  "There is nothing at this path; see /openapi.json");
  }
  const Refusal refusal(RefusalKind::method_not_allowed, "route.method_not_allowed",
                        "This path does not take this method; it takes: " + allowed);
  HttpResponse response = error_response(report_of(std::make_exception_ptr(refusal)), call.request_id);
  response.headers.emplace_back("Allow", allowed);
  return response;
}

HttpResponse Router::run(const Route& route, Call& call) const {
  if (route.access != Access::open) {
    call.caller = authenticator_.authenticate(call.request.header("authorization"));
    call.caller.address = address_group(call.request.remote_address);
    check_scope(call.caller, route.access);
  }
  return route.handler(call);
}

void Router::finish(const Call& call, HttpResponse& response, const std::string& code) const {
  const bool has = std::any_of(response.headers.begin(), response.headers.end(),
                               [](const auto& header) { return header.first == "Cache-Control"; });
  if (!has) {
    response.headers.emplace_back("Cache-Control", "no-store");
  }
  response.headers.emplace_back("X-Request-Id", call.request_id);
  response.headers.emplace_back("X-Content-Type-Options", "nosniff");
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - call.started;
  metrics_.request(call.request.method, call.route, response.status, seconds.count());
  if (!log_) {
    return;
  }
  const LogLevel level = level_of_status(response.status);
  Json line = {{"time", utc_text(std::chrono::system_clock::now())},
               {"level", to_string(level)},
               {"event", "request"},
               {"request_id", call.request_id},
               {"remote", call.request.remote_address},
               {"caller", call.caller.name},
               {"method", call.request.method},
               {"route", call.route},
               {"status", response.status},
               {"seconds", seconds.count()},
               {"bytes_in", call.bytes_in},
               {"bytes_out", response.body_bytes()}};
  if (!code.empty()) {
    line["code"] = code;
  }
  log_(level, line.dump(-1, ' ', false, Json::error_handler_t::replace));
}

}  // namespace popcorn::service
