// The admin port: Prometheus text and drain.
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "protocols/wire/message.h"
#include "tests/service/service_fixture.h"
#include "tests/support/prometheus_text.h"
#include "tests/support/random_network.h"

using namespace popcorn;
using namespace popcorn::test;

namespace {

/// A histogram and a counter, as they should be.
const std::string kGoodText =
    "# HELP a_seconds Time \\\\ and \\n more.\n# TYPE a_seconds histogram\n"
    "a_seconds_bucket{x=\"\\\"y\\\"\",le=\"0.5\"} 1\na_seconds_bucket{x=\"\\\"y\\\"\",le=\"+Inf\"} 2\n"
    "a_seconds_sum{x=\"\\\"y\\\"\"} 1.5e-3\na_seconds_count{x=\"\\\"y\\\"\"} 2\n"
    "# HELP b_total Things.\n# TYPE b_total counter\nb_total 7\n";

std::string with(std::string text, const std::string& what, const std::string& instead) {
  const std::size_t at = text.find(what);
  REQUIRE(at != std::string::npos);
  return text.replace(at, what.size(), instead);
}

}  // namespace

TEST_CASE("The reader of metrics is strict", "[admin]") {
  CHECK(parse_prometheus_text(kGoodText).at("b_total") == 7);
  CHECK(parse_prometheus_text(kGoodText).size() == 5);
  const std::vector<std::pair<std::string, std::string>> damages = {
      {"b_total 7\n", "b_total 7"},
      {"b_total 7", "b_total seven"},
      {"b_total 7", "b_total 0x7"},
      {"b_total 7", "b_total -7"},
      {"b_total 7", "b_total{} 7"},
      {"b_total 7", "b_total{x=\"1\",} 7"},
      {"b_total 7", "b_total{x=\"1\",x=\"2\"} 7"},
      {"b_total 7", "b_total{x=\"\\t\"} 7"},
      {"b_total 7", "b_total{x=1} 7"},
      {"b_total 7", "b_total 7\nb_total 7"},
      {"b_total 7", "c_total 7"},
      {"b_total counter", "b_total gauge"},
      {"b_total counter", "b_total number"},
      {"# TYPE b_total counter\n", ""},
      {"# HELP b_total Things.\n", ""},
      {"# HELP b_total", "# HELP a_seconds"},
      {"le=\"0.5\"} 1", "le=\"0.5\"} 3"},
      {"le=\"+Inf\"", "le=\"9\""},
      {"le=\"+Inf\"", "le=\"0.1\""},
      {"_count{x=\"\\\"y\\\"\"} 2", "_count{x=\"\\\"y\\\"\"} 3"},
      {"a_seconds_sum", "a_seconds_mean"},
      {"a_seconds_sum", "\na_seconds_sum"},
  };
  for (const auto& [what, instead] : damages) {
    INFO(what << " -> " << instead);
    CHECK_THROWS_AS(parse_prometheus_text(with(kGoodText, what, instead)), std::runtime_error);
  }
}

TEST_CASE("Metrics count what happened and name nobody", "[admin]") {
  auto options = small_server_options();
  options.admin_port = 0;
  RunningServer server(options);
  const auto admin = server.server().admin_port();
  REQUIRE(admin != 0);
  CHECK(parse_prometheus_text(ask(admin, "GET", "/metrics").body).at("popcorn_sessions_started_total") == 0);
  const auto model = small_model("tiny");
  SeededRng rng(2);
  const WideVector input = random_input(rng, model->network());
  service::Client client(server.url());
  const auto result = client.infer(client.bundle("tiny"), small_key(), input);
  const std::string open = open_session(server, *model);
  Bytes broken = protocols::ClientSession(model->bundle(), small_key(), input).start();
  const auto first = broken.begin() + protocols::kMessagePrefixBytes;
  std::fill_n(first, small_key()->public_key().ciphertext_bytes(), std::uint8_t{0});
  CHECK(send_round(server, open, 0, broken).status == 422);
  ask(server.port(), "BREW", "/coffee");
  ask(server.port(), "PATCH", "/" + std::string(100, 'x'));

  const RawAnswer answer = ask(admin, "GET", "/metrics");
  CHECK(answer.header("content-type").starts_with("text/plain; version=0.0.4"));
  const auto values = parse_prometheus_text(answer.body);
  CHECK(values.at("popcorn_sessions_started_total") == 2);
  CHECK(values.at("popcorn_engine_sessions_total{engine=\"ciphertext\"}") == 2);
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
      nlohmann::json{{"key_id", register_key(server)}, {"config_id", config_id(server.port())}}.dump();
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
