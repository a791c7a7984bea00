// From a request to the route that answers it: matching, authentication, errors, request ids, logs, metrics.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "service/http/http_message.h"
#include "service/log_level.h"
#include "service/metrics.h"
#include "service/tokens.h"

namespace popcorn::service {

enum class Access {
  open,   ///< no token
  infer,  ///< a token with the scope infer
  admin,  ///< a token with the scope admin
};

/// One request on its way.
struct Call {
  HttpRequest& request;
  std::string request_id;
  std::string route = "unmatched";        ///< pattern, for logs: the path itself may hold a session id
  std::vector<std::string> parameters{};  ///< what the "{x}" stand for, in order
  Caller caller{};
  std::uint64_t bytes_in = 0;
  std::chrono::steady_clock::time_point started = std::chrono::steady_clock::now();
};

struct Route {
  std::string method;
  std::string pattern;  ///< as in the OpenAPI document; "{x}" takes one segment
  Access access = Access::infer;
  std::function<HttpResponse(Call&)> handler;
};

/// Thread-safe.
class Router {
 public:
  using Log = std::function<void(LogLevel level, const std::string& json_line)>;

  Router(std::vector<Route> routes, const Authenticator& authenticator, Metrics& metrics, Log log);

  /// Never throws.
  HttpResponse handle(HttpRequest& request) const;
  /// Answer to what is not a request.
  HttpResponse reject(int status) const;

 private:
  struct Row {
    Route route;
    std::vector<std::string> segments;
  };

  HttpResponse dispatch(Call& call) const;
  HttpResponse run(const Route& route, Call& call) const;
  void finish(const Call& call, HttpResponse& response, const std::string& code) const;

  std::vector<Row> rows_;
  const Authenticator& authenticator_;
  Metrics& metrics_;
  Log log_;
};

/// RFC 3339, in UTC.
std::string utc_text(std::chrono::system_clock::time_point time);

}  // namespace popcorn::service
