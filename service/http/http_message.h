// A request and a response as the routes see them: no HTTP library, no sockets.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.h"

namespace popcorn::service {

/// The body of a request. Nothing of it is read before a route asks, so that a refusal costs no upload.
class RequestBody {
 public:
  virtual ~RequestBody() = default;
  /// Nothing when the client declared none.
  virtual std::optional<std::uint64_t> length() const = 0;
  /// Transfer-Encoding: chunked, so the length is not known before the end.
  virtual bool chunked() const = 0;
  /// Hands over the declared length in pieces; at most once. @throws Refusal slow_upload, malformed
  virtual void read(const std::function<void(ByteView)>& sink) = 0;
};

struct HttpRequest {
  std::string method;
  std::string path;   ///< as sent: nothing is decoded, no route needs it
  std::string query;  ///< after '?', as sent
  std::map<std::string, std::string, std::less<>> headers;  ///< names in lower case
  std::string remote_address;  ///< of the socket's other end, never from a header
  RequestBody* body = nullptr;

  std::string_view header(std::string_view lower_case_name) const {
    const auto found = headers.find(lower_case_name);
    return found == headers.end() ? std::string_view{} : std::string_view{found->second};
  }
};

struct HttpResponse {
  int status = 200;
  std::string content_type;
  std::string text;
  std::shared_ptr<const Bytes> binary;  ///< instead of `text` when set
  std::vector<std::pair<std::string, std::string>> headers;

  std::size_t body_bytes() const noexcept { return binary ? binary->size() : text.size(); }
};

}  // namespace popcorn::service
