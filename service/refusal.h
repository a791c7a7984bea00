// How the service says no: one kind for each HTTP status, so that the mapping lives in one place
// (api_errors.cpp).
#pragma once

#include <string>

#include "base/error.h"

namespace popcorn::service {

enum class RefusalKind {
  malformed,           ///< 400: not what the route takes
  unauthenticated,     ///< 401: no token, or one that is not known
  forbidden,           ///< 403: a known token without the scope
  not_found,           ///< 404: also for what belongs to somebody else
  method_not_allowed,  ///< 405
  slow_upload,         ///< 408
  conflict,            ///< 409: the round was used with another body, or is out of order
  gone,                ///< 410: the session or the configuration is over
  length_required,     ///< 411
  too_large,           ///< 413
  wrong_type,          ///< 415
  invalid,             ///< 422: well-formed, but the key or a ciphertext is not acceptable
  over_limit,          ///< 429: this caller has to wait
  header_too_large,    ///< 431
  internal,            ///< 500
  not_implemented,     ///< 501
  unavailable,         ///< 503: everybody has to wait
  timed_out,           ///< 504
};

class Refusal : public Error {
 public:
  Refusal(RefusalKind kind, std::string code, const std::string& message, unsigned retry_after_seconds = 0)
      : Error(std::move(code), message, 7), kind_(kind), retry_after_seconds_(retry_after_seconds) {}

  RefusalKind kind() const noexcept { return kind_; }
  /// When it makes sense to ask again; 0 = no statement.
  unsigned retry_after_seconds() const noexcept { return retry_after_seconds_; }

 private:
  RefusalKind kind_;
  unsigned retry_after_seconds_;
};

[[noreturn]] inline void refuse_account() {
  throw Refusal(RefusalKind::over_limit, "caller.sessions", "You have as many sessions at once as you may",
                5);
}

[[noreturn]] inline void refuse_preparation() {
  throw Refusal(RefusalKind::unavailable, "server.preparations",
                "The server keeps as many preparations as it may; use some, or ask again later", 60);
}

[[noreturn]] inline void refuse_account_preparations() {
  throw Refusal(RefusalKind::over_limit, "caller.preparations",
                "You have as many preparations as you may; use or delete some", 60);
}

[[noreturn]] inline void refuse_subgroup_key() {
  throw Refusal(
      RefusalKind::invalid, "key.subgroup",
      "This server takes no subgroup keys, since they would leave its model's privacy to the maker of "
      "the key; use an ordinary key (popcorn keygen), or ask for a server with --subgroup-keys");
}

}  // namespace popcorn::service
