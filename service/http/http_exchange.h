// One request and its answer from the client's side, over a connection that is kept. With http_server.cpp the
// only place that knows cpp-httplib.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>

#include "base/bytes.h"
#include "service/client/rest_client.h"

namespace popcorn::service {

/// Where a server is.
struct Endpoint {
  bool tls = false;
  std::string host;
  std::uint16_t port = 0;
  std::string prefix;  ///< of all paths, e.g. "/popcorn" behind a proxy; empty or without a slash at its end
  std::string url;     ///< "http://host:port/prefix", for messages

  /// @throws UsageError "client.url"
  static Endpoint parse(const std::string& url);
};

/// The proxy that the environment names for requests to an endpoint: HTTPS_PROXY or HTTP_PROXY (also in lower
/// case, which alone counts for http in a CGI), unless NO_PROXY has the host: a name, a domain (.example.org
/// or example.org), an address, or *.
struct ProxySetting {
  std::string host;  ///< empty: none
  std::uint16_t port = 0;
  std::string user, password;
  /// @throws UsageError "client.proxy" that names the variable, without its value
  static ProxySetting from_environment(const Endpoint& endpoint);
};

/// Takes the body of an answer while it arrives. What it throws ends the transfer and comes out of send().
struct AnswerReceiver {
  std::string content_type;  ///< answers of another type, or with another status than 200, are not for it
  std::function<void()> begin;
  std::function<void(ByteView)> take;
};

struct ClientRequest {
  std::string method;
  std::string path;
  std::string content_type{};
  ByteView body{};
  std::size_t max_answer_bytes = std::size_t{16} << 20;
  unsigned timeout_seconds = 60;
  const AnswerReceiver* receiver = nullptr;
  std::string what{};  ///< for messages: "round 3 of 7 (conv2/relu)"
};

struct ClientAnswer {
  int status = 0;
  std::string content_type;
  std::string location;  ///< of a redirection
  unsigned retry_after_seconds = 0;
  Bytes body;                    ///< empty when a receiver took it
  std::uint64_t body_bytes = 0;  ///< wherever they went
};

/// Thread-safe for interrupt() only.
class HttpExchange {
 public:
  HttpExchange(Endpoint endpoint, const ClientOptions& options);
  ~HttpExchange();

  /// @throws NetworkError that names the URL and what to do; Error "interrupted" after interrupt()
  ClientAnswer send(const ClientRequest& request);
  /// Makes a send() that waits fail, and all later ones. From any thread.
  void interrupt();
  bool interrupted() const noexcept;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace popcorn::service
