#include "service/key_admission.h"

#include <catch2/catch.hpp>
#include <future>

#include "service/refusal.h"
#include "tests/service/service_fixture.h"
#include "tests/support/prometheus_text.h"

using namespace popcorn;
using namespace popcorn::test;
using service::KeyAdmission;

namespace {

unsigned seconds_to_wait(KeyAdmission& admission, const std::string& caller,
                         KeyAdmission::Clock::time_point now) {
  try {
    admission.admit(caller, 1, now);
    return 0;
  } catch (const service::Refusal& refusal) {
    CHECK(refusal.code() == "key.rate");
    CHECK(refusal.kind() == service::RefusalKind::over_limit);
    return refusal.retry_after_seconds();
  }
}

/// The JSON of a key whose validation takes a tenth of a second or more: that of a subgroup's generator.
const std::string& laborious_key() {
  static const std::string json = [] {
    SeededRng rng(1);
    return paillier::PrivateKey::generate(2048, paillier::KeyKind::subgroup,
                                          paillier::KeySizePolicy::insecure_test, rng)
        .public_key()
        .to_json();
  }();
  return json;
}

/// Registers the key with several requests at once, no two of them with the same body.
std::vector<RawAnswer> register_at_once(const RunningServer& server, std::size_t batch) {
  constexpr std::size_t kRequests = 8;
  std::vector<std::future<RawAnswer>> requests;
  for (std::size_t i = 0; i < kRequests; ++i) {
    const std::string body = laborious_key() + std::string(batch * kRequests + i, ' ');
    requests.push_back(std::async(
        std::launch::async, [port = server.port(), body] { return ask(port, "POST", "/v2/keys", body); }));
  }
  std::vector<RawAnswer> answers;
  for (auto& request : requests) answers.push_back(request.get());
  return answers;
}

}  // namespace

TEST_CASE("A caller registers so many keys a minute, others are not affected", "[key_admission]") {
  KeyAdmission admission(6);
  auto now = KeyAdmission::Clock::now();
  for (int i = 0; i < 6; ++i) CHECK(seconds_to_wait(admission, "alice", now) == 0);
  CHECK(seconds_to_wait(admission, "alice", now) == 10);
  CHECK(seconds_to_wait(admission, "bob", now) == 0);
  now += std::chrono::seconds(4);
  CHECK(seconds_to_wait(admission, "alice", now) == 6);
  now += std::chrono::seconds(6);
  CHECK(seconds_to_wait(admission, "alice", now) == 0);
  CHECK(seconds_to_wait(admission, "alice", now) == 10);
  now += std::chrono::hours(1);
  for (int i = 0; i < 6; ++i) CHECK(seconds_to_wait(admission, "alice", now) == 0);
  CHECK(seconds_to_wait(admission, "alice", now) > 0);
  admission.give_back("alice");
  CHECK(seconds_to_wait(admission, "alice", now) == 0);
  admission.give_back("carol");
  KeyAdmission open(0);
  for (int i = 0; i < 1000; ++i) CHECK(seconds_to_wait(open, "alice", now) == 0);
}

TEST_CASE("The memory of bodies and callers is bounded", "[key_admission]") {
  KeyAdmission admission(1);
  auto now = KeyAdmission::Clock::now();
  for (int i = 0; i < 4096; ++i) admission.admit("caller " + std::to_string(i), 1, now);
  CHECK_THROWS_AS(admission.admit("one more", 1, now), service::Refusal);
  now += std::chrono::minutes(2);
  CHECK(seconds_to_wait(admission, "one more", now) == 0);

  const auto body = [](int i) { return sha256(as_bytes(std::to_string(i))); };
  for (int i = 0; i < 4097; ++i) admission.remember("alice", body(i), std::to_string(i));
  CHECK_FALSE(admission.known("alice", body(0)));
  CHECK(admission.known("alice", body(1)) == "1");
  CHECK_FALSE(admission.known("bob", body(1)));
}

TEST_CASE("Registering the same key again costs nothing, bad keys cost the caller's share",
          "[key_admission]") {
  auto options = small_server_options();
  options.keys_per_minute = 2;
  const RunningServer server(options);
  const std::string key = small_key()->public_key().to_json();
  CHECK(ask(server.port(), "POST", "/v2/keys", key).status == 201);
  for (int i = 0; i < 5; ++i) CHECK(ask(server.port(), "POST", "/v2/keys", key).status == 200);
  CHECK(ask(server.port(), "POST", "/v2/keys", "{\"kty\": \"DAJ\"}").status == 422);
  const RawAnswer refused = ask(server.port(), "POST", "/v2/keys", "{\"kty\": \"DAJ\"}");
  CHECK(refused.status == 429);
  CHECK(error_code(refused) == "key.rate");
  CHECK_FALSE(refused.header("retry-after").empty());
  CHECK(ask(server.port(), "POST", "/v2/keys", key).status == 200);
  // A key that was forgotten has to be validated again.
  const std::string path = "/v2/keys/" + to_hex(small_key()->public_key().fingerprint());
  CHECK(ask(server.port(), "DELETE", path).status == 204);
  CHECK(ask(server.port(), "POST", "/v2/keys", key).status == 429);
}

TEST_CASE("A full queue refuses to validate a key, says when to come back and keeps nothing of it",
          "[key_admission]") {
  auto options = small_server_options();
  options.workers = 1;
  options.max_queue = 1;
  options.keys_per_minute = 0;
  options.subgroup_keys = true;
  options.admin_port = 0;
  RunningServer server(options);
  const auto registered = [&](const RawAnswer& answer) {
    return answer.status == 200 || answer.status == 201;
  };
  std::size_t refused = 0, batch = 0;
  for (; refused == 0 && batch < 20; ++batch) {  // of eight at once one is computed and one waits
    for (const RawAnswer& answer : register_at_once(server, batch)) {
      if (registered(answer)) continue;
      ++refused;
      INFO(answer.body);
      CHECK(answer.status == 503);
      CHECK(error_code(answer) == "server.busy");
      const int seconds = std::stoi("0" + answer.header("retry-after"));
      CHECK(seconds >= 1);
      CHECK(seconds <= 120);
    }
  }
  CHECK(refused > 0);
  CHECK(registered(ask(server.port(), "POST", "/v2/keys", laborious_key() + std::string(batch * 8, ' '))));
  const auto values = parse_prometheus_text(ask(server.server().admin_port(), "GET", "/metrics").body);
  CHECK(values.at("popcorn_keys") == 1);
  CHECK(values.at("popcorn_queue_depth") == 0);
  CHECK(values.at("popcorn_upload_memory_bytes") == 0);
  CHECK(values.at("popcorn_connections") <= 1);  // the last one may not have been closed yet
}
