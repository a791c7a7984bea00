// Work on a round begins before its last byte was sent, on both sides: shown by the order of events, each
// side waiting with its last bytes for the other's first work.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <catch2/catch.hpp>
#include <functional>
#include <future>
#include <thread>

#include "models/file/popcorn_file.h"
#include "protocols/session/cost_prediction.h"
#include "protocols/wire/message.h"
#include "service/jobs/queued_work.h"
#include "service/session_manager.h"
#include "service/store/preparation_folder.h"
#include "tests/service/service_fixture.h"
#include "tests/support/random_network.h"

using namespace popcorn;
using namespace popcorn::test;

namespace {

constexpr std::size_t kHeldBack = 512;

/// Large enough that its rounds are taken in several pieces.
std::shared_ptr<const protocols::ServedModel> large_model(const std::string& name) {
  return protocols::ServedModel::create(models::read_network("models/" + name + ".popcorn"));
}

bool wait_until(const std::function<bool()>& done) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(120);
  while (!done()) {
    if (std::chrono::steady_clock::now() > end) {
      return false;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return true;
}

std::string round_head(const std::string& session, std::uint64_t round, std::size_t bytes) {
  return "POST /v2/sessions/" + session + "/rounds/" + std::to_string(round) +
         " HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/vnd.popcorn+octet-stream\r\n"
         "Content-Length: " +
         std::to_string(bytes) + "\r\n\r\n";
}

/// A server of one large model, a session and the client's first message.
struct Upload {
  explicit Upload(std::shared_ptr<const protocols::ServedModel> served = large_model("mnist-mlp"))
      : model(std::move(served)), server(options(model)), input(random_input(rng, model->network())) {
    session = open_session(server, *model);
    client = std::make_unique<protocols::ClientSession>(model->bundle(), small_key(), input);
    first = as_text(client->start());
  }

  static service::ServerOptions options(const std::shared_ptr<const protocols::ServedModel>& model) {
    auto options = small_server_options();
    options.models = {model};
    return options;
  }

  std::uint64_t ahead() { return server.server().statistics().ciphertexts_ahead; }

  /// Goes on after the first answer, to the end.
  WideVector finish(const RawAnswer& first_answer) {
    RawAnswer answer = first_answer;
    for (std::uint64_t round = 1;; ++round) {
      REQUIRE(answer.status == 200);
      const Bytes body = body_of(answer);
      const std::optional<ByteView> message = client->handle(body);
      if (!message) {
        return client->logits();
      }
      answer = send_round(server, session, round, *message);
    }
  }

  SeededRng rng{61};
  std::shared_ptr<const protocols::ServedModel> model;
  RunningServer server;
  WideVector input;
  std::string session;
  std::unique_ptr<protocols::ClientSession> client;
  std::string first;
};

/// Passes one connection after the other on to a server, and holds the end of each answer with many
/// ciphertexts back until `release` says so.
class Gate {
 public:
  Gate(std::uint16_t backend, std::uint64_t many_ciphertexts, std::function<void()> began,
       std::function<bool()> release)
      : backend_(backend),
        many_ciphertexts_(many_ciphertexts),
        began_(std::move(began)),
        release_(std::move(release)) {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address = loopback(0);
    socklen_t size = sizeof address;
    REQUIRE(::bind(listener_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    REQUIRE(::listen(listener_, 8) == 0);
    ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { serve(); });
  }
  ~Gate() {
    stopped_ = true;
    thread_.join();
    ::close(listener_);
  }
  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }
  int held() const { return held_; }
  bool in_vain() const { return in_vain_; }

 private:
  static sockaddr_in loopback(std::uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
  }

  void serve() {
    while (!stopped_) {
      pollfd waiting{listener_, POLLIN, 0};
      if (::poll(&waiting, 1, 20) == 1) {
        const int client = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
        const int server = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        const sockaddr_in address = loopback(backend_);
        ::connect(server, reinterpret_cast<const sockaddr*>(&address), sizeof address);
        pass(client, server);
        ::close(client);
        ::close(server);
      }
    }
  }

  void pass(int client, int server) {
    std::string answer;  // what the server sent and the client does not have yet
    std::array<char, 65536> piece;
    while (!stopped_) {
      std::array<pollfd, 2> ends{{{client, POLLIN, 0}, {server, POLLIN, 0}}};
      if (::poll(ends.data(), ends.size(), 20) <= 0) {
        continue;
      }
      if (ends[0].revents != 0) {
        const ssize_t got = ::recv(client, piece.data(), piece.size(), 0);
        if (got <= 0) {
          return;
        }
        send_all(server, {piece.data(), static_cast<std::size_t>(got)});
      }
      if (ends[1].revents != 0) {
        const ssize_t got = ::recv(server, piece.data(), piece.size(), 0);
        if (got <= 0) {
          return;
        }
        answer.append(piece.data(), static_cast<std::size_t>(got));
        deliver(client, answer);
      }
    }
  }

  void deliver(int client, std::string& answer) {
    const std::size_t head = answer.find("\r\n\r\n");
    const std::size_t field = answer.find("Content-Length: ");
    if (head == std::string::npos || field > head) {
      return;
    }
    const std::size_t length = std::stoul(answer.substr(field + 16));
    const std::size_t total = head + 4 + length;
    if (answer.size() < total) {
      return;
    }
    if (ciphertexts_of(as_bytes(answer).subspan(head + 4, length)) >= many_ciphertexts_) {
      began_();
      send_all(client, std::string_view(answer).substr(0, total - kHeldBack));
      ++held_;
      in_vain_ = !wait_until(release_) || in_vain_;
      send_all(client, std::string_view(answer).substr(total - kHeldBack, kHeldBack));
    } else {
      send_all(client, std::string_view(answer).substr(0, total));
    }
    answer.erase(0, total);
  }

  static std::uint64_t ciphertexts_of(ByteView body) {
    try {
      return protocols::parse_prefix(body).shape.ciphertexts;
    } catch (const InputError&) {
      return 0;
    }
  }

  static void send_all(int fd, std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) {
        return;
      }
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
  }

  const std::uint16_t backend_;
  const std::uint64_t many_ciphertexts_;
  const std::function<void()> began_;
  const std::function<bool()> release_;
  int listener_ = -1;
  std::uint16_t port_ = 0;
  std::atomic<int> held_{0};
  std::atomic<bool> in_vain_{false};
  std::atomic<bool> stopped_{false};
  std::thread thread_;
};

}  // namespace

TEST_CASE("The server works on a round before its last byte was sent", "[streaming]") {
  Upload upload;
  RawConnection connection(upload.server.port());
  connection.send(round_head(upload.session, 0, upload.first.size()) +
                  upload.first.substr(0, upload.first.size() - kHeldBack));
  CHECK(wait_until([&] { return upload.ahead() > 0; }));
  CHECK(upload.server.server().statistics().ciphertexts_received == 0);
  connection.send(upload.first.substr(upload.first.size() - kHeldBack));
  const RawAnswer answer = connection.receive();
  CHECK(upload.finish(answer) == plaintext_logits(*upload.model, upload.input));
  CHECK(upload.server.server().statistics().multiplications ==
        protocols::predict_cost(*upload.model, small_key()->public_key().bits()).multiplications);
}

TEST_CASE("An upload that is cut off after work began leaves the round open", "[streaming]") {
  Upload upload;
  for (std::uint64_t cut = 1; cut <= 3; ++cut) {
    const std::uint64_t before = upload.ahead();
    RawConnection connection(upload.server.port());
    connection.send(round_head(upload.session, 0, upload.first.size()) +
                    upload.first.substr(0, upload.first.size() - kHeldBack));
    CHECK(wait_until([&] { return upload.ahead() > before; }));
  }
  // Another body may still be the one that counts, since nothing was decided.
  std::string invalid = upload.first;
  std::fill_n(invalid.begin() + 88, small_key()->public_key().ciphertext_bytes(), '\0');
  const RawAnswer refused = send_round(upload.server, upload.session, 0, as_bytes(invalid));
  CHECK(refused.status == 422);
  CHECK(error_code(refused) == "ciphertext.invalid");
  const RawAnswer answer = send_round(upload.server, upload.session, 0, as_bytes(upload.first));
  CHECK(upload.finish(answer) == plaintext_logits(*upload.model, upload.input));
}

TEST_CASE("A long round that is repeated in pieces has one answer", "[streaming]") {
  Upload upload;
  std::array<RawAnswer, 3> answers;
  {
    std::vector<std::thread> senders;
    for (RawAnswer& answer : answers) {
      senders.emplace_back([&upload, &answer] {
        RawConnection connection(upload.server.port());
        connection.send(round_head(upload.session, 0, upload.first.size()));
        for (std::size_t at = 0; at < upload.first.size(); at += 20'000) {
          connection.send(upload.first.substr(at, 20'000));
        }
        answer = connection.receive();
      });
    }
    for (auto& sender : senders) {
      sender.join();
    }
  }
  CHECK(answers[0].body == answers[1].body);
  CHECK(answers[0].body == answers[2].body);
  CHECK(upload.finish(answers[0]) == plaintext_logits(*upload.model, upload.input));
}

TEST_CASE("The client works on an answer before its last byte was sent", "[streaming]") {
  const auto model = large_model("mnist-conv2");
  RunningServer server(Upload::options(model));
  // A key of its own: nobody else decrypts with it.
  SeededRng rng(62);
  const auto key = std::make_shared<const paillier::KeyOwner>(paillier::PrivateKey::generate(
      512, paillier::KeyKind::ordinary, paillier::KeySizePolicy::insecure_test, rng));
  std::atomic<std::uint64_t> before{0};
  constexpr std::uint64_t kTwoRuns = 2 * 128;
  const Gate gate(
      server.port(), kTwoRuns, [&] { before = key->decryptions(); },
      [&] { return key->decryptions() > before; });
  service::Client client(gate.url());
  const WideVector input = random_input(rng, model->network());
  const auto result = client.infer(client.bundle("mnist-conv2"), key, input);
  CHECK(result.logits == plaintext_logits(*model, input));
  CHECK(gate.held() > 0);
  CHECK_FALSE(gate.in_vain());
  CHECK(result.bytes_down == server.server().statistics().bytes_sent);
}

TEST_CASE("A round that is answered later keeps its memory accounted for until it is fetched",
          "[streaming]") {
  const auto model = small_model("tiny");
  service::ModelRegistry models({model}, {}, as_bytes("secret"));
  service::Metrics metrics;
  service::MemoryBudget memory(1 << 20);
  service::KeyRegistry keys({});
  const auto store = service::make_memory_session_store({});
  service::JobQueue queue({1, 8, 8});
  service::SessionManager sessions({}, models, keys, *store, queue, metrics);
  keys.add(small_key()->public_key(), "");
  SeededRng rng(63);
  const WideVector input = random_input(rng, model->network());
  const auto open = [&] {
    service::SessionRequest request;
    request.model = "tiny";
    request.key_id = to_hex(small_key()->public_key().fingerprint());
    request.config_id = models.get("tiny").config_id();
    return sessions.open(request, {});
  };
  const service::SessionInfo fetched = open();
  const service::SessionInfo dropped = open();
  const Bytes body = protocols::ClientSession(model->bundle(), small_key(), input).start();

  std::promise<void> release;
  queue.submit("", [future = release.get_future().share()] { future.wait(); });
  for (const auto& session : {fetched, dropped}) {
    const auto admission = sessions.admit_round(session.id, 0, "");
    const auto upload = sessions.begin_upload(admission, body.size(), memory.take(body.size()));
    upload->append(body);
    CHECK_FALSE(sessions.answer_round(admission, upload, std::chrono::seconds(0)));
  }
  CHECK(memory.used() == 2 * body.size());
  release.set_value();
  std::shared_ptr<const Bytes> answer;
  CHECK(wait_until([&] { return (answer = sessions.answer_of(fetched.id, 0, "")) != nullptr; }));
  CHECK(wait_until([&] { return store->peek(dropped.id, 0).state == service::RoundClaim::State::answered; }));
  CHECK(wait_until([&] { return memory.used() == answer->size(); }));
  sessions.cancel(dropped.id, "");
  CHECK(wait_until([&] { return memory.used() == 0; }));
}
