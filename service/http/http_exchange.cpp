#include "service/http/http_exchange.h"

#include <httplib.h>
#include <openssl/bio.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>

#include <algorithm>
#include <cctype>
#include <csignal>
#include <cstdlib>
#include <ctime>
#include <exception>
#include <mutex>

#include "base/error.h"
#include "service/http/ascii_case.h"

namespace popcorn::service {
namespace {

constexpr std::size_t kPieceBytes = 65536;
constexpr std::size_t kMaxPrefix = 512;

[[noreturn]] void bad_url(const std::string& url) {
  throw UsageError(
      "client.url",
      "The server's address must look like http://host:port or https://host[:port][/prefix], not \"" + url +
          "\"");
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

NetworkError network_error(httplib::Error error, const Endpoint& endpoint, const std::string& proxy,
                           const std::string& certificate_problem, const ClientRequest& request) {
  const std::string during =
      (request.what.empty() ? "" : " during " + request.what) +
      (proxy.empty() ? "" : " through the proxy " + proxy + " that the environment names");
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
      if (!certificate_problem.empty()) {
        return {"network.certificate", "The certificate of " + endpoint.url + " " + certificate_problem};
      }
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
  if (const std::size_t slash = rest.find('/'); slash != std::string_view::npos) {
    std::string_view path = rest.substr(slash);
    rest = rest.substr(0, slash);
    while (path.ends_with('/')) {
      path.remove_suffix(1);
    }
    constexpr std::string_view kAllowed =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._~-%!$&'()*+,;=:@";
    if (path.size() > kMaxPrefix || path.find_first_not_of(kAllowed) != std::string_view::npos) {
      bad_url(url);
    }
    endpoint.prefix = path;
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
                 (v6 ? "]" : "") + ":" + std::to_string(endpoint.port) + endpoint.prefix;
  return endpoint;
}

namespace {

/// "2 Jan 2026 12:00 UTC"
std::string time_text(const ASN1_TIME* time) {
  struct tm parts {};
  if (time == nullptr || ASN1_TIME_to_tm(time, &parts) != 1) {
    return "an unknown date";
  }
  char text[64];
  return std::strftime(text, sizeof text, "%e %b %Y %H:%M UTC", &parts) > 0 ? text + (text[0] == ' ' ? 1 : 0)
                                                                            : "an unknown date";
}

std::string variable(const char* upper_name, bool upper_counts) {
  const std::string name = upper_name;
  const char* value = std::getenv(lower(std::string_view(name)).c_str());
  if ((value == nullptr || *value == '\0') && upper_counts) {
    value = std::getenv(name.c_str());
  }
  return value == nullptr ? std::string() : value;
}

/// @param list of NO_PROXY: hosts, each of which stands for those below it, or host:port; or *
bool without_proxy(const Endpoint& endpoint, const std::string& list) {
  const std::string wanted = lower(std::string_view(endpoint.host));
  const std::string port = ":" + std::to_string(endpoint.port);
  for (std::size_t at = 0; at < list.size();) {
    const std::size_t end = std::min(list.find(',', at), list.size());
    std::string entry = lower(std::string_view(list).substr(at, end - at));
    at = end + 1;
    entry.erase(0, entry.find_first_not_of(" \t"));
    entry.erase(entry.find_last_not_of(" \t") + 1);
    if (entry == "*") {
      return true;
    }
    if (entry.ends_with(port)) {
      entry.resize(entry.size() - port.size());
    }
    if (entry.starts_with('.')) {
      entry.erase(0, 1);
    }
    if (entry.empty()) {
      continue;
    }
    if (wanted == entry || wanted.ends_with("." + entry)) {
      return true;
    }
  }
  return false;
}

}  // namespace

ProxySetting ProxySetting::from_environment(const Endpoint& endpoint) {
  ProxySetting proxy;
  const std::string url = endpoint.tls ? variable("HTTPS_PROXY", true)
                                       : variable("HTTP_PROXY", std::getenv("REQUEST_METHOD") == nullptr);
  const bool loopback =
      endpoint.host == "localhost" || endpoint.host == "::1" || endpoint.host.starts_with("127.");
  if (url.empty() || loopback || without_proxy(endpoint, variable("NO_PROXY", true))) {
    return proxy;
  }
  std::string_view rest = url;
  const auto bad = [&] {
    return UsageError("client.proxy", std::string("The environment variable ") +
                                          (endpoint.tls ? "HTTPS_PROXY" : "HTTP_PROXY") +
                                          " must look like http://[user:password@]host:port");
  };
  if (rest.starts_with("http://")) {
    rest.remove_prefix(7);
  } else if (rest.find("://") != std::string_view::npos) {
    throw bad();
  }
  while (rest.ends_with('/')) {
    rest.remove_suffix(1);
  }
  if (const std::size_t at = rest.rfind('@'); at != std::string_view::npos) {
    const std::string_view who = rest.substr(0, at);
    const std::size_t colon = std::min(who.find(':'), who.size());
    // Percent-encoded where a character means something else in an address.
    const auto decoded = [](std::string_view text) {
      return httplib::detail::decode_url(std::string(text), false);
    };
    proxy.user = decoded(who.substr(0, colon));
    proxy.password = colon < who.size() ? decoded(who.substr(colon + 1)) : "";
    rest.remove_prefix(at + 1);
  }
  const std::size_t colon = rest.rfind(':');
  const std::string_view port = colon == std::string_view::npos ? "80" : rest.substr(colon + 1);
  proxy.host = rest.substr(0, colon);
  if (proxy.host.empty() || port.empty() || port.size() > 5 ||
      port.find_first_not_of("0123456789") != std::string_view::npos ||
      std::stoul(std::string(port)) > 65535) {
    throw bad();
  }
  proxy.port = static_cast<std::uint16_t>(std::stoul(std::string(port)));
  return proxy;
}

struct HttpExchange::State {
  /// Why the server's certificate was refused, as the end of a sentence; empty when only its name is wrong or
  /// nobody knows.
  std::string certificate_problem() const {
    const long result = http.get_openssl_verify_result();
    switch (result) {
      case X509_V_ERR_CERT_HAS_EXPIRED:
      case X509_V_ERR_CERT_NOT_YET_VALID:
        return dates_problem(result == X509_V_ERR_CERT_HAS_EXPIRED);
      case X509_V_OK:
        return "is for another host than " + endpoint.host;
      case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
      case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
      case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
      case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
      case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
        return "is signed by nobody who is trusted here; name its authority's file (--ca) if it is your own";
      default:
        return std::string("was refused: ") + X509_verify_cert_error_string(result);
    }
  }

  /// Asks again without verifying, to tell the date.
  std::string dates_problem(bool expired) const;

  State(Endpoint where, const ClientOptions& options)
      : endpoint(std::move(where)),
        http(endpoint.url.substr(0, endpoint.url.size() - endpoint.prefix.size()),
             options.client_certificate_file, options.client_key_file) {
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
    if (const ProxySetting proxy = ProxySetting::from_environment(endpoint); !proxy.host.empty()) {
      through_proxy = proxy.host + ":" + std::to_string(proxy.port);
      http.set_proxy(proxy.host, proxy.port);
      if (!proxy.user.empty()) {
        http.set_proxy_basic_auth(proxy.user, proxy.password);
      }
    }
    if (!options.token.empty()) {
      http.set_bearer_token_auth(options.token);
    }
  }

  const Endpoint endpoint;
  std::string through_proxy;  ///< "host:port", for messages
  httplib::Client http;
  std::atomic<bool> interrupted{false};
};

std::string HttpExchange::State::dates_problem(bool expired) const {
  std::string when = "a date that is over";
  const std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context(SSL_CTX_new(TLS_client_method()),
                                                                  SSL_CTX_free);
  const std::string place = endpoint.host + ":" + std::to_string(endpoint.port);
  const std::unique_ptr<BIO, decltype(&BIO_free_all)> connection(BIO_new_ssl_connect(context.get()),
                                                                 BIO_free_all);
  SSL* ssl = nullptr;
  if (connection && through_proxy.empty()) {
    BIO_get_ssl(connection.get(), &ssl);
    BIO_set_conn_hostname(connection.get(), place.c_str());
    if (ssl != nullptr) {
      SSL_set_tlsext_host_name(ssl, endpoint.host.c_str());
    }
    if (ssl != nullptr && BIO_do_handshake(connection.get()) == 1) {
      const std::unique_ptr<X509, decltype(&X509_free)> certificate(SSL_get1_peer_certificate(ssl),
                                                                    X509_free);
      if (certificate) {
        when = time_text(expired ? X509_get0_notAfter(certificate.get())
                                 : X509_get0_notBefore(certificate.get()));
      }
    }
  }
  return expired ? "expired on " + when + "; its operator must renew it"
                 : "is valid from " + when + " on only; is this machine's clock right?";
}

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
  wire.path = state_->endpoint.prefix + request.path;
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
    const bool refused_certificate = error == httplib::Error::SSLServerVerification;
    throw network_error(error, state_->endpoint, state_->through_proxy,
                        refused_certificate ? state_->certificate_problem() : std::string(), request);
  }
  answer.status = response.status;
  answer.content_type = response.get_header_value("Content-Type");
  answer.location = response.get_header_value("Location");
  answer.retry_after_seconds = static_cast<unsigned>(
      std::min<std::uint64_t>(response.get_header_value<std::uint64_t>("Retry-After"), 3600));
  return answer;
}

}  // namespace popcorn::service
