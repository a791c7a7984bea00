#include "service/api/api_errors.h"

#include <array>
#include <new>
#include <nlohmann/json.hpp>
#include <string_view>

namespace popcorn::service {
namespace {

struct KindRow {
  RefusalKind kind;
  int status;
  const char* reason;
  bool retryable;
};

constexpr std::array kKinds = {
    KindRow{RefusalKind::malformed, 400, "malformed", false},
    KindRow{RefusalKind::unauthenticated, 401, "unauthenticated", false},
    KindRow{RefusalKind::forbidden, 403, "forbidden", false},
    KindRow{RefusalKind::not_found, 404, "not_found", false},
    KindRow{RefusalKind::method_not_allowed, 405, "method_not_allowed", false},
    KindRow{RefusalKind::slow_upload, 408, "slow_upload", true},
    KindRow{RefusalKind::conflict, 409, "conflict", false},
    KindRow{RefusalKind::gone, 410, "gone", false},
    KindRow{RefusalKind::length_required, 411, "length_required", false},
    KindRow{RefusalKind::too_large, 413, "too_large", false},
    KindRow{RefusalKind::wrong_type, 415, "wrong_type", false},
    KindRow{RefusalKind::invalid, 422, "invalid", false},
    KindRow{RefusalKind::over_limit, 429, "over_limit", true},
    KindRow{RefusalKind::header_too_large, 431, "header_too_large", false},
    KindRow{RefusalKind::internal, 500, "internal", false},
    KindRow{RefusalKind::not_implemented, 501, "not_implemented", false},
    KindRow{RefusalKind::unavailable, 503, "unavailable", true},
    KindRow{RefusalKind::timed_out, 504, "timed_out", true},
};

const KindRow& row_of(RefusalKind kind) {
  for (const KindRow& row : kKinds) {
    if (row.kind == kind) {
      return row;
    }
  }
  return row_of(RefusalKind::internal);
}

ErrorReport report_of_kind(RefusalKind kind, std::string code, std::string sentence,
                           unsigned retry_after = 0) {
  const KindRow& row = row_of(kind);
  return {row.status, std::move(code), row.reason, std::move(sentence), retry_after, row.retryable};
}

/// What kind of complaint an InputError of the libraries is: its code begins with the thing that is wrong.
RefusalKind kind_of_code(std::string_view code) {
  for (const std::string_view acceptable_form :
       {"ciphertext.", "key.", "message.foreign_key", "plaintext.", "model.", "ot.check", "ot.point"}) {
    if (code.starts_with(acceptable_form)) {
      return RefusalKind::invalid;
    }
  }
  return RefusalKind::malformed;
}

}  // namespace

ErrorReport report_of(const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const Refusal& refusal) {
    return report_of_kind(refusal.kind(), refusal.code(), refusal.what(), refusal.retry_after_seconds());
  } catch (const InputError& input) {
    return report_of_kind(kind_of_code(input.code()), input.code(), input.what());
  } catch (const std::bad_alloc&) {
    return report_of_kind(RefusalKind::unavailable, "server.memory",
                          "The server is out of memory; ask again later", 5);
  } catch (...) {
    return report_of_kind(RefusalKind::internal, "server.internal", "Something failed inside the server");
  }
}

ErrorReport report_of_status(int status) {
  switch (status) {
    case 408:
      return report_of_kind(RefusalKind::slow_upload, "request.slow", "The request took too long to arrive");
    case 413:
    case 414:
    case 431:
      return report_of_kind(RefusalKind::header_too_large, "request.head_too_large",
                            "The request line and headers are too large");
    case 500:
      return report_of_kind(RefusalKind::internal, "server.internal", "Something failed inside the server");
    default:
      return report_of_kind(RefusalKind::malformed, "request.malformed",
                            "This is not an acceptable HTTP/1.1 request");
  }
}

HttpResponse error_response(const ErrorReport& report, const std::string& request_id) {
  nlohmann::ordered_json body;
  body["error"] = report.sentence;
  body["code"] = report.code;
  body["reason"] = report.reason;
  body["request_id"] = request_id;
  body["details"] = nlohmann::ordered_json::object();
  if (report.retry_after_seconds > 0) {
    body["details"]["retry_after_seconds"] = report.retry_after_seconds;
  }
  body["retryable"] = report.retryable;
  HttpResponse response;
  response.status = report.status;
  response.content_type = "application/json";
  response.text = body.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
  if (report.retry_after_seconds > 0) {
    response.headers.emplace_back("Retry-After", std::to_string(report.retry_after_seconds));
  }
  if (report.status == 401) {
    response.headers.emplace_back("WWW-Authenticate", "Bearer");
  }
  return response;
}

}  // namespace popcorn::service
