#include "service/api/request_reading.h"

#include <algorithm>

#include "base/json.h"
#include "service/refusal.h"

namespace popcorn::service {
namespace {

constexpr std::size_t kMaxTextField = 256;

[[noreturn]] void malformed(const std::string& code, const std::string& message) {
  throw Refusal(RefusalKind::malformed, code, message);
}

std::string text_of(const nlohmann::json& value, const std::string& name) {
  if (!value.is_string() || value.get_ref<const std::string&>().size() > kMaxTextField) {
    malformed("request.field", "The field " + name + " must be a text of at most " +
                                   std::to_string(kMaxTextField) + " characters");
  }
  return value.get<std::string>();
}

}  // namespace

std::string media_type(const HttpRequest& request) {
  std::string_view value = request.header("content-type");
  value = value.substr(0, value.find(';'));
  while (!value.empty() && (value.back() == ' ' || value.back() == '\t')) {
    value.remove_suffix(1);
  }
  std::string type(value);
  std::transform(type.begin(), type.end(), type.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return type;
}

void require_type(const HttpRequest& request, std::initializer_list<std::string_view> accepted) {
  const std::string_view encoding = request.header("content-encoding");
  if (!encoding.empty() && encoding != "identity") {
    throw Refusal(RefusalKind::wrong_type, "request.content_encoding",
                  "Send the body without Content-Encoding");
  }
  if (std::find(accepted.begin(), accepted.end(), media_type(request)) != accepted.end()) {
    return;
  }
  std::string names;
  for (const std::string_view type : accepted) {
    names += (names.empty() ? "" : " or ") + std::string(type);
  }
  throw Refusal(RefusalKind::wrong_type, "request.content_type",
                "Send this body with Content-Type: " + names);
}

std::uint64_t require_length(const HttpRequest& request, std::uint64_t max_bytes) {
  const auto length = request.body->length();
  if (!length) {
    throw Refusal(RefusalKind::length_required, "request.length_required",
                  "Send the body with a Content-Length; chunked uploads are not taken");
  }
  if (*length > max_bytes) {
    throw Refusal(
        RefusalKind::too_large, "request.too_large",
        "The body is larger than this route takes: at most " + std::to_string(max_bytes) + " bytes");
  }
  return *length;
}

Bytes read_body(HttpRequest& request, std::uint64_t max_bytes) {
  Bytes body;
  body.reserve(require_length(request, max_bytes));
  request.body->read([&](ByteView piece) { body.insert(body.end(), piece.begin(), piece.end()); });
  return body;
}

nlohmann::json parse_object(ByteView body) {
  Json object;
  if (const auto problem = read_json({reinterpret_cast<const char*>(body.data()), body.size()}, object)) {
    malformed("request.json", "The body " + problem->describe());
  }
  if (!object.is_object()) {
    malformed("request.json", "The body must be a JSON object");
  }
  return object;
}

void allow_fields(const nlohmann::json& object, std::initializer_list<std::string_view> names) {
  std::string known;
  for (const std::string_view name : names) {
    known += (known.empty() ? "" : ", ") + std::string(name);
  }
  for (const auto& item : object.items()) {
    if (std::find(names.begin(), names.end(), item.key()) == names.end()) {
      malformed("request.field", "The body has a field that this route does not know; it takes: " + known);
    }
  }
}

std::string required_text(const nlohmann::json& object, const std::string& name) {
  const auto found = object.find(name);
  if (found == object.end()) {
    malformed("request.field", "The field " + name + " is missing");
  }
  return text_of(*found, name);
}

std::string optional_text(const nlohmann::json& object, const std::string& name,
                          const std::string& otherwise) {
  const auto found = object.find(name);
  return found == object.end() ? otherwise : text_of(*found, name);
}

}  // namespace popcorn::service
