#include "tests/service/service_fixture.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <map>
#include <nlohmann/json.hpp>

#include "models/evaluation/plaintext_evaluator.h"
#include "protocols/ciphertext/round_plan.h"
#include "protocols/shares/share_facts.h"
#include "protocols/wire/message.h"
#include "tests/support/random_network.h"

namespace popcorn::test {
namespace {

constexpr unsigned kSmallKeyBits = 512;
constexpr int kReceiveLimit = 30'000;

}  // namespace

std::shared_ptr<const protocols::ServedModel> small_model(const std::string& name, std::uint64_t seed) {
  RandomNetworkOptions options;
  options.nodes = 6;
  options.max_extent = 4;
  options.max_channels = 2;
  options.max_weight = 3;
  options.bias_bits = 5;
  for (;; ++seed) {
    SeededRng rng(seed);
    models::IntegerNetwork network = random_network(rng, options);
    network.name = name;
    try {
      protocols::step_list(network, kSmallKeyBits);
    } catch (const InputError&) {
      continue;  // its values need a larger key
    }
    auto model = protocols::ServedModel::create(std::move(network));
    if (model->bundle().steps.size() >= 2) {
      return model;
    }
  }
}

SmallShares small_shares(const std::string& name, std::uint64_t seed) {
  RandomNetworkOptions options = requantised_options();
  options.nodes = 6;
  options.max_extent = 4;
  options.max_channels = 2;
  options.max_weight = 3;
  options.bias_bits = 6;
  for (;; ++seed) {
    SeededRng rng(seed);
    models::IntegerNetwork network = random_network(rng, options);
    network.name = name;
    const WideVector input = random_input(rng, network);
    if (!fit_rings(network, input)) continue;
    try {
      const auto model = protocols::ServedModel::create(std::move(network), protocols::kDefaultChunk, {},
                                                        {"shares", "shares-fast"});
      if (model->bundle().share_facts->nearest.online.size() > 4) return {model, input};
    } catch (const InputError&) {
      continue;  // its values need more than shares have
    }
  }
}

std::shared_ptr<const paillier::KeyOwner> small_key(unsigned variant) {
  static std::mutex mutex;
  static std::map<unsigned, std::shared_ptr<const paillier::KeyOwner>> keys;
  const std::lock_guard lock(mutex);
  auto& key = keys[variant];
  if (!key) {
    SeededRng rng(4711 + variant);
    key = std::make_shared<const paillier::KeyOwner>(paillier::PrivateKey::generate(
        kSmallKeyBits, paillier::KeyKind::ordinary, paillier::KeySizePolicy::insecure_test, rng));
  }
  return key;
}

WideVector plaintext_logits(const protocols::ServedModel& model, const WideVector& input) {
  return models::evaluate(model.network(), input);
}

service::ServerOptions small_server_options() {
  service::ServerOptions options;
  options.port = 0;
  options.models = {small_model("tiny")};
  options.key_policy = paillier::KeySizePolicy::insecure_test;
  return options;
}

RunningServer::RunningServer(service::ServerOptions options) {
  options.log = [this](const std::string& line) {
    const std::lock_guard lock(log_mutex_);
    log_.push_back(line);
  };
  server_ = std::make_unique<service::Server>(std::move(options));
  port_ = server_->bind();
  thread_ = std::thread([this] { server_->run(); });
}

RunningServer::~RunningServer() {
  stop();
}

void RunningServer::stop() {
  server_->stop();
  if (thread_.joinable()) {
    thread_.join();
  }
}

std::vector<std::string> RunningServer::log_lines() const {
  const std::lock_guard lock(log_mutex_);
  return log_;
}

std::string RawAnswer::header(const std::string& lower_case_name) const {
  std::size_t begin = head.find("\r\n");
  while (begin != std::string::npos && begin + 2 < head.size()) {
    begin += 2;
    const std::size_t end = head.find("\r\n", begin);
    const std::string line = head.substr(begin, end - begin);
    const std::size_t colon = line.find(':');
    std::string name = line.substr(0, colon);
    std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return std::tolower(c); });
    if (name == lower_case_name && colon != std::string::npos) {
      return line.substr(std::min(colon + 2, line.size()));
    }
    begin = end;
  }
  return "";
}

RawConnection::RawConnection(std::uint16_t port, const std::string& from)
    : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in address{};
  if (!from.empty()) {
    address.sin_family = AF_INET;
    if (::inet_pton(AF_INET, from.c_str(), &address.sin_addr) != 1 ||
        ::bind(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
      throw NetworkError("test.bind", "no connection from " + from);
    }
  }
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  // Not with Catch2, whose assertions are for one thread.
  if (::connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    throw NetworkError("test.connect", "no connection to port " + std::to_string(port));
  }
}

RawConnection::~RawConnection() {
  ::close(fd_);
}

bool RawConnection::send(const std::string& bytes) {
  std::size_t sent = 0;
  while (sent < bytes.size()) {
    const ssize_t count = ::send(fd_, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
    if (count <= 0) {
      return false;
    }
    sent += static_cast<std::size_t>(count);
  }
  return true;
}

bool RawConnection::closed(int limit_milliseconds) {
  pollfd polled{fd_, POLLIN, 0};
  char byte = 0;
  return received_.empty() && ::poll(&polled, 1, limit_milliseconds) == 1 && ::recv(fd_, &byte, 1, 0) <= 0;
}

RawAnswer RawConnection::receive() {
  RawAnswer answer;
  std::size_t head_end = std::string::npos, length = 0;
  for (;;) {
    if (head_end == std::string::npos) {
      head_end = received_.find("\r\n\r\n");
      if (head_end != std::string::npos) {
        answer.head = received_.substr(0, head_end + 2);
        answer.status = std::stoi(answer.head.substr(9, 3));
        const std::string declared = answer.header("content-length");
        length = declared.empty() ? 0 : std::stoul(declared);
        received_.erase(0, head_end + 4);
      }
    }
    if (head_end != std::string::npos && received_.size() >= length) {
      answer.body = received_.substr(0, length);
      received_.erase(0, length);
      return answer;
    }
    pollfd polled{fd_, POLLIN, 0};
    std::array<char, 65536> piece;
    if (::poll(&polled, 1, kReceiveLimit) != 1) {
      return {};
    }
    const ssize_t count = ::recv(fd_, piece.data(), piece.size(), 0);
    if (count <= 0) {
      return {};
    }
    received_.append(piece.data(), static_cast<std::size_t>(count));
  }
}

RawAnswer ask(std::uint16_t port, const std::string& method, const std::string& path, const std::string& body,
              const std::string& content_type,
              const std::vector<std::pair<std::string, std::string>>& headers, const std::string& from) {
  std::string request = method + " " + path + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n";
  if (method == "POST" || !body.empty()) {
    request += "Content-Length: " + std::to_string(body.size()) + "\r\n";
    request += content_type.empty() ? "" : "Content-Type: " + content_type + "\r\n";
  }
  for (const auto& [name, value] : headers) {
    request += name + ": " + value + "\r\n";
  }
  RawConnection connection(port, from);
  connection.send(request + "\r\n" + body);
  return connection.receive();
}

std::string config_id(std::uint16_t port, const std::string& model,
                      const std::vector<std::pair<std::string, std::string>>& headers) {
  const RawAnswer answer = ask(port, "GET", "/v2/models/" + model + "/client", "", "", headers);
  REQUIRE(answer.status == 200);
  return protocols::bundle_from_json(answer.body).config_id;
}

std::string register_key(const RunningServer& server, unsigned variant) {
  const RawAnswer answer = ask(server.port(), "POST", "/v2/keys", small_key(variant)->public_key().to_json());
  REQUIRE((answer.status == 201 || answer.status == 200));
  return nlohmann::json::parse(answer.body).at("key_id");
}

std::string open_session(const RunningServer& server, const protocols::ServedModel& model, unsigned variant) {
  const nlohmann::json body = {{"key_id", register_key(server, variant)},
                               {"config_id", config_id(server.port(), model.bundle().model)}};
  const RawAnswer answer =
      ask(server.port(), "POST", "/v2/models/" + model.bundle().model + "/sessions", body.dump());
  INFO(answer.body);
  REQUIRE(answer.status == 201);
  return nlohmann::json::parse(answer.body).at("session_id");
}

RawAnswer send_round(const RunningServer& server, const std::string& session, std::uint64_t round,
                     ByteView body) {
  return ask(server.port(), "POST", "/v2/sessions/" + session + "/rounds/" + std::to_string(round),
             as_text(body), "application/vnd.popcorn+octet-stream");
}

namespace {

protocols::SessionOptions with_set_up(const protocols::ClientBundle& bundle,
                                      const std::shared_ptr<const protocols::ot::KeptSetUp>& set_up) {
  protocols::SessionOptions options;
  options.engine = bundle.engines.front();
  options.transfer_set_up = set_up;
  return options;
}

}  // namespace

ClientByHand::ClientByHand(const RunningServer& server, const protocols::ServedModel& model,
                           const WideVector& input,
                           const std::shared_ptr<const protocols::ot::KeptSetUp>& set_up)
    : client_(model.bundle(), small_key(), input, with_set_up(model.bundle(), set_up)) {
  const std::string name = set_up ? to_hex(set_up->id()) : "";
  nlohmann::json body = {{"key_id", register_key(server)},
                         {"config_id", config_id(server.port(), model.bundle().model)},
                         {"engine", model.bundle().engines.front()}};
  if (!model.bundle().sign_tests.empty()) body["sign_test"] = "oblivious";
  if (set_up) body["sign_test_state"] = name;
  const RawAnswer answer =
      ask(server.port(), "POST", "/v2/models/" + model.bundle().model + "/sessions", body.dump());
  INFO(answer.body);
  REQUIRE(answer.status == 201);
  const auto opened = nlohmann::json::parse(answer.body);
  id_ = opened.at("session_id");
  resumed_ = set_up && opened.value("sign_test_state", "") == name;
  message_ = client_.start();
}

std::string ClientByHand::send(const RunningServer& server, bool with_wrong_correction) {
  Bytes message = message_;
  if (with_wrong_correction) {
    const ByteView section = protocols::parse_message(message).sign_test;
    REQUIRE_FALSE(section.empty());
    message[static_cast<std::size_t>(section.data() - message.data())] ^= 1;
  }
  const RawAnswer answer = send_round(server, id_, round_, message);
  if (answer.status != 200) return error_code(answer);
  take(body_of(answer));
  return "";
}

void ClientByHand::take(ByteView answer) {
  const std::optional<ByteView> next = client_.handle(answer);
  message_ = next ? Bytes(next->begin(), next->end()) : Bytes();
  ++round_;
}

WideVector ClientByHand::finish(const RunningServer& server) {
  while (!finished()) REQUIRE(send(server).empty());
  return client_.logits();
}

std::string as_text(ByteView bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

Bytes body_of(const RawAnswer& answer) {
  const ByteView view = as_bytes(answer.body);
  return {view.begin(), view.end()};
}

std::string error_code(const RawAnswer& answer) {
  const nlohmann::json body = nlohmann::json::parse(answer.body, nullptr, false);
  return body.is_object() ? body.value("code", "") : "";
}

}  // namespace popcorn::test
