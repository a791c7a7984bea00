#include "service/tokens.h"

#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "service/refusal.h"
#include "tests/service/service_fixture.h"
#include "tests/support/process.h"
#include "tests/support/random_network.h"

using namespace popcorn;
using namespace popcorn::test;
using nlohmann::json;
using service::TokenTable;

namespace {

const std::string kAlice = "alice-0123456789abcdef";
const std::string kBob = "bob-0123456789abcdef";
const std::string kOps = "ops-0123456789abcdef";

const std::string kFile = "# who may\n\n" + kAlice + " name=alice sessions=1 # the first\n" + kBob +
                          "\tname=bob sessions-per-day=2\r\n  " + kOps + " scope=admin name=ops\n";

void write_tokens(const std::string& path, const std::string& text, unsigned mode = 0600) {
  write_file(path, as_bytes(text), mode);
}

std::pair<std::string, std::string> bearer(const std::string& token) {
  return {"Authorization", "Bearer " + token};
}

}  // namespace

TEST_CASE("Token files: what a line means", "[tokens]") {
  const TokenTable table = TokenTable::parse(kFile);
  CHECK(table.size() == 3);
  const auto alice = table.find(kAlice);
  REQUIRE(alice);
  CHECK(alice->name == "alice");
  CHECK(alice->infer);
  CHECK_FALSE(alice->admin);
  CHECK(alice->max_sessions == 1);
  CHECK(table.find(kBob)->max_sessions_per_day == 2);
  CHECK(table.find(kBob)->id != alice->id);
  CHECK_FALSE(table.find(kOps)->infer);
  CHECK(table.find(kOps)->admin);
  CHECK_FALSE(table.find(""));
  CHECK_FALSE(table.find(kAlice + "x"));
  CHECK_FALSE(table.find(kAlice.substr(1)));
}

TEST_CASE("Limits of a token that sets none come from the server", "[tokens]") {
  const TokenTable table = TokenTable::parse(kFile, {3, 50});
  CHECK(table.find(kAlice)->max_sessions == 1);
  CHECK(table.find(kAlice)->max_sessions_per_day == 50);
  CHECK(table.find(kBob)->max_sessions == 3);
  CHECK(table.find(kBob)->max_sessions_per_day == 2);
}

TEST_CASE("Token files that are broken name the line and never the token", "[tokens]") {
  const auto text =
      GENERATE_COPY(as<std::string>{}, "short\n", kAlice + " colour=red\n", kAlice + " scope=all\n",
                    kAlice + " sessions=many\n", kAlice + "\n" + kAlice + "\n", "a token with spaces\n",
                    std::string(300, 'a') + "\n", kAlice + "\"\n", kAlice + " sessions=-1\n");
  try {
    TokenTable::parse("# first line\n" + text);
    FAIL("accepted: " << text);
  } catch (const InputError& error) {
    CHECK(error.code() == "tokens.line");
    CHECK(std::string(error.what()).find("Line ") != std::string::npos);
    CHECK(std::string(error.what()).find(kAlice) == std::string::npos);
  }
}

TEST_CASE("A server with tokens answers each question only to who may ask", "[tokens]") {
  const TemporaryFolder folder;
  const std::string file = folder.path("tokens");
  write_tokens(file, kFile);
  auto options = small_server_options();
  options.token_file = file;
  options.admin_port = 0;
  RunningServer server(options);
  const auto port = server.port();
  const auto model = small_model("tiny");
  const auto get = [&](const std::string& path, const std::string& token) {
    return ask(port, "GET", path, "", "", {bearer(token)});
  };
  CHECK(ask(port, "GET", "/v2/health/live").status == 200);
  CHECK(ask(port, "GET", "/v2/health/ready").status == 200);
  CHECK(ask(port, "GET", "/openapi.json").status == 200);
  for (const auto& route : {"/v2", "/v2/models", "/v2/models/tiny/client", "/v2/models/other"}) {
    const RawAnswer none = ask(port, "GET", route);
    CHECK(none.status == 401);
    CHECK(error_code(none) == "auth.missing");
    CHECK(none.header("www-authenticate") == "Bearer");
    CHECK(ask(port, "GET", route, "", "", {{"Authorization", "Basic abc"}}).status == 401);
    const RawAnswer wrong = get(route, "wrong-0123456789abcdef");
    CHECK(wrong.status == 401);
    CHECK(error_code(wrong) == "auth.unknown");
    CHECK(get(route, kOps).status == 403);
  }
  CHECK(get("/v2", kAlice).status == 200);

  const auto post = [&](const std::string& path, const std::string& body, const std::string& token) {
    return ask(port, "POST", path, body, "application/json", {bearer(token)});
  };
  const std::string key = small_key()->public_key().to_json();
  const RawAnswer unread = ask(port, "POST", "/v2/keys", key);
  CHECK(unread.status == 401);
  CHECK(unread.header("connection") == "close");
  CHECK(post("/v2/keys", key, kAlice).status == 201);
  const std::string key_id = to_hex(small_key()->public_key().fingerprint());
  const std::string open =
      json{{"key_id", key_id}, {"config_id", config_id(port, "tiny", {bearer(kAlice)})}}.dump();
  // Another caller's key does not exist, not even its absence is different.
  CHECK(error_code(get("/v2/keys/" + key_id, kBob)) == "key.not_found");
  CHECK(error_code(post("/v2/models/tiny/sessions", open, kBob)) == "key.not_found");
  CHECK(post("/v2/keys", key, kBob).status == 201);

  const RawAnswer opened = post("/v2/models/tiny/sessions", open, kAlice);
  REQUIRE(opened.status == 201);
  const std::string path = "/v2/sessions/" + json::parse(opened.body).at("session_id").get<std::string>();
  json unknown = json::parse(get("/v2/sessions/" + std::string(32, '0'), kBob).body);
  json foreign = json::parse(get(path, kBob).body);
  unknown.erase("request_id");
  foreign.erase("request_id");
  CHECK(foreign == unknown);
  CHECK(ask(port, "DELETE", path, "", "", {bearer(kBob)}).status == 404);
  CHECK(ask(port, "POST", path + "/rounds/0", "x", "application/vnd.popcorn+octet-stream", {bearer(kBob)})
            .status == 404);
  CHECK(get(path, kAlice).status == 200);

  // One session at once for alice, two a day for bob.
  const RawAnswer second = post("/v2/models/tiny/sessions", open, kAlice);
  CHECK(second.status == 429);
  CHECK(error_code(second) == "caller.sessions");
  CHECK_FALSE(second.header("retry-after").empty());
  CHECK(ask(port, "DELETE", path, "", "", {bearer(kAlice)}).status == 204);
  CHECK(post("/v2/models/tiny/sessions", open, kAlice).status == 201);
  CHECK(post("/v2/models/tiny/sessions", open, kBob).status == 201);
  CHECK(post("/v2/models/tiny/sessions", open, kBob).status == 201);
  const RawAnswer third = post("/v2/models/tiny/sessions", open, kBob);
  CHECK(third.status == 429);
  CHECK(error_code(third) == "caller.sessions_per_day");

  const auto admin = server.server().admin_port();
  CHECK(ask(admin, "POST", "/admin/drain").status == 401);
  CHECK(ask(admin, "POST", "/admin/drain", "", "application/json", {bearer(kAlice)}).status == 403);
  CHECK(ask(admin, "POST", "/admin/drain", "", "application/json", {bearer(kOps)}).status == 200);

  for (const std::string& line : server.log_lines()) {
    for (const std::string& token : {kAlice, kBob, kOps}) {
      CHECK(line.find(token) == std::string::npos);
    }
  }
}

TEST_CASE("The client sends its token, and reload() changes who may", "[tokens]") {
  const TemporaryFolder folder;
  const std::string file = folder.path("tokens");
  write_tokens(file, kAlice + "\n");
  auto options = small_server_options();
  options.token_file = file;
  RunningServer server(options);
  service::ClientOptions client;
  client.retry_seconds = 0;
  client.round_retry_seconds = 0;
  const auto models_with = [&](const std::string& token) {
    client.token = token;
    return service::Client(server.url(), client).models().size();
  };
  CHECK_THROWS_AS(models_with(""), AuthError);
  CHECK_THROWS_AS(models_with(kBob), AuthError);
  CHECK(models_with(kAlice) == 1);
  const auto model = small_model("tiny");
  SeededRng rng(1);
  const WideVector input = random_input(rng, model->network());
  client.token = kAlice;
  service::Client with_token(server.url(), client);
  CHECK(with_token.infer(with_token.bundle("tiny"), small_key(), input).logits ==
        plaintext_logits(*model, input));

  write_tokens(file, "broken\n");
  CHECK_THROWS_AS(server.server().reload(), InputError);
  CHECK(models_with(kAlice) == 1);
  write_tokens(file, kBob + "\n", 0644);
  CHECK_THROWS_AS(server.server().reload(), InputError);
  CHECK(models_with(kAlice) == 1);
  write_tokens(file, kBob + "\n");
  server.server().reload();
  CHECK_THROWS_AS(models_with(kAlice), AuthError);
  CHECK(models_with(kBob) == 1);
}

TEST_CASE("A server does not start with a token file that is missing, empty or open to others", "[tokens]") {
  const TemporaryFolder folder;
  auto options = small_server_options();
  options.token_file = folder.path("tokens");
  CHECK_THROWS_AS(std::make_unique<service::Server>(options), IoError);
  write_tokens(options.token_file, "# nobody\n");
  CHECK_THROWS_AS(std::make_unique<service::Server>(options), InputError);
  write_tokens(options.token_file, kAlice + "\n", 0604);
  CHECK_THROWS_AS(std::make_unique<service::Server>(options), InputError);
}
