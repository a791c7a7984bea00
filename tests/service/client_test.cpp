// The client against servers that misbehave.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <functional>
#include <thread>

#include "service/http/http_exchange.h"
#include "tests/service/service_fixture.h"
#include "tests/support/random_network.h"

using namespace popcorn;
using namespace popcorn::test;

namespace {

service::ClientOptions hasty() {
  service::ClientOptions options;
  options.retry_seconds = 0;
  options.round_retry_seconds = 0;
  options.connect_timeout_seconds = 5;
  return options;
}

/// Accepts one connection after the other and answers each first bytes with the next of fixed ones (the last
/// for ever), or with nothing.
class FakeServer {
 public:
  explicit FakeServer(std::string answer) : FakeServer(std::vector<std::string>{std::move(answer)}) {}
  explicit FakeServer(std::vector<std::string> answers)
      : answers_(std::move(answers)), fd_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(::bind(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    REQUIRE(::listen(fd_, 8) == 0);
    socklen_t size = sizeof address;
    ::getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { serve(); });
  }
  ~FakeServer() {
    ::shutdown(fd_, SHUT_RDWR);
    thread_.join();
    ::close(fd_);
  }
  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }
  int requests() const { return requests_; }

 private:
  void serve() {
    for (std::size_t turn = 0;; turn = std::min(turn + 1, answers_.size() - 1)) {
      const std::string& answer = answers_[turn];
      const int connection = ::accept(fd_, nullptr, nullptr);
      if (connection < 0) {
        return;
      }
      std::array<char, 4096> seen;
      if (::recv(connection, seen.data(), seen.size(), 0) > 0) {
        ++requests_;
        ::send(connection, answer.data(), answer.size(), MSG_NOSIGNAL);
      }
      ::shutdown(connection, SHUT_WR);
      ::close(connection);
    }
  }

  const std::vector<std::string> answers_;
  std::atomic<int> requests_{0};
  int fd_;
  std::uint16_t port_ = 0;
  std::thread thread_;
};

std::string http(const std::string& status, const std::string& body,
                 const std::string& type = "application/json") {
  return "HTTP/1.1 " + status + "\r\nContent-Type: " + type +
         "\r\nContent-Length: " + std::to_string(body.size()) + "\r\nConnection: close\r\n\r\n" + body;
}

}  // namespace

TEST_CASE("Server addresses", "[client]") {
  const auto parsed = service::Endpoint::parse("https://example.org");
  CHECK(parsed.tls);
  CHECK(parsed.url == "https://example.org:443");
  CHECK(service::Endpoint::parse("http://[::1]:8080/").url == "http://[::1]:8080");
  CHECK(service::Endpoint::parse("http://localhost:1").port == 1);
  const auto behind_a_proxy = service::Endpoint::parse("https://host/popcorn/");
  CHECK(behind_a_proxy.prefix == "/popcorn");
  CHECK(behind_a_proxy.url == "https://host:443/popcorn");
  for (const std::string url :
       {"", "localhost:8080", "ftp://host", "http://", "http://:80", "http://host:", "http://host:0",
        "http://host:65536", "http://host:8a", "http://host/a b", "http://host/a?b", "http://host/a#b",
        "http://a b", "http://[::1", "http://user@host", "http://host:80:80", "http://host\r\nX: y"}) {
    INFO(url);
    CHECK_THROWS_AS(service::Endpoint::parse(url), UsageError);
    CHECK_THROWS_AS(std::make_unique<service::Client>(url), UsageError);
  }
}

TEST_CASE("The environment's proxy counts, but not for hosts that it excludes", "[client]") {
  const auto host_for = [](const std::string& url) {
    return service::ProxySetting::from_environment(service::Endpoint::parse(url)).host;
  };
  ::setenv("HTTPS_PROXY", "http://user:secret@proxy.example:3128", 1);
  ::setenv("NO_PROXY", "inside.example, .lan", 1);
  const auto proxy = service::ProxySetting::from_environment(service::Endpoint::parse("https://far.example"));
  CHECK(proxy.host == "proxy.example");
  CHECK(proxy.port == 3128);
  CHECK(proxy.user == "user");
  CHECK(proxy.password == "secret");
  CHECK(host_for("http://far.example").empty());  // another variable's
  for (const char* const url : {"https://inside.example", "https://a.inside.example:8443", "https://b.lan",
                                "https://localhost", "https://127.0.0.1"}) {
    CHECK(host_for(url).empty());
  }
  CHECK(host_for("https://notinside.example") == "proxy.example");
  ::setenv("NO_PROXY", "inside.example:8443,far.example:444", 1);
  CHECK(host_for("https://inside.example:8443").empty());
  CHECK(host_for("https://deep.inside.example:8443").empty());
  CHECK(host_for("https://inside.example") == "proxy.example");
  CHECK(host_for("https://far.example") == "proxy.example");
  ::setenv("HTTPS_PROXY", "http://us%40er:pa%3Ass%2f@proxy.example:3128", 1);
  const auto decoded =
      service::ProxySetting::from_environment(service::Endpoint::parse("https://far.example"));
  CHECK(decoded.user == "us@er");
  CHECK(decoded.password == "pa:ss/");
  ::setenv("HTTPS_PROXY", "socks5://proxy.example", 1);
  CHECK_THROWS_WITH(host_for("https://far.example"),
                    Catch::Contains("HTTPS_PROXY") && !Catch::Contains("proxy.example"));
  ::unsetenv("HTTPS_PROXY");
  ::unsetenv("NO_PROXY");
}

TEST_CASE("What a proxy answers becomes a sentence that names the likely cause", "[client]") {
  struct Case {
    std::string answer, sentence;
  };
  const std::string page = "<html><body>Sign in</body></html>";
  for (const Case& one : std::vector<Case>{
           {http("413 Request Entity Too Large", page, "text/html"), "client_max_body_size"},
           {http("502 Bad Gateway", page, "text/html"), "does not reach the Popcorn server"},
           {http("401 Unauthorized", page, "text/html"), "wants a login"},
           {http("407 Proxy Authentication Required", page, "text/html"), "the proxy wants a login"},
           {http("200 OK", page, "text/html"), "a web page"},
           {"HTTP/1.1 301 Moved Permanently\r\nLocation: https://other.example/v2\r\nContent-Length: "
            "0\r\nConnection: close\r\n\r\n",
            "https://other.example/v2"}}) {
    INFO(one.sentence);
    const FakeServer server(one.answer);
    service::ClientOptions options;
    options.retry_seconds = 0;
    service::Client client(server.url(), options);
    CHECK_THROWS_WITH(client.models(), Catch::Contains(one.sentence));
  }
}

TEST_CASE("Nobody listens", "[client]") {
  std::string url;
  {
    const RunningServer server;
    url = server.url();
  }
  try {
    service::Client(url, hasty()).models();
    FAIL("somebody answered");
  } catch (const NetworkError& error) {
    CHECK(error.code() == "network.unreachable");
    CHECK(error.exit_code() == 5);
    CHECK(std::string(error.what()).find(url) != std::string::npos);
  }
}

TEST_CASE("What may pass is asked again, what may not is not", "[client]") {
  const std::string good = http("200 OK", "{\"models\":[]}");
  const auto refusal = [](const std::string& status, const std::string& more = "") {
    return "HTTP/1.1 " + status + "\r\nContent-Length: 0\r\nConnection: close\r\n" + more + "\r\n";
  };
  service::ClientOptions patient;
  patient.retry_seconds = 30;
  {
    // Every status that passes, and a connection that ends without an answer in between.
    const FakeServer server({refusal("503 Service Unavailable", "Retry-After: 0\r\n"),
                             refusal("502 Bad Gateway"), "", refusal("429 Too Many Requests"),
                             refusal("504 Gateway Timeout"), good});
    CHECK(service::Client(server.url(), patient).models().empty());
    CHECK(server.requests() == 6);
  }
  for (const char* final_status :
       {"400 Bad Request", "401 Unauthorized", "404 Not Found", "409 Conflict", "410 Gone",
        "422 Unprocessable", "500 Internal Server Error", "501 Not Implemented"}) {
    CAPTURE(final_status);
    const FakeServer server({refusal(final_status), good});
    CHECK_THROWS_AS(service::Client(server.url(), patient).models(), Error);
    CHECK(server.requests() == 1);
  }
  // A server that wants more time than the caller has is not asked again.
  patient.retry_seconds = 1;
  const FakeServer later({refusal("503 Service Unavailable", "Retry-After: 60\r\n"), good});
  CHECK_THROWS_AS(service::Client(later.url(), patient).models(), RefusedError);
  CHECK(later.requests() == 1);
}

TEST_CASE("Answers that are none are network errors, never crashes", "[client]") {
  const auto answer = GENERATE_COPY(
      std::string(), std::string("garbage\r\n\r\n"),
      std::string("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort"),
      std::string("HTTP/1.1 200 OK\r\nContent-Le"), http("200 OK", "<html>"), http("200 OK", "[]"),
      http("200 OK", ""), http("302 Found", ""), http("502 Bad Gateway", "<html>nginx</html>", "text/html"),
      http("200 OK", "{\"models\":7}"),
      "HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n" + std::string(20 << 20, 'x'));
  const FakeServer server(answer);
  try {
    service::Client(server.url(), hasty()).models();
    FAIL("models out of nothing");
  } catch (const NetworkError& error) {
    CHECK(error.exit_code() == 5);
  } catch (const RefusedError& error) {
    CHECK(std::string(error.what()).find("302") != std::string::npos);
  }
}

TEST_CASE("Statuses map to kinds of errors and a server's text cannot touch the terminal", "[client]") {
  const std::string body =
      "{\"error\":\"\\u001b[31mred\\nline\",\"code\":\"x.y\",\"reason\":\"r\",\"request_id\":\"1\","
      "\"retryable\":false}";
  const auto thrown = [&](const std::string& status) {
    const FakeServer server(http(status, body));
    try {
      service::Client(server.url(), hasty()).models();
    } catch (const Error& error) {
      const std::string text = error.what();
      CHECK(error.code() == "x.y");
      CHECK(text.find('\x1b') == std::string::npos);
      CHECK(text.find('\n') == std::string::npos);
      return error.exit_code();
    }
    return 0;
  };
  CHECK(thrown("401 Unauthorized") == 6);
  CHECK(thrown("403 Forbidden") == 6);
  for (const char* status : {"404 Not Found", "410 Gone", "429 Too Many Requests", "501 No", "503 Busy"}) {
    CHECK(thrown(status) == 7);
  }
  for (const char* status : {"400 Bad", "409 Conflict", "413 Large", "415 Type", "422 Invalid"}) {
    CHECK(thrown(status) == 3);
  }
  CHECK(thrown("504 Slow") == 5);
}

TEST_CASE("A server that dies in mid-inference is a network error", "[client]") {
  const auto model = small_model("tiny");
  SeededRng rng(5);
  const WideVector input = random_input(rng, model->network());
  auto server = std::make_unique<RunningServer>();
  auto options = hasty();
  service::Client client(server->url(), options);
  const auto bundle = client.bundle("tiny");
  try {
    client.infer(bundle, small_key(), input, [&](std::uint64_t done, std::uint64_t, const std::string&) {
      if (done == 1) {
        server.reset();
      }
    });
    FAIL("an inference without a server");
  } catch (const NetworkError& error) {
    CHECK(error.exit_code() == 5);
    CHECK(std::string(error.what()).find("round 2") != std::string::npos);
  }
}
