// What cpp-httplib 0.11 leaves open, each with the request that shows it, against the bare HTTP layer.
#include <atomic>
#include <catch2/catch.hpp>
#include <functional>
#include <thread>

#include "service/http/http_server.h"
#include "service/refusal.h"
#include "tests/service/service_fixture.h"

using namespace popcorn;
using namespace popcorn::test;
using service::HttpRequest;
using service::HttpResponse;

namespace {

using Handler = std::function<HttpResponse(HttpRequest&)>;

HttpResponse text_response(int status, const std::string& text) {
  HttpResponse response;
  response.status = status;
  response.content_type = "text/plain";
  response.text = text;
  return response;
}

class BareServer {
 public:
  explicit BareServer(Handler handler, service::HttpOptions options = {})
      : http_(options, {std::move(handler), [](int status) { return text_response(status, "rejected"); }}),
        port_(http_.bind()),
        thread_([this] { http_.run(); }) {}
  ~BareServer() {
    http_.stop();
    thread_.join();
  }
  std::uint16_t port() const { return port_; }
  service::HttpServer& http() { return http_; }

 private:
  service::HttpServer http_;
  std::uint16_t port_;
  std::thread thread_;
};

/// Reads the body only for the path /read.
Handler counting_handler(std::atomic<int>& requests, std::string& last_path) {
  return [&](HttpRequest& request) {
    ++requests;
    last_path = request.path;
    std::string body;
    if (request.path == "/read") {
      request.body->read([&](ByteView piece) { body += as_text(piece); });
    }
    return text_response(200, request.method + " " + request.path + " " + body);
  };
}

const std::string kHost = "Host: localhost\r\n";

}  // namespace

TEST_CASE("Requests follow each other on one connection when each body was read", "[http]") {
  std::atomic<int> requests{0};
  std::string path;
  const BareServer server(counting_handler(requests, path));
  RawConnection connection(server.port());
  connection.send("POST /read HTTP/1.1\r\n" + kHost + "Content-Length: 3\r\n\r\nabcGET /next HTTP/1.1\r\n" +
                  kHost + "\r\n");
  CHECK(connection.receive().body == "POST /read abc");
  CHECK(connection.receive().body == "GET /next ");
  CHECK(requests == 2);
}

TEST_CASE("A body that no handler read is never taken for the next request", "[http]") {
  std::atomic<int> requests{0};
  std::string path;
  const BareServer server(counting_handler(requests, path));
  const std::string smuggled = "GET /smuggled HTTP/1.1\r\n" + kHost + "\r\n";
  const std::string length = "Content-Length: " + std::to_string(smuggled.size()) + "\r\n";
  const std::string chunk = "22\r\n" + smuggled + "\r\n0\r\n\r\n";
  const auto head = GENERATE_COPY(
      "POST /unread HTTP/1.1\r\n" + kHost + length + "\r\n" + smuggled,
      "GET /unread HTTP/1.1\r\n" + kHost + length + "\r\n" + smuggled,
      "DELETE /unread HTTP/1.1\r\n" + kHost + length + "\r\n" + smuggled,
      "PUT /unread HTTP/1.1\r\n" + kHost + length + "\r\n" + smuggled,
      "POST /unread HTTP/1.1\r\n" + kHost + "Transfer-Encoding: chunked\r\n\r\n" + chunk,
      "POST /unread HTTP/1.1\r\n" + kHost + "Transfer-Encoding: chunked\r\n\r\n22;a=\"\r\n\"" +
          chunk.substr(2),
      "POST /unread HTTP/1.1\r\n" + kHost + "Transfer-Encoding: chunked\r\n\r\n22;ext\n" + chunk.substr(4),
      "POST /unread HTTP/1.1\r\n" + kHost + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + smuggled);
  RawConnection connection(server.port());
  connection.send(head);
  const RawAnswer answer = connection.receive();
  CHECK(answer.status == 200);
  CHECK(answer.header("connection") == "close");
  CHECK(connection.receive().status == 0);
  CHECK(requests == 1);
  CHECK(path == "/unread");
}

TEST_CASE("Heads whose meaning is in doubt are refused and the connection ends", "[http]") {
  std::atomic<int> requests{0};
  std::string path;
  const BareServer server(counting_handler(requests, path));
  const std::string start = "POST /read HTTP/1.1\r\n" + kHost;
  const auto request = GENERATE_COPY(
      start + "Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
      start + "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      start + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
      start + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      start + "Content-Length: -1\r\n\r\n", start + "Content-Length: +1\r\n\r\na",
      start + "Content-Length: 0x1\r\n\r\na", start + "Content-Length: 1 1\r\n\r\na",
      start + "Content-Length: 99999999999999999999\r\n\r\n", start + "Content-Length : 1\r\n\r\na",
      start + "X: a\r\n b\r\n\r\n", start + "X: a\r\n\tb\r\n\r\n",
      start + "X: a\r\n Content-Length: 1\r\n\r\na",
      start + "Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n", "POST /read HTTP/1.1\r\n " + kHost + "\r\n",
      start + "Content-Length: 1\r\nContent-Length: 1\r\n\r\na", start + "Content-Length: 1,1\r\n\r\na",
      start + "content-length: 1\r\nCONTENT-LENGTH: 2\r\n\r\nab",
      start + "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n0\r\n\r\n",
      start + "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
      start + "Transfer-Encoding\t: chunked\r\n\r\n0\r\n\r\n", start + " Transfer-Encoding: chunked\r\n\r\n",
      start + "Transfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n",
      start + "Transfer-Encoding: identity\r\n\r\n", start + "Transfer-Encoding: xchunked\r\n\r\n",
      start + "X: a\r\r\nContent-Length: 1\r\n\r\na", start + "X: a\n\nGET /smuggled HTTP/1.1\r\n\r\n",
      start + "no colon\r\n\r\n", start + ": no name\r\n\r\n", "\r\n" + start + "\r\n",
      start + "X: a\nTransfer-Encoding: chunked\r\n\r\n", start + "X: a\rb\r\n\r\n",
      start + std::string("X: a\0b\r\n\r\n", 10), start + "X: a%0d%0aSet-Cookie: b\r\n\r\n",
      start + "Host: other\r\n\r\n", std::string("POST /read HTTP/1.1\r\nContent-Length: 0\r\n\r\n"),
      "POST read HTTP/1.1\r\n" + kHost + "\r\n", "POST /a b HTTP/1.1\r\n" + kHost + "\r\n",
      "POST /read HTTP/2.0\r\n" + kHost + "\r\n", "NONSENSE /read HTTP/1.1\r\n" + kHost + "\r\n",
      std::string("\x16\x03\x01\x02\r\n\r\n"));
  RawConnection connection(server.port());
  connection.send(request + "GET /after HTTP/1.1\r\n" + kHost + "\r\n");
  const RawAnswer answer = connection.receive();
  INFO(request);
  CHECK((answer.status == 400 || answer.status == 414));
  CHECK(connection.receive().status == 0);
  CHECK(requests == 0);
}

TEST_CASE("Connections that drip do not keep other addresses out", "[http]") {
  std::atomic<int> requests{0};
  std::string path;
  service::HttpOptions options;
  options.threads = 64;
  options.max_connections_per_address = 32;
  options.head_timeout = std::chrono::minutes(30);
  const BareServer server(counting_handler(requests, path), options);
  std::vector<std::unique_ptr<RawConnection>> dripping;
  for (int i = 0; i < 64; ++i) {
    dripping.push_back(std::make_unique<RawConnection>(server.port(), "127.0.0.9"));
    dripping.back()->send("GET /slow HTTP/1.1\r\nHost: loc");
  }
  const RawAnswer answer =
      ask(server.port(), "GET", "/other");  // a receive() without an answer gives status 0
  CHECK(answer.status == 200);
  // As many as it may have are served when they come to an end, the others were refused.
  int served = 0;
  int refused = 0;
  for (auto& connection : dripping) {
    connection->send("alhost\r\nConnection: close\r\n\r\n");
    const RawAnswer end = connection->receive();
    served += static_cast<int>(end.status == 200);
    refused += static_cast<int>(end.status == 503 || end.status == 0);
  }
  CHECK(served == 32);
  CHECK(refused == 32);
  // What ended makes room again.
  dripping.clear();
  int room = 0;
  for (int i = 0; i < 200 && room < 32; ++i) {
    room += static_cast<int>(ask(server.port(), "GET", "/again", "", "", {}, "127.0.0.9").status == 200);
  }
  CHECK(room == 32);
}

TEST_CASE("A head cannot grow without bound", "[http]") {
  std::atomic<int> requests{0};
  std::string path;
  const BareServer server(counting_handler(requests, path));
  std::string many = "GET / HTTP/1.1\r\n" + kHost;
  for (int i = 0; i < 200; ++i) {
    many += "X-" + std::to_string(i) + ": a\r\n";
  }
  const auto request = GENERATE_COPY(std::string(1 << 20, 'A'),
                                     "GET /" + std::string(1 << 20, 'a') + " HTTP/1.1\r\n" + kHost + "\r\n",
                                     "GET / HTTP/1.1\r\nX: " + std::string(1 << 20, 'b'), many + "\r\n");
  RawConnection connection(server.port());
  connection.send(request);
  CHECK(connection.receive().status == 431);
  CHECK(connection.closed());
  CHECK(requests == 0);
}

TEST_CASE("Ranges, encodings and forwarded addresses of a client change nothing", "[http]") {
  std::string remote;
  std::string seen;
  const BareServer server([&](HttpRequest& request) {
    remote = request.remote_address;
    seen = std::string(request.header("remote_addr"));
    return text_response(200, std::string(4096, 'x'));
  });
  std::string ranges = "bytes=0-1";
  for (int i = 0; i < 500; ++i) {
    ranges += ",0-1";
  }
  const auto range = GENERATE_COPY(std::string("bytes=0-1"), ranges);
  const RawAnswer answer = ask(server.port(), "GET", "/", "", "",
                               {{"Range", range},
                                {"Accept-Encoding", "gzip, br"},
                                {"REMOTE_ADDR", "10.1.2.3"},
                                {"X-Forwarded-For", "10.1.2.3"}});
  CHECK(answer.status == 200);
  CHECK(answer.body == std::string(4096, 'x'));
  CHECK(remote == "127.0.0.1");
  CHECK(seen.empty());
}

TEST_CASE("The interim answer to Expect comes only when the body is wanted", "[http]") {
  std::atomic<int> requests{0};
  std::string path;
  const BareServer server(counting_handler(requests, path));
  const std::string rest = " HTTP/1.1\r\n" + kHost + "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n";
  RawConnection wanted(server.port());
  wanted.send("POST /read" + rest);
  CHECK(wanted.receive().status == 100);
  wanted.send("ok");
  CHECK(wanted.receive().body == "POST /read ok");
  RawConnection unwanted(server.port());
  unwanted.send("POST /unread" + rest);
  CHECK(unwanted.receive().status == 200);
  CHECK(unwanted.closed());
}

TEST_CASE("A refusal reaches a client that goes on sending", "[http]") {
  const BareServer server([](HttpRequest&) { return text_response(413, "too large"); });
  const std::string body(4 << 20, 'x');
  RawConnection connection(server.port());
  connection.send("POST / HTTP/1.1\r\n" + kHost + "Content-Length: " + std::to_string(body.size()) +
                  "\r\n\r\n");
  connection.send(body);
  const RawAnswer answer = connection.receive();
  CHECK(answer.status == 413);
  CHECK(answer.body == "too large");
}

TEST_CASE("What throws inside a handler of the library does not get out", "[http]") {
  const BareServer server([](HttpRequest&) -> HttpResponse { throw std::runtime_error("the secret is 42"); });
  const RawAnswer answer = ask(server.port(), "GET", "/");
  CHECK(answer.status == 500);
  CHECK((answer.head + answer.body).find("secret") == std::string::npos);
  CHECK(answer.header("exception_what").empty());
}

TEST_CASE("Slow clients are cut off", "[http]") {
  service::HttpOptions options;
  options.head_timeout = std::chrono::milliseconds(300);
  options.idle_timeout = std::chrono::milliseconds(300);
  options.grace = std::chrono::milliseconds(300);
  options.threads = 4;
  const BareServer server(
      [](HttpRequest& request) {
        try {
          request.body->read([](ByteView) {});
        } catch (const service::Refusal& refusal) {
          return text_response(refusal.kind() == service::RefusalKind::slow_upload ? 408 : 400,
                               refusal.what());
        }
        return text_response(200, "");
      },
      options);
  SECTION("in the request line") {
    RawConnection connection(server.port());
    connection.send("GET / HT");
    CHECK(connection.receive().status == 408);
    CHECK(connection.closed());
  }
  SECTION("in the headers") {
    RawConnection connection(server.port());
    connection.send("GET / HTTP/1.1\r\nHost: loc");
    CHECK(connection.receive().status == 408);
    CHECK(connection.closed());
  }
  SECTION("in the body") {
    RawConnection connection(server.port());
    connection.send("POST / HTTP/1.1\r\n" + kHost + "Content-Length: 10\r\n\r\nabc");
    CHECK(connection.receive().status == 408);
    CHECK(connection.closed());
  }
  SECTION("between requests") {
    RawConnection connection(server.port());
    connection.send("GET / HTTP/1.1\r\n" + kHost + "\r\n");
    CHECK(connection.receive().status == 200);
    CHECK(connection.closed());
  }
}

TEST_CASE("Idle connections make room for new ones", "[http]") {
  service::HttpOptions options;
  options.threads = 2;
  options.max_waiting = 2;
  options.idle_timeout = std::chrono::minutes(10);
  const BareServer server([](HttpRequest&) { return text_response(200, "here"); }, options);
  std::vector<std::unique_ptr<RawConnection>> connections;
  for (int i = 0; i < 6; ++i) {
    connections.push_back(std::make_unique<RawConnection>(server.port()));
    connections.back()->send("GET / HTTP/1.1\r\n" + kHost + "\r\n");
    CHECK(connections.back()->receive().body == "here");
  }
}

TEST_CASE("More connections than threads and queue hold get an honest answer", "[http]") {
  service::HttpOptions options;
  options.threads = 1;
  options.max_waiting = 1;
  std::atomic<bool> release{false};
  std::atomic<int> running{0};
  const BareServer server(
      [&](HttpRequest&) {
        ++running;
        release.wait(false);
        return text_response(200, "done");
      },
      options);
  RawConnection busy(server.port());
  busy.send("GET / HTTP/1.1\r\n" + kHost + "Connection: close\r\n\r\n");
  while (running == 0) {
    std::this_thread::yield();
  }
  RawConnection waiting(server.port());
  waiting.send("GET / HTTP/1.1\r\n" + kHost + "Connection: close\r\n\r\n");
  RawAnswer refused;
  // The accepting thread may need a moment until it has queued the one that waits.
  for (int i = 0; i < 100 && refused.status != 503; ++i) {
    RawConnection extra(server.port());
    extra.send("GET / HTTP/1.1\r\n" + kHost + "Connection: close\r\n\r\n");
    refused = extra.receive();
  }
  CHECK(refused.status == 503);
  CHECK(refused.header("retry-after") == "1");
  release = true;
  release.notify_all();
  CHECK(busy.receive().body == "done");
  CHECK(waiting.receive().body == "done");
}

TEST_CASE("stop() lets a request that runs end and closes idle connections", "[http]") {
  std::atomic<bool> release{false};
  std::atomic<int> running{0};
  auto server = std::make_unique<BareServer>([&](HttpRequest& request) {
    if (request.path == "/long") {
      ++running;
      release.wait(false);
    }
    return text_response(200, "done");
  });
  RawConnection idle(server->port());
  idle.send("GET /short HTTP/1.1\r\n" + kHost + "\r\n");
  CHECK(idle.receive().body == "done");
  RawConnection busy(server->port());
  busy.send("GET /long HTTP/1.1\r\n" + kHost + "\r\n");
  while (running == 0) {
    std::this_thread::yield();
  }
  server->http().stop();
  server->http().stop();
  CHECK(idle.closed());
  release = true;
  release.notify_all();
  const RawAnswer answer = busy.receive();
  CHECK(answer.body == "done");
  CHECK(answer.header("connection") == "close");
  server.reset();
}

TEST_CASE("Two servers do not share a port", "[http]") {
  const BareServer server([](HttpRequest&) { return text_response(200, ""); });
  service::HttpOptions options;
  options.port = server.port();
  service::HttpServer second(
      options, {[](HttpRequest&) { return HttpResponse{}; }, [](int) { return HttpResponse{}; }});
  try {
    second.bind();
    FAIL("both servers listen");
  } catch (const IoError& error) {
    CHECK(error.code() == "server.bind");
    CHECK(std::string(error.what()).find("127.0.0.1:" + std::to_string(server.port())) != std::string::npos);
  }
}
