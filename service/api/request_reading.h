// Reading a request's body within limits, and JSON fields out of it.
#pragma once

#include <initializer_list>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "service/http/http_message.h"
#include "service/jobs/memory_budget.h"

namespace popcorn::service {

/// Media type without parameters, in lower case.
std::string media_type(const HttpRequest& request);
/// @throws Refusal wrong_type that names what is accepted
void require_type(const HttpRequest& request, std::initializer_list<std::string_view> accepted);
/// The declared length. @throws Refusal length_required, too_large
std::uint64_t require_length(const HttpRequest& request, std::uint64_t max_bytes);
/// The whole body. @throws Refusal length_required, too_large, slow_upload, malformed
Bytes read_body(HttpRequest& request, std::uint64_t max_bytes);

/// A JSON object with text fields only, as every request of the interface is. @throws Refusal malformed
nlohmann::json parse_object(ByteView body);
/// @throws Refusal malformed that names the field
void allow_fields(const nlohmann::json& object, std::initializer_list<std::string_view> names);
std::string required_text(const nlohmann::json& object, const std::string& name);
std::string optional_text(const nlohmann::json& object, const std::string& name,
                          const std::string& otherwise);

}  // namespace popcorn::service
