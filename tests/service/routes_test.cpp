// Every answer of the routes, also the unfriendly ones, over real sockets.
#include <array>
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <set>

#include "protocols/wire/message.h"
#include "tests/paillier/big_integer.h"
#include "tests/service/service_fixture.h"
#include "tests/support/random_network.h"

using namespace popcorn;
using namespace popcorn::test;
using nlohmann::json;

namespace {

constexpr const char* kRound = "application/vnd.popcorn+octet-stream";
const std::string kUnknownSession(32, '0');

struct Inference {
  std::shared_ptr<const protocols::ServedModel> model = small_model("tiny");
  WideVector input;
  std::unique_ptr<protocols::ClientSession> client;

  explicit Inference(unsigned variant = 0) {
    SeededRng rng(7);
    input = random_input(rng, model->network());
    client = std::make_unique<protocols::ClientSession>(model->bundle(), small_key(variant), input);
  }
};

void check_error(const RawAnswer& answer, int status, const std::string& code) {
  INFO(answer.body);
  CHECK(answer.status == status);
  const json body = json::parse(answer.body, nullptr, false);
  REQUIRE(body.is_object());
  CHECK(body.at("code") == code);
  CHECK(body.at("error").is_string());
  CHECK(body.at("reason").is_string());
  CHECK(body.at("details").is_object());
  CHECK(body.at("retryable").is_boolean());
  CHECK(body.at("request_id") == answer.header("x-request-id"));
  CHECK(answer.header("content-type") == "application/json");
}

}  // namespace

TEST_CASE("a server of the blinded sign test alone starts, and tells what an inference moves", "[service]") {
  service::ServerOptions options = small_server_options();
  options.models = {
      protocols::ServedModel::create(small_model("tiny")->network(), protocols::kDefaultChunk, {"blinded"})};
  const RunningServer server(options);
  const RawAnswer answer = ask(server.port(), "GET", "/v2/models/tiny");
  REQUIRE(answer.status == 200);
  const json described = json::parse(answer.body);
  CHECK(described.at("sign_tests") == std::vector<std::string>{"blinded"});
  CHECK_FALSE(described.at("expected_traffic").empty());
}

TEST_CASE("Health, metadata and models", "[routes]") {
  const RunningServer server;
  const auto get = [&](const std::string& path) {
    const RawAnswer answer = ask(server.port(), "GET", path);
    INFO(path << ": " << answer.body);
    REQUIRE(answer.status == 200);
    CHECK(answer.header("x-content-type-options") == "nosniff");
    return json::parse(answer.body);
  };
  CHECK(get("/v2/health/live") == json{{"live", true}});
  CHECK(get("/v2/health/ready") == json{{"ready", true}});
  const json about = get("/v2");
  CHECK(about.at("name") == "popcorn");
  CHECK(about.at("extensions") == json{"oblivious_inference_v1"});
  const auto model = small_model("tiny");
  CHECK(get("/v2/models").at("models").at(0).at("name") == "tiny");
  CHECK(get("/v2/models/tiny/ready") == json{{"name", "tiny"}, {"ready", true}});
  const json described = get("/v2/models/tiny");
  CHECK(described.at("inputs").at(0).at("shape").size() == 4);
  CHECK(described.at("outputs").at(0).at("shape").at(1) == model->bundle().output_count);
  CHECK(described.at("steps").size() == model->bundle().steps.size());
  CHECK(described.at("expected_traffic").size() == 3);
  CHECK(described.at("config_id") == config_id(server.port()));
  CHECK(described.dump().find("weight") == std::string::npos);
  const RawAnswer head = ask(server.port(), "HEAD", "/v2/nothing");
  CHECK(head.body.empty());
}

TEST_CASE("Unknown paths, names and methods", "[routes]") {
  const RunningServer server;
  const auto port = server.port();
  check_error(ask(port, "GET", "/"), 404, "route.not_found");
  check_error(ask(port, "GET", "/v2/"), 404, "route.not_found");
  check_error(ask(port, "GET", "/v2/models//client"), 404, "route.not_found");
  check_error(ask(port, "GET", "/v2/models/" + std::string(3000, 'a')), 404, "model.not_found");
  check_error(ask(port, "GET", "/v2/models/%74iny"), 404, "model.not_found");
  check_error(ask(port, "GET", "/v2/../etc/passwd"), 404, "route.not_found");
  check_error(ask(port, "POST", "/v2/models/other/infer"), 404, "model.not_found");
  check_error(ask(port, "POST", "/v2/models/tiny/infer", "{}"), 501, "infer.plaintext");
  const RawAnswer missing = ask(port, "GET", "/v2/models/other/client");
  check_error(missing, 404, "model.not_found");
  CHECK(missing.body.find("served: tiny") != std::string::npos);
  const RawAnswer method = ask(port, "PATCH", "/v2/keys/00", "{}");
  check_error(method, 405, "route.method_not_allowed");
  CHECK(method.header("allow") == "GET, DELETE");
}

TEST_CASE("The client bundle has an ETag", "[routes]") {
  const RunningServer server;
  const RawAnswer answer = ask(server.port(), "GET", "/v2/models/tiny/client");
  REQUIRE(answer.status == 200);
  const auto bundle = protocols::bundle_from_json(answer.body);
  // Keyed by the server: the name that anybody could compute from guessed weights is not it.
  CHECK(bundle.config_id.size() == 64);
  CHECK(bundle.config_id != small_model("tiny")->bundle().config_id);
  const std::string etag = answer.header("etag");
  REQUIRE(etag.size() > 16);
  const RawAnswer same =
      ask(server.port(), "GET", "/v2/models/tiny/client", "", "", {{"If-None-Match", etag}});
  CHECK(same.status == 304);
  CHECK(same.body.empty());
  CHECK(same.header("etag") == etag);
  CHECK(ask(server.port(), "GET", "/v2/models/tiny/client", "", "", {{"If-None-Match", "\"x\""}}).status ==
        200);
}

TEST_CASE("Keys: registered once, in three forms, forgotten", "[routes]") {
  const RunningServer server;
  const auto port = server.port();
  const auto& key = small_key()->public_key();
  const std::string id = to_hex(key.fingerprint());
  const RawAnswer first = ask(port, "POST", "/v2/keys", key.to_json());
  CHECK(first.status == 201);
  CHECK(first.header("location") == "/v2/keys/" + id);
  CHECK(json::parse(first.body) == json{{"key_id", id}, {"kind", "ordinary"}, {"bits", key.bits()}});
  CHECK(ask(port, "POST", "/v2/keys", key.to_json()).status == 200);
  CHECK(ask(port, "POST", "/v2/keys", as_text(key.serialise()), kRound).status == 200);
  const json jwk = {{"kty", "DAJ"},
                    {"alg", "PAI-GN1"},
                    {"key_ops", {"encrypt"}},
                    {"n", to_base64url(key.modulus())},
                    {"kid", "python-paillier"}};
  // As python-paillier writes it, it lacks the proof, which Popcorn's object within it has.
  check_error(ask(port, "POST", "/v2/keys", jwk.dump(), "application/json; charset=utf-8"), 422,
              "key.proof_missing");
  json proved = jwk;
  proved["popcorn"] = json::parse(key.to_json()).at("popcorn");
  CHECK(ask(port, "POST", "/v2/keys", proved.dump(), "application/json; charset=utf-8").status == 200);
  std::string proof = proved["popcorn"]["proof"];
  proof[100] = proof[100] == 'A' ? 'B' : 'A';
  proved["popcorn"]["proof"] = proof;
  check_error(ask(port, "POST", "/v2/keys", proved.dump()), 422, "key.proof");
  const Bytes without =
      paillier::PublicKey::from_modulus(key.modulus(), paillier::KeySizePolicy::insecure_test).serialise();
  check_error(ask(port, "POST", "/v2/keys", as_text(without), kRound), 422, "key.proof_missing");
  CHECK(ask(port, "GET", "/v2/keys/" + id).status == 200);
  CHECK(ask(port, "DELETE", "/v2/keys/" + id).status == 204);
  check_error(ask(port, "GET", "/v2/keys/" + id), 404, "key.not_found");
  check_error(ask(port, "DELETE", "/v2/keys/" + id), 404, "key.not_found");
  check_error(ask(port, "GET", "/v2/keys/zz"), 404, "key.not_found");
}

TEST_CASE("Keys that are none are refused", "[routes]") {
  const RunningServer server;
  const auto port = server.port();
  check_error(ask(port, "POST", "/v2/keys", "{"), 400, "request.json");
  check_error(ask(port, "POST", "/v2/keys", "[1]"), 400, "request.json");
  check_error(ask(port, "POST", "/v2/keys", std::string(60000, '[')), 400, "request.json");
  check_error(ask(port, "POST", "/v2/keys", "{}", "text/plain"), 415, "request.content_type");
  check_error(ask(port, "POST", "/v2/keys", "a=b", "application/x-www-form-urlencoded"), 415,
              "request.content_type");
  // cpp-httplib has a limit of its own for curl's default type, which must not show.
  check_error(ask(port, "POST", "/v2/keys", std::string(20000, 'a'), "application/x-www-form-urlencoded"),
              415, "request.content_type");
  check_error(ask(port, "POST", "/v2/keys", "{}", "application/json", {{"Content-Encoding", "gzip"}}), 415,
              "request.content_encoding");
  check_error(ask(port, "POST", "/v2/keys", std::string(100000, ' ')), 413, "request.too_large");
  for (const std::string& body :
       {json{{"kty", "DAJ"}}.dump(), json{{"kty", "DAJ"}, {"alg", "PAI-GN1"}, {"n", "AQAB"}}.dump(),
        json{{"kty", "DAJ"}, {"alg", "PAI-GN1"}, {"n", to_base64url(Bytes(64, 0xff))}}.dump()}) {
    const RawAnswer answer = ask(port, "POST", "/v2/keys", body);
    INFO(answer.body);
    CHECK(answer.status == 422);
    CHECK(error_code(answer).starts_with("key."));
  }
  const RawAnswer binary = ask(port, "POST", "/v2/keys", "garbage", kRound);
  CHECK(binary.status == 422);
  CHECK(error_code(binary).starts_with("key."));
}

TEST_CASE("Keys whose modulus nobody can prove fit are refused", "[routes]") {
  constexpr unsigned kBits = 512;
  SeededRng rng(12);
  const auto fill = [](const BigInteger& part,
                       const BigInteger& step) {  // the prime q ≡ 1 (mod step) with part·q of kBits bits
    BigInteger high;
    mpz_setbit(high.get(), kBits - 1);
    mpz_setbit(high.get(), kBits - 2);
    BigInteger q = high / part / step * step + 1;
    while (mpz_probab_prime_p(q.get(), 30) == 0) q = q + step;
    return q;
  };
  const BigInteger small = BigInteger::random_prime(17, rng);
  BigInteger prime_power = 1;  // of ../shared/attacks: its maker reads the first layer
  for (int i = 0; i < 27; ++i) prime_power = prime_power * small;
  const BigInteger half = BigInteger::random_prime(150, rng);
  auto options = small_server_options();
  options.keys_per_minute = 0;
  const RunningServer server(options);
  const auto port = server.port();
  const auto make_key = [&] {
    return paillier::PrivateKey::generate(kBits, paillier::KeyKind::ordinary,
                                          paillier::KeySizePolicy::insecure_test, rng)
        .public_key();
  };
  const auto honest = make_key();
  const auto other = make_key();
  const auto proof_of_other = json::parse(other.to_json()).at("popcorn").at("proof");
  const auto refuse = [&](ByteView modulus) {
    const auto key = paillier::PublicKey::from_modulus(modulus, paillier::KeySizePolicy::insecure_test);
    Bytes wire = key.serialise();
    check_error(ask(port, "POST", "/v2/keys", as_text(wire), kRound), 422, "key.proof_missing");
    wire[4] = 2;  // the version with a proof
    check_error(ask(port, "POST", "/v2/keys", as_text(wire), kRound), 422, "key.truncated");
    wire.insert(wire.end(), other.proof().begin(), other.proof().end());
    check_error(ask(port, "POST", "/v2/keys", as_text(wire), kRound), 422, "key.proof");
    wire.pop_back();
    check_error(ask(port, "POST", "/v2/keys", as_text(wire), kRound), 422, "key.truncated");
    json text = json::parse(key.to_json());
    check_error(ask(port, "POST", "/v2/keys", text.dump()), 422, "key.proof_missing");
    text["popcorn"]["version"] = 2;
    check_error(ask(port, "POST", "/v2/keys", text.dump()), 422, "key.field");
    text["popcorn"]["proof"] = proof_of_other;
    check_error(ask(port, "POST", "/v2/keys", text.dump()), 422, "key.proof");
    text["popcorn"]["proof"] = to_base64url(other.proof().first(other.proof().size() - 1));
    check_error(ask(port, "POST", "/v2/keys", text.dump()), 422, "key.proof");
    CHECK(ask(port, "GET", "/v2/keys/" + to_hex(key.fingerprint())).status == 404);
  };
  SECTION("p^27·q with p of 17 bits") {
    refuse((prime_power * fill(prime_power, 2)).bytes());
  }
  SECTION("p²·q") {
    refuse((half * half * fill(half * half, 2)).bytes());
  }
  SECTION("p·q with p a factor of q − 1") {
    refuse((half * fill(half, half * 2)).bytes());
  }
  SECTION("a fit modulus with the proof of another") {
    refuse(honest.modulus());
  }
  CHECK(ask(port, "POST", "/v2/keys", as_text(honest.serialise()), kRound).status == 201);
}

TEST_CASE("A server for everybody takes no small keys", "[routes]") {
  auto options = small_server_options();
  options.key_policy = paillier::KeySizePolicy::standard;
  const RunningServer server(options);
  const RawAnswer answer = ask(server.port(), "POST", "/v2/keys", small_key()->public_key().to_json());
  CHECK(answer.status == 422);
  CHECK(error_code(answer).starts_with("key."));
}

TEST_CASE("Uploads without a length are refused", "[routes]") {
  const RunningServer server;
  const auto model = small_model("tiny");
  const std::string session = open_session(server, *model);
  const std::size_t route = GENERATE(0, 1, 2);
  const std::string path = std::array{std::string("/v2/keys"), std::string("/v2/models/tiny/sessions"),
                                      "/v2/sessions/" + session + "/rounds/0"}
                               .at(route);
  const auto type = path.ends_with("/0") ? std::string(kRound) : std::string("application/json");
  const std::string head = "POST " + path + " HTTP/1.1\r\nHost: localhost\r\nContent-Type: " + type + "\r\n";
  RawConnection none(server.port());
  none.send(head + "\r\n");
  check_error(none.receive(), 411, "request.length_required");
  RawConnection chunked(server.port());
  chunked.send(head + "Transfer-Encoding: chunked\r\n\r\nffffff\r\n");
  check_error(chunked.receive(), 411, "request.length_required");
  CHECK(chunked.closed());
}

TEST_CASE("Sessions: opened, looked at, cancelled", "[routes]") {
  const RunningServer server;
  const auto port = server.port();
  const auto model = small_model("tiny");
  const std::string key = register_key(server);
  const std::string path = "/v2/models/tiny/sessions";
  const json good = {{"key_id", key}, {"config_id", config_id(server.port())}};
  const auto with = [&](const std::string& field, const json& value) {
    json body = good;
    body[field] = value;
    return body.dump();
  };
  const RawAnswer opened = ask(port, "POST", path, good.dump());
  REQUIRE(opened.status == 201);
  const json session = json::parse(opened.body);
  const std::string id = session.at("session_id");
  CHECK(id.size() == 32);
  CHECK(opened.header("location") == "/v2/sessions/" + id);
  CHECK(session.at("state") == "active");
  CHECK(session.at("next_round") == 0);
  CHECK(json::parse(ask(port, "GET", "/v2/sessions/" + id).body).at("rounds") == session.at("rounds"));
  CHECK(ask(port, "POST", path, with("sign_test", model->bundle().sign_tests.at(0))).status == 201);
  CHECK(ask(port, "POST", path, with("output", "logits")).status == 201);

  check_error(ask(port, "POST", "/v2/models/other/sessions", good.dump()), 404, "model.not_found");
  check_error(ask(port, "POST", path, "not json"), 400, "request.json");
  check_error(ask(port, "POST", path, "{}"), 400, "request.field");
  check_error(ask(port, "POST", path, with("key_id", 7)), 400, "request.field");
  check_error(ask(port, "POST", path, with("ouput", "logits")), 400, "request.field");
  check_error(ask(port, "POST", path, with("key_id", std::string(64, '0'))), 404, "key.not_found");
  check_error(ask(port, "POST", path, with("config_id", "old")), 410, "config.gone");
  check_error(ask(port, "POST", path, with("output", "weights")), 422, "session.output");
  check_error(ask(port, "POST", path, with("sign_test", "guess")), 422, "session.sign_test");

  CHECK(ask(port, "DELETE", "/v2/sessions/" + id).status == 204);
  check_error(ask(port, "DELETE", "/v2/sessions/" + id), 410, "session.gone");
  check_error(ask(port, "GET", "/v2/sessions/" + id), 410, "session.gone");
  check_error(ask(port, "GET", "/v2/sessions/" + kUnknownSession), 404, "session.not_found");
  check_error(ask(port, "DELETE", "/v2/sessions/" + kUnknownSession), 404, "session.not_found");
}

TEST_CASE("A round is answered once and then always the same", "[routes]") {
  const RunningServer server;
  Inference inference;
  const std::string id = open_session(server, *inference.model);
  const Bytes first = inference.client->start();
  const RawAnswer answer = send_round(server, id, 0, first);
  INFO(answer.body);
  REQUIRE(answer.status == 200);
  CHECK(answer.header("content-type") == kRound);
  CHECK(send_round(server, id, 0, first).body == answer.body);

  Bytes other = first;
  other.back() ^= 1;
  check_error(send_round(server, id, 0, other), 409, "round.conflict");
  check_error(send_round(server, id, 2, first), 409, "round.out_of_order");
  check_error(send_round(server, id, 999999, first), 409, "round.out_of_order");
  CHECK(json::parse(ask(server.port(), "GET", "/v2/sessions/" + id).body).at("next_round") == 1);

  Bytes received = body_of(answer);
  Bytes last_sent;
  RawAnswer last;
  while (const auto message = inference.client->handle(received)) {
    last_sent.assign(message->begin(), message->end());
    last = send_round(server, id, inference.client->round(), last_sent);
    REQUIRE(last.status == 200);
    received = body_of(last);
  }
  CHECK(inference.client->logits() == plaintext_logits(*inference.model, inference.input));
  const auto last_round = inference.client->rounds() - 1;
  CHECK(send_round(server, id, last_round, last_sent).body == last.body);
  check_error(send_round(server, id, last_round + 1, last_sent), 409, "round.out_of_order");
  check_error(send_round(server, id, 0, first), 409, "round.out_of_order");
  CHECK(json::parse(ask(server.port(), "GET", "/v2/sessions/" + id).body).at("state") == "finished");
  const auto saw = server.log_lines();
  for (const std::string& line : saw) {
    CHECK(line.find(id) == std::string::npos);
    const std::string event = json::parse(line).at("event");
    CHECK((event == "request" || event == "started"));
  }
}

TEST_CASE("Rounds that are none are refused and leave the session as it was", "[routes]") {
  const RunningServer server;
  const auto port = server.port();
  Inference inference;
  const std::string id = open_session(server, *inference.model);
  const std::string path = "/v2/sessions/" + id + "/rounds/0";
  const Bytes good = inference.client->start();
  const std::string text = as_text(good);

  check_error(ask(port, "POST", path, text, "application/octet-stream"), 415, "request.content_type");
  check_error(ask(port, "POST", path, text, ""), 415, "request.content_type");
  check_error(ask(port, "POST", path, text + "x", kRound), 413, "request.too_large");
  check_error(ask(port, "POST", "/v2/sessions/" + id + "/rounds/x", text, kRound), 400, "round.number");
  check_error(ask(port, "POST", "/v2/sessions/" + id + "/rounds/-1", text, kRound), 400, "round.number");
  check_error(ask(port, "POST", "/v2/sessions/" + kUnknownSession + "/rounds/0", text, kRound), 404,
              "session.not_found");

  const auto refused = [&](Bytes body, int status, const std::string& family) {
    const RawAnswer answer = send_round(server, id, 0, body);
    INFO(answer.body);
    CHECK(answer.status == status);
    CHECK(error_code(answer).starts_with(family));
  };
  refused({}, 400, "message.");
  refused(Bytes(good.begin(), good.end() - 1), 400, "message.");
  refused(Bytes(good.size(), 0), 400, "message.");
  const std::size_t ciphertext = small_key()->public_key().ciphertext_bytes();
  const ByteView all = protocols::parse_message(good).ciphertexts;
  const auto end = all.data() - good.data() + static_cast<std::ptrdiff_t>(all.size());
  const auto last = end - static_cast<std::ptrdiff_t>(ciphertext);
  Bytes zero = good;
  std::fill(zero.begin() + last, zero.begin() + end, std::uint8_t{0});
  refused(zero, 422, "ciphertext.");
  Bytes huge = good;
  std::fill(huge.begin() + last, huge.begin() + end, std::uint8_t{0xff});
  refused(huge, 422, "ciphertext.");
  Bytes shares_a_factor = zero;
  const ByteView p = small_key()->private_key().p();
  std::copy(p.begin(), p.end(), shares_a_factor.begin() + end - static_cast<std::ptrdiff_t>(p.size()));
  refused(shares_a_factor, 422, "ciphertext.");
  Bytes no_point = good;
  std::fill(no_point.begin() + end, no_point.end(), std::uint8_t{0xff});
  refused(no_point, 422, "ot.point");
  Inference foreign(1);
  refused(foreign.client->start(), 422, "message.foreign_key");

  // After all of them the honest message is still welcome.
  CHECK(send_round(server, id, 0, good).status == 200);
}

TEST_CASE("A server may bound bodies below what the protocol needs", "[routes]") {
  auto options = small_server_options();
  options.max_body_bytes = 100;
  const RunningServer server(options);
  const std::string session = open_session(server, *small_model("tiny"));
  const RawAnswer answer = send_round(server, session, 0, Bytes(101));
  CHECK(answer.status == 413);
  CHECK(error_code(answer) == "request.too_large");
}

TEST_CASE("Sessions expire", "[routes]") {
  auto options = small_server_options();
  options.session_lifetime_seconds = 1;
  const RunningServer server(options);
  Inference inference;
  const std::string id = open_session(server, *inference.model);
  std::this_thread::sleep_for(std::chrono::milliseconds(1200));
  check_error(send_round(server, id, 0, inference.client->start()), 410, "session.gone");
  check_error(ask(server.port(), "GET", "/v2/sessions/" + id), 410, "session.gone");
}

TEST_CASE("Sessions and keys are bounded", "[routes]") {
  auto options = small_server_options();
  options.max_sessions = 2;
  options.max_keys = 2;
  const RunningServer server(options);
  const auto model = small_model("tiny");
  const std::string first = open_session(server, *model, 0);
  open_session(server, *model, 1);
  const std::string body =
      json{{"key_id", register_key(server)}, {"config_id", config_id(server.port())}}.dump();
  const RawAnswer full = ask(server.port(), "POST", "/v2/models/tiny/sessions", body);
  check_error(full, 503, "server.sessions");
  CHECK_FALSE(full.header("retry-after").empty());
  // Both keys are in use, so a third one finds no room; when a session ends its key may go.
  const std::string third = small_key(2)->public_key().to_json();
  check_error(ask(server.port(), "POST", "/v2/keys", third), 503, "key.registry_full");
  CHECK(ask(server.port(), "DELETE", "/v2/sessions/" + first).status == 204);
  // For an instant the server may still prepare something under that key.
  RawAnswer answer = ask(server.port(), "POST", "/v2/keys", third);
  for (int i = 0; answer.status == 503 && i < 40; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(250));
    answer = ask(server.port(), "POST", "/v2/keys", third);
  }
  CHECK(answer.status == 201);
}

TEST_CASE("A request id is echoed when it is harmless", "[routes]") {
  const RunningServer server;
  const auto echo = [&](const std::string& id) {
    return ask(server.port(), "GET", "/v2", "", "", {{"X-Request-Id", id}}).header("x-request-id");
  };
  CHECK(echo("abc-1.2_3") == "abc-1.2_3");
  CHECK(echo("a b") != "a b");
  CHECK(echo(std::string(65, 'a')).size() == 16);
  CHECK(echo("<script>").size() == 16);
}

TEST_CASE("After stop() is asked the server goes, and options that make no sense are refused", "[routes]") {
  RunningServer server;
  server.stop();
  server.server().stop();
  CHECK(server.server().statistics().requests == 0);
  const auto refused = [](const std::function<void(service::ServerOptions&)>& change) {
    auto options = small_server_options();
    change(options);
    try {
      const service::Server made(options);
      return std::string("none");
    } catch (const UsageError& error) {
      return error.code();
    }
  };
  CHECK(refused([](auto& options) { options.models.clear(); }) == "server.models");
  CHECK(refused([](auto& options) { options.models.push_back(nullptr); }) == "server.models");
  CHECK(refused([](auto& options) { options.models.push_back(small_model("tiny", 3)); }) == "server.models");
  CHECK(refused([](auto& options) { options.models = {small_model("a/b")}; }) == "server.models");
  CHECK(refused([](auto& options) { options.max_sessions = 0; }) == "server.limits");
  CHECK(refused([](auto& options) { options.host = "0.0.0.0"; }) == "server.insecure_remote");
  CHECK(refused([](auto& options) { options.host = "::"; }) == "server.insecure_remote");
  CHECK(refused([](auto& options) {
          options.host = "0.0.0.0";
          options.allow_insecure_remote = true;
        }) == "none");
}

TEST_CASE("Who prefers to poll gets 202 and the answer later", "[routes]") {
  const RunningServer server;
  Inference inference;
  const std::string id = open_session(server, *inference.model);
  const std::string path = "/v2/sessions/" + id + "/rounds/0";
  const std::string message = as_text(inference.client->start());
  check_error(ask(server.port(), "GET", path), 409, "round.not_running");
  const auto post = [&](const std::string& prefer) {
    return ask(server.port(), "POST", path, message, kRound, {{"Prefer", prefer}});
  };
  const RawAnswer first = post("respond-async");
  REQUIRE((first.status == 202 || first.status == 200));
  CHECK(first.header("preference-applied") == "respond-async");
  if (first.status == 202) {
    CHECK(first.header("location") == path);
    CHECK(json::parse(first.body) == json{{"state", "computing"}});
  }
  RawAnswer answer = ask(server.port(), "GET", path);
  for (int i = 0; i < 600 && answer.status == 202; ++i) {
    CHECK_FALSE(answer.header("retry-after").empty());
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    answer = ask(server.port(), "GET", path);
  }
  REQUIRE(answer.status == 200);
  CHECK(answer.header("content-type") == kRound);
  CHECK(post("respond-async, wait=30").body == answer.body);
  CHECK(ask(server.port(), "POST", path, message, kRound).body == answer.body);
  CHECK(inference.client->handle(body_of(answer)));
  check_error(ask(server.port(), "GET", "/v2/sessions/" + id + "/rounds/1"), 409, "round.not_running");
  check_error(ask(server.port(), "GET", "/v2/sessions/" + kUnknownSession + "/rounds/0"), 404,
              "session.not_found");
}
