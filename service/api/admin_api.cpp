#include "service/api/admin_api.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "service/api/request_reading.h"
#include "service/http/ascii_case.h"
#include "service/refusal.h"

namespace popcorn::service {
namespace {

using Json = nlohmann::ordered_json;

HttpResponse json_response(const Json& body) {
  HttpResponse response;
  response.content_type = "application/json";
  response.text = body.dump() + "\n";
  return response;
}

/// Without the port, and without the brackets of an IPv6 address; empty when it is no host.
std::string host_name(std::string_view host) {
  const std::size_t close = host.starts_with('[') ? host.find(']') : std::string_view::npos;
  if (close != std::string_view::npos) {
    const std::string_view rest = host.substr(close + 1);
    return rest.empty() || rest.front() == ':' ? lower(host.substr(1, close - 1)) : "";
  }
  return lower(host.substr(0, host.find(':')));
}

bool is_address(const std::string& name) {
  in6_addr bits{};
  return ::inet_pton(AF_INET, name.c_str(), &bits) == 1 || ::inet_pton(AF_INET6, name.c_str(), &bits) == 1;
}

void check_host(const HttpRequest& request, const std::vector<std::string>& names) {
  const std::string name = host_name(request.header("host"));
  const bool known =
      std::ranges::any_of(names, [&](const std::string& other) { return lower(other) == name; });
  if (!known && name != "localhost" && !is_address(name)) {
    throw Refusal(RefusalKind::forbidden, "admin.host",
                  "The admin port does not know itself by the name in the header Host; give --admin-names");
  }
}

void check_origin(const HttpRequest& request) {
  const auto origin = request.headers.find("origin");
  if (origin != request.headers.end() && lower(origin->second) != "http://" + lower(request.header("host"))) {
    throw Refusal(RefusalKind::forbidden, "admin.origin",
                  "The admin port takes no requests of other origins");
  }
}

}  // namespace

std::vector<Route> admin_routes(SessionManager& sessions, const Metrics& metrics,
                                std::function<Metrics::Gauges()> gauges, std::vector<std::string> names) {
  const auto show_metrics = [&metrics, gauges = std::move(gauges), names](Call& call) {
    check_host(call.request, names);
    HttpResponse response;
    response.content_type = "text/plain; version=0.0.4; charset=utf-8";
    response.text = metrics.prometheus_text(gauges());
    return response;
  };
  const auto drain = [&sessions, names](Call& call) {
    check_host(call.request, names);
    check_origin(call.request);
    require_type(call.request, {"application/json"});
    sessions.drain();
    return json_response(Json{{"draining", true}, {"sessions_active", sessions.active()}});
  };
  return {{"GET", "/metrics", Access::open, show_metrics},
          {"POST", "/admin/drain", Access::admin, drain},
          {"GET", "/v2/health/live", Access::open, [](Call&) {
             return json_response(Json{{"live", true}});
           }}};
}

}  // namespace popcorn::service
