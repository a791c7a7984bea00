// The admin port: metrics and drain. Loopback by default, never on the public port.
#pragma once

#include <functional>
#include <vector>

#include "service/api/router.h"
#include "service/session_manager.h"

namespace popcorn::service {

/// GET /metrics (open: it names nobody), POST /admin/drain (scope admin), GET /v2/health/live. The references
/// must outlive the routes. Metrics and drain want a Host that is an IP address, localhost or one of `names`
/// (403 "admin.host" else): a web page whose name was made to point here is none. Drain wants a JSON type,
/// which a page of another origin cannot send without asking first, and no Origin but its own (403
/// "admin.origin").
std::vector<Route> admin_routes(SessionManager& sessions, const Metrics& metrics,
                                std::function<Metrics::Gauges()> gauges, std::vector<std::string> names = {});

}  // namespace popcorn::service
