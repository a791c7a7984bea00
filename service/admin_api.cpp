#include "service/admin_api.h"

#include <nlohmann/json.hpp>

namespace popcorn::service {
namespace {

using Json = nlohmann::ordered_json;

HttpResponse json_response(const Json& body) {
  HttpResponse response;
  response.content_type = "application/json";
  response.text = body.dump() + "\n";
  return response;
}

}  // namespace

std::vector<Route> admin_routes(SessionManager& sessions, const Metrics& metrics,
                                std::function<Metrics::Gauges()> gauges) {
  const auto show_metrics = [&metrics, gauges = std::move(gauges)](Call&) {
    HttpResponse response;
    response.content_type = "text/plain; version=0.0.4; charset=utf-8";
    response.text = metrics.prometheus_text(gauges());
    return response;
  };
  const auto drain = [&sessions](Call&) {
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
