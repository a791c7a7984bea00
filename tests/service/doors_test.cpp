// What callers may and may not have of a server that somebody started without much thought.
#include <atomic>
#include <catch2/catch.hpp>
#include <future>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "service/http/address.h"
#include "service/key_admission.h"
#include "service/refusal.h"
#include "service/store/shared_secret.h"
#include "tests/service/service_fixture.h"
#include "tests/support/process.h"

using namespace popcorn;
using namespace popcorn::test;
using nlohmann::json;

namespace {

using Headers = std::vector<std::pair<std::string, std::string>>;

std::string code_at_start(const service::ServerOptions& options) {
  try {
    const RunningServer server(options);
  } catch (const Error& error) {
    return error.code();
  }
  return "";
}

/// The status of POST sessions with small_key(), registered before.
RawAnswer try_session(const RunningServer& server, const Headers& headers = {},
                      const std::string& from = "") {
  const json body = {{"key_id", to_hex(small_key()->public_key().fingerprint())},
                     {"config_id", config_id(server.port(), "tiny", headers)}};
  return ask(server.port(), "POST", "/v2/models/tiny/sessions", body.dump(), "application/json", headers,
             from);
}

const paillier::PublicKey& subgroup_key() {
  static const paillier::PublicKey key = [] {
    SeededRng rng(3);
    return paillier::PrivateKey::generate(512, paillier::KeyKind::subgroup,
                                          paillier::KeySizePolicy::insecure_test, rng)
        .public_key();
  }();
  return key;
}

}  // namespace

TEST_CASE("The HMAC is that of RFC 4231", "[doors]") {
  CHECK(to_hex(service::hmac_sha256(as_bytes("Jefe"), as_bytes("what do ya want for nothing?"))) ==
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

TEST_CASE("A configuration's name is keyed and tells nothing about weights", "[doors]") {
  const TemporaryFolder folder;
  const std::string file = folder.path("secret");
  write_file(file, as_bytes(std::string(63, '3') + "a\n"), 0600);
  auto with_secret = small_server_options();
  with_secret.config_secret_file = file;
  const auto name_of = [](const service::ServerOptions& options) {
    const RunningServer server(options);
    const std::string name = config_id(server.port());
    // Everywhere the same, and nowhere the one that anybody can compute from the weights.
    const std::string guessable = small_model("tiny")->bundle().config_id;
    for (const char* path : {"/v2/models", "/v2/models/tiny", "/v2/models/tiny/client"}) {
      const RawAnswer answer = ask(server.port(), "GET", path);
      CHECK(answer.body.find(name) != std::string::npos);
      for (const std::string& known : {guessable, small_model("tiny")->network().config_id()}) {
        CHECK(answer.body.find(known) == std::string::npos);
        CHECK(answer.head.find(known) == std::string::npos);
      }
    }
    return name;
  };
  const std::string shared = name_of(with_secret);
  CHECK(name_of(with_secret) == shared);
  CHECK(name_of(small_server_options()) != name_of(small_server_options()));
  auto other = with_secret;
  other.models = {small_model("tiny", 77)};
  const RunningServer changed(other);
  CHECK(config_id(changed.port()) != shared);

  auto with_store_key = small_server_options();
  with_store_key.store_key_file = file;
  const std::string derived = name_of(with_store_key);
  CHECK(name_of(with_store_key) == derived);
  CHECK(derived != shared);
}

TEST_CASE("A configuration secret is 64 digits in a file that others cannot read", "[doors]") {
  const TemporaryFolder folder;
  auto options = small_server_options();
  options.config_secret_file = folder.path("secret");
  CHECK(code_at_start(options) == "file.open");
  for (const std::string& bad : {std::string(), std::string(63, 'a'), std::string(65, 'a'),
                                 std::string(64, 'x'), std::string(128, 'a')}) {
    write_file(options.config_secret_file, as_bytes(bad), 0600);
    CHECK(code_at_start(options) == "config_secret.invalid");
  }
  write_file(options.config_secret_file, as_bytes(std::string(64, 'a')), 0604);
  CHECK(code_at_start(options) == "config_secret.permissions");
  write_file(options.config_secret_file, as_bytes(std::string(64, 'a')), 0600);
  CHECK(code_at_start(options).empty());
  auto shared = small_server_options();
  shared.session_store = "redis://127.0.0.1:1/0";
  CHECK(code_at_start(shared) == "server.config_secret");
}

TEST_CASE("An address stands for itself or for its network", "[doors]") {
  CHECK(service::address_group("192.0.2.7") == "192.0.2.7");
  CHECK(service::address_group("::ffff:192.0.2.7") == "192.0.2.7");
  CHECK(service::address_group("2001:db8:1:2:3:4:5:6") == "2001:db8:1:2::/64");
  CHECK(service::address_group("2001:db8:1:2::1") == service::address_group("2001:db8:1:2:ffff::1"));
  CHECK(service::address_group("2001:db8:1:2::1") != service::address_group("2001:db8:1:3::1"));
  CHECK(service::address_group("").empty());
}

TEST_CASE("Without tokens each address has its share of sessions", "[doors]") {
  auto options = small_server_options();
  CHECK(options.token_limits.sessions > 0);
  CHECK(options.token_limits.sessions < options.max_sessions);
  CHECK(options.token_limits.sessions_per_day > 0);
  options.token_limits = {2, 3};
  const RunningServer server(options);
  register_key(server);
  const RawAnswer first = try_session(server, {}, "127.0.0.2");
  REQUIRE(first.status == 201);
  CHECK(try_session(server, {}, "127.0.0.2").status == 201);
  const RawAnswer third = try_session(server, {}, "127.0.0.2");
  CHECK(third.status == 429);
  CHECK(error_code(third) == "caller.sessions");
  CHECK(try_session(server, {}, "127.0.0.3").status == 201);
  const std::string session = json::parse(first.body).at("session_id");
  CHECK(ask(server.port(), "DELETE", "/v2/sessions/" + session).status == 204);
  CHECK(try_session(server, {}, "127.0.0.2").status == 201);
  const auto many = small_model("tiny");
  RawAnswer daily = try_session(server, {}, "127.0.0.3");
  CHECK(daily.status == 201);
  const std::string second = json::parse(daily.body).at("session_id");
  CHECK(ask(server.port(), "DELETE", "/v2/sessions/" + second).status == 204);
  CHECK(try_session(server, {}, "127.0.0.3").status == 201);
  CHECK(ask(server.port(), "DELETE", "/v2/sessions/" + session).status == 410);
  daily = try_session(server, {}, "127.0.0.3");
  CHECK(daily.status == 429);
}

TEST_CASE("No token takes more than half of the sessions, also with requests at the same time", "[doors]") {
  const TemporaryFolder folder;
  const std::string alice = "alice-0123456789abcdef";
  const std::string bob = "bob-0123456789abcdefgh";
  auto options = small_server_options();
  options.token_file = folder.path("tokens");
  options.token_limits = {};
  options.max_sessions = 6;
  write_file(options.token_file, as_bytes(alice + "\n" + bob + "\n"), 0600);
  const RunningServer server(options);
  const auto bearer = [](const std::string& token) { return Headers{{"Authorization", "Bearer " + token}}; };
  for (const auto& token : {alice, bob}) {
    REQUIRE(ask(server.port(), "POST", "/v2/keys", small_key()->public_key().to_json(), "application/json",
                bearer(token))
                .status == 201);
  }
  const json body = {{"key_id", to_hex(small_key()->public_key().fingerprint())},
                     {"config_id", config_id(server.port(), "tiny", bearer(alice))}};
  std::vector<std::future<RawAnswer>> requests;
  for (int i = 0; i < 12; ++i) {
    requests.push_back(std::async(std::launch::async, [&] {
      return ask(server.port(), "POST", "/v2/models/tiny/sessions", body.dump(), "application/json",
                 bearer(alice));
    }));
  }
  int opened = 0;
  for (auto& request : requests) {
    const RawAnswer answer = request.get();
    opened += static_cast<int>(answer.status == 201);
    CHECK((answer.status == 201 || error_code(answer) == "caller.sessions"));
  }
  CHECK(opened == 3);
  for (int i = 0; i < 3; ++i) CHECK(try_session(server, bearer(bob)).status == 201);
  CHECK(error_code(try_session(server, bearer(bob))) == "caller.sessions");
}

TEST_CASE("A page of another origin cannot drain a server or read its metrics", "[doors][admin]") {
  auto options = small_server_options();
  options.admin_port = 0;
  options.admin_names = "popcorn-1,ops.example";
  RunningServer server(options);
  const auto admin = server.server().admin_port();
  const std::string own = "127.0.0.1:" + std::to_string(admin);
  const auto send = [&](const std::string& method, const std::string& path, const std::string& host,
                        const std::string& more) {
    RawConnection connection(admin);
    connection.send(method + " " + path + " HTTP/1.1\r\nHost: " + host + "\r\n" + more +
                    (method == "POST" ? "Content-Length: 0\r\n" : "") + "\r\n");
    return connection.receive();
  };
  const std::string type = "Content-Type: application/json\r\n";
  // What a form or fetch() of a page sends without asking first.
  for (const char* simple : {"", "Content-Type: text/plain\r\n", "Content-Type: multipart/form-data\r\n",
                             "Content-Type: application/x-www-form-urlencoded\r\n"}) {
    CHECK(send("POST", "/admin/drain", own, simple).status == 415);
  }
  for (const char* origin : {"http://evil.example", "null", "https://localhost", "http://127.0.0.1:1"}) {
    const RawAnswer answer =
        send("POST", "/admin/drain", own, type + "Origin: " + std::string(origin) + "\r\n");
    CHECK(answer.status == 403);
    CHECK(error_code(answer) == "admin.origin");
  }
  // The question before a request that is not simple is never answered with a yes.
  CHECK(send("OPTIONS", "/admin/drain", own, "Origin: http://evil.example\r\n").status == 405);
  // A name that was made to point here.
  for (const std::string host : {"evil.example", "evil.example:9090", "localhost.evil.example", "[::1",
                                 "127.0.0.1.evil.example", "popcorn-11", "[::1]x"}) {
    CAPTURE(host);
    CHECK(error_code(send("POST", "/admin/drain", host, type)) == "admin.host");
    CHECK(error_code(send("GET", "/metrics", host, "")) == "admin.host");
  }
  CHECK(ask(server.port(), "GET", "/v2/health/ready").status == 200);
  for (const std::string& host :
       {own, std::string("localhost"), std::string("LocalHost:9"), std::string("[::1]:9"),
        std::string("10.1.2.3:9090"), std::string("popcorn-1:9090"), std::string("ops.example")}) {
    CAPTURE(host);
    CHECK(send("GET", "/metrics", host, "").status == 200);
  }
  CHECK(send("POST", "/admin/drain", own, type + "Origin: http://" + own + "\r\n").status == 200);
  CHECK(ask(server.port(), "GET", "/v2/health/ready").status == 503);
}

TEST_CASE("Subgroup keys are refused unless the server is told to take them", "[doors]") {
  const Bytes binary = subgroup_key().serialise();
  {
    auto options = small_server_options();
    options.keys_per_minute = 1;
    const RunningServer server(options);
    for (int i = 0; i < 3; ++i) {  // without a validation, so without a cost
      const RawAnswer refused = ask(server.port(), "POST", "/v2/keys", subgroup_key().to_json());
      CHECK(refused.status == 422);
      CHECK(error_code(refused) == "key.subgroup");
      CHECK(error_code(ask(server.port(), "POST", "/v2/keys", as_text(binary),
                           "application/vnd.popcorn+octet-stream")) == "key.subgroup");
    }
    CHECK(ask(server.port(), "POST", "/v2/keys", small_key()->public_key().to_json()).status == 201);
  }
  auto options = small_server_options();
  options.subgroup_keys = true;
  const RunningServer server(options);
  CHECK(ask(server.port(), "POST", "/v2/keys", subgroup_key().to_json()).status == 201);
  CHECK(ask(server.port(), "POST", "/v2/keys", as_text(binary), "application/vnd.popcorn+octet-stream")
            .status == 200);
}

TEST_CASE("Keys are charged by what their validation costs", "[doors][key_admission]") {
  using service::KeyClaim;
  const auto cost = [](unsigned bits, paillier::KeyKind kind = paillier::KeyKind::ordinary) {
    return service::cost_of({bits, kind});
  };
  CHECK(cost(0) == 1);
  CHECK(cost(2048) == 1);
  CHECK(cost(2052) == 1);
  CHECK(cost(3072) == 4);
  CHECK(cost(4096) == 8);
  CHECK(cost(0xffffffff) == 8);
  CHECK(cost(2048, paillier::KeyKind::subgroup) == 4);

  SeededRng rng(4);
  for (const unsigned bits : {512U, 2048U, 3072U, 4096U}) {
    Bytes modulus(bits / 8);
    rng.fill(modulus);
    modulus.front() |= 0x80;
    json key = json::parse(small_key()->public_key().to_json());
    key["n"] = std::string((bits + 5) / 6, 'x');
    CHECK(service::cost_of(service::claim_of_json(key)) == cost(bits));
  }
  for (const auto* key : {&small_key()->public_key(), &subgroup_key()}) {
    const KeyClaim claims[] = {service::claim_of_binary(key->serialise()),
                               service::claim_of_json(json::parse(key->to_json()))};
    for (const KeyClaim& claim : claims) {
      CHECK(claim.kind == key->kind());
      CHECK(claim.bits >= key->bits());
      CHECK(claim.bits < key->bits() + 6);
    }
  }
  CHECK(service::claim_of_binary({}).bits == 0);
  CHECK(service::claim_of_json(json::object({{"n", 7}, {"popcorn", "x"}})).bits == 0);

  service::KeyAdmission admission(10);
  const auto now = service::KeyAdmission::Clock::now();
  const auto wait = [&](unsigned costs) {
    try {
      admission.admit("alice", costs, now);
      return 0U;
    } catch (const service::Refusal& refusal) {
      return refusal.retry_after_seconds();
    }
  };
  CHECK(wait(8) == 0);
  CHECK(wait(4) == 12);
  CHECK(wait(1) == 0);
  admission.charge("alice", 8);  // was bad: one was left
  CHECK(wait(1) == 48);
  for (int i = 0; i < 100; ++i) admission.charge("alice", 8);
  CHECK(wait(1) == 66);
  service::KeyAdmission small(2);
  small.admit("alice", 8, now);
  CHECK_THROWS_AS(small.admit("alice", 1, now), service::Refusal);
}

TEST_CASE("A long or bad key uses up more of a caller's share over HTTP", "[doors][key_admission]") {
  auto options = small_server_options();
  options.keys_per_minute = 10;
  const RunningServer server(options);
  json bad = json::parse(small_key()->public_key().to_json());
  bad.erase("popcorn");
  bad["n"] = std::string(4096 / 6, 'A') + "A";  // zero
  CHECK(ask(server.port(), "POST", "/v2/keys", bad.dump()).status == 422);
  CHECK(error_code(ask(server.port(), "POST", "/v2/keys", small_key()->public_key().to_json())) ==
        "key.rate");
}
