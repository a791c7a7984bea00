#include "service/http_exchange.h"

#include <httplib.h>

#include <algorithm>
#include <csignal>
#include <exception>
#include <mutex>

#include "base/error.h"

namespace popcorn::service {
namespace {

constexpr std::size_t kPieceBytes = 65536;

[[noreturn]] void bad_url(const std::string& url) {
  throw UsageError(
      "client.url",
      "The server's address must look like http://host:port or https://host[:port], not \"" + url + "\"");
}

/// A server that dies while the client writes must be an error, not the end of the process.
void ignore_broken_pipes() {
  static std::once_flag once;
  std::call_once(once, [] {
    struct sigaction current {};
    if (::sigaction(SIGPIPE, nullptr, &current) == 0 && current.sa_handler == SIG_DFL) {
      std::signal(SIGPIPE, SIG_IGN);
    }
  });
}

NetworkError network_error(httplib::Error error, const Endpoint& endpoint, const ClientRequest& request) {
  const std::string during = request.what.empty() ? "" : " during " + request.what;
  switch (error) {
    case httplib::Error::Connection:
    case httplib::Error::BindIPAddress:
      return {"network.unreachable", "Cannot connect to " + endpoint.url + during +
                                         ": is the server running, and are host and port right?"};
    case httplib::Error::ConnectionTimeout:
      return {"network.timeout", "No connection to " + endpoint.url + during +
                                     " within the time limit: check the address and the network"};
    case httplib::Error::SSLConnection:
      return {"network.tls",
              "No TLS connection to " + endpoint.url + ": does the server speak TLS on this port?"};
    case httplib::Error::SSLLoadingCerts:
      return {"network.certificate", "Cannot read the authorities to trust for " + endpoint.url};
    case httplib::Error::SSLServerVerification:
      return {"network.certificate",
              "The certificate of " + endpoint.url +
                  " is not trusted or names another host; name its authority's file if it is "
                  "your own"};
    default:
      return {"network.lost", "The connection to " + endpoint.url + " was lost" + during +
                                  ", or no answer came in time: look after the server, then start again"};
  }
}

/// Nothing may be thrown through the library. False when the call failed.
bool without_throwing(std::exception_ptr& failure, const std::function<void()>& call) {
  try {
    call();
    return true;
  } catch (...) {
    failure = std::current_exception();
    return false;
  }
}

}  // namespace

Endpoint Endpoint::parse(const std::string& url) {
  Endpoint endpoint;
  std::string_view rest = url;
  if (rest.starts_with("https://")) {
    endpoint.tls = true;
    rest.remove_prefix(8);
  } else if (rest.starts_with("http://")) {
    rest.remove_prefix(7);
  } else {
    bad_url(url);
  }
  if (rest.ends_with('/')) {
    rest.remove_suffix(1);
  }
  std::string_view port;
  if (rest.starts_with('[')) {
    const std::size_t close = rest.find(']');
    if (close == std::string_view::npos) {
      bad_url(url);
    }
    endpoint.host = rest.substr(1, close - 1);
    port = rest.substr(close + 1);
  } else {
    const std::size_t colon = std::min(rest.find(':'), rest.size());
    endpoint.host = rest.substr(0, colon);
    port = rest.substr(colon);
  }
  const bool strange =
      endpoint.host.empty() || endpoint.host.find_first_of("/?#@ \t\r\n\\") != std::string::npos;
  unsigned long number = endpoint.tls ? 443 : 80;
  if (!port.empty()) {
    port.remove_prefix(1);
    if (port.empty() || port.size() > 5 || port.find_first_not_of("0123456789") != std::string_view::npos) {
      bad_url(url);
    }
    number = std::stoul(std::string(port));
  }
  if (strange || number == 0 || number > 65535) {
    bad_url(url);
  }
  endpoint.port = static_cast<std::uint16_t>(number);
  const bool v6 = endpoint.host.find(':') != std::string::npos;
  endpoint.url = std::string(endpoint.tls ? "https://" : "http://") + (v6 ? "[" : "") + endpoint.host +
                 (v6 ? "]" : "") + ":" + std::to_string(endpoint.port);
  return endpoint;
}

struct HttpExchange::State {
  State(Endpoint where, const ClientOptions& options)
      : endpoint(std::move(where)),
        http(endpoint.url, options.client_certificate_file, options.client_key_file) {
    if (!http.is_valid()) {
      throw NetworkError(
          "network.tls",
          "Cannot set up a client for " + endpoint.url +
              (options.client_certificate_file.empty() ? "" : ": check the client certificate and its key"));
    }
    http.set_keep_alive(true);
    http.set_tcp_nodelay(true);
    http.set_follow_location(false);
    http.set_decompress(false);
    http.set_url_encode(false);
    http.set_connection_timeout(options.connect_timeout_seconds);
    http.set_write_timeout(60);
    if (endpoint.tls) {
      http.enable_server_certificate_verification(options.verify_certificate);
      if (!options.ca_file.empty()) {
        http.set_ca_cert_path(options.ca_file);
      }
    }
    if (!options.token.empty()) {
      http.set_bearer_token_auth(options.token);
    }
  }

  const Endpoint endpoint;
  httplib::Client http;
  std::atomic<bool> interrupted{false};
};

HttpExchange::HttpExchange(Endpoint endpoint, const ClientOptions& options) {
  ignore_broken_pipes();
  state_ = std::make_unique<State>(std::move(endpoint), options);
}

HttpExchange::~HttpExchange() = default;

bool HttpExchange::interrupted() const noexcept {
  return state_->interrupted;
}

void HttpExchange::interrupt() {
  state_->interrupted = true;
  state_->http.stop();
}

ClientAnswer HttpExchange::send(const ClientRequest& request) {
  httplib::Request wire;
  wire.method = request.method;
  wire.path = request.path;
  if (!request.content_type.empty()) {
    wire.set_header("Content-Type", request.content_type);
  }
  if (!request.body.empty()) {
    wire.content_length_ = request.body.size();
    wire.content_provider_ = [&](size_t offset, size_t length, httplib::DataSink& sink) {
      const auto* data = reinterpret_cast<const char*>(request.body.data());
      return sink.write(data + offset, std::min(length, kPieceBytes)) && !state_->interrupted;
    };
  }
  ClientAnswer answer;
  bool too_large = false;
  bool received = false;
  std::exception_ptr failure;
  wire.response_handler = [&](const httplib::Response& head) {
    const AnswerReceiver* receiver = request.receiver;
    received = receiver != nullptr && head.status == 200 &&
               head.get_header_value("Content-Type") == receiver->content_type;
    return !received || without_throwing(failure, receiver->begin);
  };
  wire.content_receiver = [&](const char* data, size_t size, std::uint64_t, std::uint64_t total) {
    const ByteView piece = as_bytes({data, size});
    answer.body_bytes += size;
    too_large = answer.body_bytes > request.max_answer_bytes;
    if (too_large || state_->interrupted) {
      return false;
    }
    if (received) {
      return without_throwing(failure, [&] { request.receiver->take(piece); });
    }
    // Growing step by step would hold an answer of gigabytes twice.
    answer.body.reserve(std::min<std::uint64_t>(total, request.max_answer_bytes));
    answer.body.insert(answer.body.end(), piece.begin(), piece.end());
    return true;
  };
  state_->http.set_read_timeout(request.timeout_seconds);
  httplib::Response response;
  auto error = httplib::Error::Success;
  const bool sent = !state_->interrupted && state_->http.send(wire, response, error);
  if (state_->interrupted) {
    throw Error("interrupted", "Interrupted", 130);
  }
  if (failure) {
    std::rethrow_exception(failure);
  }
  if (too_large) {
    throw NetworkError("network.answer_too_large",
                       "The answer of " + state_->endpoint.url +
                           " is larger than the protocol allows; is it a Popcorn server?");
  }
  if (!sent) {
    throw network_error(error, state_->endpoint, request);
  }
  answer.status = response.status;
  answer.content_type = response.get_header_value("Content-Type");
  answer.retry_after_seconds = static_cast<unsigned>(
      std::min<std::uint64_t>(response.get_header_value<std::uint64_t>("Retry-After"), 3600));
  return answer;
}

}  // namespace popcorn::service
