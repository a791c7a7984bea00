// The one mapping from errors to HTTP statuses and to the JSON body of an error.
#pragma once

#include <exception>
#include <string>

#include "service/http/http_message.h"
#include "service/refusal.h"

namespace popcorn::service {

/// What a client is told about an error.
struct ErrorReport {
  int status = 500;
  std::string code;
  std::string reason;    ///< the status in a word, e.g. "not_found"
  std::string sentence;  ///< for a person
  unsigned retry_after_seconds = 0;
  bool retryable = false;
};

/// Refusals and InputErrors speak for themselves; of everything else only "internal" gets out, since its text
/// may name files or worse.
ErrorReport report_of(const std::exception_ptr& error);
/// For what never became a request.
ErrorReport report_of_status(int status);

HttpResponse error_response(const ErrorReport& report, const std::string& request_id);

}  // namespace popcorn::service
