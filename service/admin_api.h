// The admin port: metrics and drain. Loopback by default, never on the public port.
#pragma once

#include <functional>
#include <vector>

#include "service/router.h"
#include "service/session_manager.h"

namespace popcorn::service {

/// GET /metrics (open: it names nobody), POST /admin/drain (scope admin), GET /v2/health/live. The references
/// must outlive the routes.
std::vector<Route> admin_routes(SessionManager& sessions, const Metrics& metrics,
                                std::function<Metrics::Gauges()> gauges);

}  // namespace popcorn::service
