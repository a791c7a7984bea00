// The admin port: Prometheus text and drain.
#include <catch2/catch.hpp>
#include <map>
#include <nlohmann/json.hpp>
#include <regex>
#include <sstream>

#include "tests/service/service_fixture.h"
#include "tests/support/random_network.h"

using namespace popcorn;
using namespace popcorn::test;

namespace {

/// The text format of Prometheus, version 0.0.4, strictly; values by "name{labels}".
std::map<std::string, double> parse_metrics(const std::string& text) {
  static const std::regex sample(
      R"rx(([a-zA-Z_][a-zA-Z0-9_]*)(\{[a-z_]+="(?:[^"\\\n]|\\.)*"(?:,[a-z_]+="(?:[^"\\\n]|\\.)*")*\})? ([-+0-9.e]+))rx");
  static const std::regex comment(R"(# (HELP|TYPE) ([a-zA-Z_][a-zA-Z0-9_]*) (.+))");
  std::map<std::string, std::string> types;
  std::map<std::string, double> values;
  std::istringstream lines(text);
  REQUIRE(text.ends_with('\n'));
  for (std::string line; std::getline(lines, line);) {
    INFO(line);
    std::smatch parts;
    if (std::regex_match(line, parts, comment)) {
      if (parts[1] == "TYPE") {
        CHECK(types.emplace(parts[2], parts[3]).second);
      }
      continue;
    }
    REQUIRE(std::regex_match(line, parts, sample));
    std::string family = parts[1];
    if (!types.contains(family)) {
      family = std::regex_replace(family, std::regex("_(bucket|sum|count)$"), "");
      REQUIRE(types[family] == "histogram");
    }
    CHECK((types[family] == "counter") == family.ends_with("_total"));
    CHECK(values.emplace(parts[1].str() + parts[2].str(), std::stod(parts[3])).second);
  }
  return values;
}

}  // namespace

TEST_CASE("Metrics count what happened and name nobody", "[admin]") {
  auto options = small_server_options();
  options.admin_port = 0;
  RunningServer server(options);
  const auto admin = server.server().admin_port();
  REQUIRE(admin != 0);
  CHECK(parse_metrics(ask(admin, "GET", "/metrics").body).at("popcorn_sessions_started_total") == 0);
  const auto model = small_model("tiny");
  SeededRng rng(2);
  const WideVector input = random_input(rng, model->network());
  service::Client client(server.url());
  const auto result = client.infer(client.bundle("tiny"), small_key(), input);
  const std::string open = open_session(server, *model);
  Bytes broken = protocols::ClientSession(model->bundle(), small_key(), input).start();
  std::fill(broken.end() - static_cast<std::ptrdiff_t>(small_key()->public_key().ciphertext_bytes()),
            broken.end(), std::uint8_t{0});
  CHECK(send_round(server, open, 0, broken).status == 422);
  ask(server.port(), "BREW", "/coffee");
  ask(server.port(), "PATCH", "/" + std::string(100, 'x'));

  const RawAnswer answer = ask(admin, "GET", "/metrics");
  CHECK(answer.header("content-type").starts_with("text/plain; version=0.0.4"));
  const auto values = parse_metrics(answer.body);
  CHECK(values.at("popcorn_sessions_started_total") == 2);
  CHECK(values.at("popcorn_sessions_total{outcome=\"finished\"}") == 1);
  CHECK(values.at("popcorn_sessions_active") == 1);
  CHECK(values.at("popcorn_round_bytes_sent_total") == static_cast<double>(result.bytes_down));
  CHECK(values.at("popcorn_ciphertexts_rejected_total{reason=\"invalid\"}") == 1);
  CHECK(values.at("popcorn_round_compute_seconds_count") == static_cast<double>(result.rounds));
  CHECK(values.at("popcorn_round_compute_seconds_bucket{le=\"+Inf\"}") == static_cast<double>(result.rounds));
  CHECK(values.at("popcorn_homomorphic_operations_total{op=\"multiplication\"}") > 0);
  CHECK(values.at("popcorn_http_requests_total{method=\"other\",route=\"unmatched\",status=\"404\"}") == 1);
  CHECK(values.at("process_resident_memory_bytes") > 1e6);
  CHECK(values.at("process_start_time_seconds") > 1.6e9);
  const std::string round =
      "{method=\"POST\",route=\"/v2/sessions/{session_id}/rounds/{round}\",status=\"200\"}";
  CHECK(values.at("popcorn_http_requests_total" + round) == static_cast<double>(result.rounds));
  double below = 0;
  for (const char* bound :
       {"0.001", "0.003", "0.01", "0.03", "0.1", "0.3", "1", "3", "10", "30", "100", "300", "900"}) {
    const double count = values.at("popcorn_queue_wait_seconds_bucket{le=\"" + std::string(bound) + "\"}");
    CHECK(count >= below);
    below = count;
  }
  CHECK(answer.body.find(open) == std::string::npos);
  CHECK(answer.body.find("xxxx") == std::string::npos);
  CHECK(answer.body.find(to_hex(small_key()->public_key().fingerprint())) == std::string::npos);
}

TEST_CASE("The public port has no admin routes and the admin port no public ones", "[admin]") {
  auto options = small_server_options();
  options.admin_port = 0;
  RunningServer server(options);
  CHECK(ask(server.port(), "GET", "/metrics").status == 404);
  CHECK(ask(server.port(), "POST", "/admin/drain").status == 404);
  CHECK(ask(server.server().admin_port(), "GET", "/v2/models").status == 404);
  CHECK(ask(server.server().admin_port(), "GET", "/admin/drain").status == 405);
  CHECK(ask(server.server().admin_port(), "GET", "/v2/health/live").status == 200);
}

TEST_CASE("Drain refuses new sessions and lets those that run go on", "[admin]") {
  auto options = small_server_options();
  options.admin_port = 0;
  RunningServer server(options);
  const auto model = small_model("tiny");
  SeededRng rng(2);
  protocols::ClientSession client(model->bundle(), small_key(), random_input(rng, model->network()));
  const std::string session = open_session(server, *model);
  const RawAnswer drained = ask(server.server().admin_port(), "POST", "/admin/drain");
  CHECK(drained.status == 200);
  CHECK(nlohmann::json::parse(drained.body).at("sessions_active") == 1);
  CHECK(ask(server.port(), "GET", "/v2/health/live").status == 200);
  const RawAnswer ready = ask(server.port(), "GET", "/v2/health/ready");
  CHECK(ready.status == 503);
  CHECK_FALSE(ready.header("retry-after").empty());
  const std::string body =
      nlohmann::json{{"key_id", register_key(server)}, {"config_id", model->bundle().config_id}}.dump();
  CHECK(error_code(ask(server.port(), "POST", "/v2/models/tiny/sessions", body)) == "server.draining");
  CHECK(send_round(server, session, 0, client.start()).status == 200);
}

TEST_CASE("stop() waits for sessions as long as it was told", "[admin]") {
  auto options = small_server_options();
  options.drain_seconds = 60;
  RunningServer server(options);
  const auto model = small_model("tiny");
  SeededRng rng(2);
  const WideVector input = random_input(rng, model->network());
  service::Client client(server.url());
  const auto result = client.infer(client.bundle("tiny"), small_key(), input,
                                   [&](std::uint64_t done, std::uint64_t, const std::string&) {
                                     if (done == 1) {
                                       server.server().stop();
                                     }
                                   });
  CHECK(result.logits == plaintext_logits(*model, input));
  server.stop();
  CHECK(server.server().statistics().sessions_finished == 1);
}
