// HTTP/1.1 over TCP or TLS: sockets, time limits, framing. The only file pair of the service that knows
// cpp-httplib, and of that only its request parser and response writer: accepting, waiting and closing are
// done here, since its own loop has no graceful drain, no bound on its queue, a fixed backlog of 5 and reads
// the body that a handler left unread as the next request.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "service/http/http_message.h"

namespace popcorn::service {

struct TlsOptions {
  std::string certificate_file;  ///< PEM chain; empty = plain HTTP
  std::string key_file;          ///< PEM
  std::string client_ca_file;    ///< when set, clients must show a certificate that it signed
};

struct HttpOptions {
  std::string host = "127.0.0.1";
  std::uint16_t port = 0;
  TlsOptions tls;
  unsigned threads = 64;         ///< connections served at once: a thread mostly waits
  std::size_t max_waiting = 64;  ///< accepted connections that wait for a thread; more are answered with 503
  /// Served or waiting, of one address_group(): more are answered with 503; 0 = any number.
  std::size_t max_connections_per_address = 0;
  std::size_t max_head_bytes = 16384;
  std::size_t max_head_line_bytes = 4096;
  std::size_t max_headers = 64;
  std::chrono::milliseconds head_timeout{10'000};  ///< from its first byte to its last
  std::chrono::milliseconds idle_timeout{30'000};  ///< between two requests of a connection
  std::chrono::milliseconds grace{30'000};  ///< a body may be this much slower than `min_bytes_per_second`
  std::uint64_t min_bytes_per_second = 4096;
  std::chrono::milliseconds drain_grace{5'000};  ///< after stop(): for uploads that are under way
};

class HttpServer {
 public:
  /// Both are called from many threads and must not throw.
  struct Handlers {
    std::function<HttpResponse(HttpRequest&)> handle;
    /// Answer to what is not a request: the status that fits is given.
    std::function<HttpResponse(int status)> reject;
  };

  /// @throws IoError "server.tls" when a certificate or key cannot be used
  HttpServer(HttpOptions options, Handlers handlers);
  ~HttpServer();

  /// @throws IoError "server.bind" that names host and port
  std::uint16_t bind();
  /// Serves until stop(). Call bind() first.
  void run();
  /// Serves one connected, non-blocking stream socket in the calling thread, as run() does those that it
  /// accepts; closes it. Without bind().
  void serve(int socket);
  /// No new connections and requests; lets requests that run end. From any thread, also twice.
  void stop();
  /// Reads certificate and key again; connections made from now on use them. @throws IoError "server.tls"
  void reload_tls();
  std::size_t connections() const noexcept;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace popcorn::service
