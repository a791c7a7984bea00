// What the HTTP server makes of any bytes on a connection: every request that reaches a handler is
// well-formed, a body is what its length says, and the bytes of a body are never taken for a request.
//
// The input is sent as it is; the client then ends its side and reads all answers.
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "service/api/request_reading.h"
#include "service/http/http_server.h"
#include "service/refusal.h"

namespace {

using namespace popcorn;
using namespace popcorn::service;

constexpr std::uint64_t kMaxBody = 1024;

void require(bool condition) {
  if (!condition) std::abort();
}

bool is_clean(const std::string& text) {
  return std::none_of(text.begin(), text.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return (byte < 0x20 && c != '\t') || byte == 0x7f;
  });
}

void check_head(const HttpRequest& request) {
  require(request.path.starts_with('/') && is_clean(request.path) && is_clean(request.query));
  require(is_clean(request.method) && !request.method.empty());
  for (const auto& [name, value] : request.headers) {
    require(!name.empty() && is_clean(value));
    require(std::none_of(name.begin(), name.end(), [](char c) { return c >= 'A' && c <= 'Z'; }));
  }
  require(request.header("content-length").empty() || request.header("transfer-encoding").empty());
  require(request.body->length().has_value() == !request.header("content-length").empty());
}

/// Reads the body of some paths and leaves that of others, as a route that refuses does.
HttpResponse handle(HttpRequest& request) {
  HttpResponse response;
  response.content_type = "text/plain";
  check_head(request);
  if (request.path.starts_with("/r")) {
    try {
      const Bytes body = read_body(request, kMaxBody);
      require(body.size() == request.body->length().value());
      const nlohmann::json object = parse_object(body);
      allow_fields(object, {"key_id"});
      response.text = required_text(object, "key_id");
    } catch (const Refusal& refusal) {
      response.status = 400;
      response.text = refusal.code();
    }
  }
  return response;
}

HttpResponse reject(int status) {
  HttpResponse response;
  response.status = status;
  response.text = "no";
  return response;
}

std::string all_answers(int socket) {
  std::string text;
  std::array<char, 65536> piece{};
  for (ssize_t got = 1; got > 0;) {
    got = ::read(socket, piece.data(), piece.size());
    if (got > 0) text.append(piece.data(), static_cast<std::size_t>(got));
  }
  return text;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static HttpServer server(HttpOptions{}, {handle, reject});
  constexpr std::size_t kLongest = 4096;  // so that all answers fit the socket's buffer
  if (size > kLongest) return 0;
  std::array<int, 2> ends{};
  require(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) == 0);
  require(::write(ends[0], data, size) == static_cast<ssize_t>(size));
  ::shutdown(ends[0], SHUT_WR);
  require(::fcntl(ends[1], F_SETFL, O_NONBLOCK) == 0);
  server.serve(ends[1]);
  const std::string answers = all_answers(ends[0]);
  ::close(ends[0]);
  require(answers.empty() || answers.starts_with("HTTP/1."));
  return 0;
}
