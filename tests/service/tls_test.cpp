#include <catch2/catch.hpp>

#include "tests/service/service_fixture.h"
#include "tests/support/certificates.h"
#include "tests/support/random_network.h"

using namespace popcorn;
using namespace popcorn::test;

namespace {

service::ServerOptions tls_server(const std::string& name) {
  auto options = small_server_options();
  options.tls_certificate_file = certificates().file(name + ".pem");
  options.tls_key_file = certificates().file(name + ".key");
  return options;
}

service::ClientOptions tls_client(const std::string& authority) {
  service::ClientOptions options;
  options.retry_seconds = 0;
  options.round_retry_seconds = 0;
  options.ca_file = authority.empty() ? "" : certificates().file(authority + ".pem");
  return options;
}

std::string https(const RunningServer& server) {
  return "https://127.0.0.1:" + std::to_string(server.port());
}

std::string failure(const std::string& url, const service::ClientOptions& options) {
  try {
    service::Client(url, options).models();
    return "none";
  } catch (const NetworkError& error) {
    return error.code();
  }
}

}  // namespace

TEST_CASE("An inference over TLS, with the certificate verified", "[tls]") {
  const RunningServer server(tls_server("server"));
  const auto model = small_model("tiny");
  SeededRng rng(2);
  const WideVector input = random_input(rng, model->network());
  service::Client client(https(server), tls_client("ca"));
  CHECK(client.infer(client.bundle("tiny"), small_key(), input).logits == plaintext_logits(*model, input));
}

TEST_CASE("Certificates that are not trusted or name another host are refused", "[tls]") {
  const RunningServer server(tls_server("server"));
  CHECK(failure(https(server), tls_client("ca")) == "none");
  CHECK(failure(https(server), tls_client("")) == "network.certificate");
  CHECK(failure(https(server), tls_client("other-ca")) == "network.certificate");
  auto missing = tls_client("ca");
  missing.ca_file += ".missing";
  CHECK(failure(https(server), missing) == "network.certificate");
  auto careless = tls_client("");
  careless.verify_certificate = false;
  CHECK(failure(https(server), careless) == "none");
  const RunningServer elsewhere(tls_server("elsewhere"));
  CHECK(failure(https(elsewhere), tls_client("ca")) == "network.certificate");
}

TEST_CASE("Plain HTTP and TLS do not mix", "[tls]") {
  const RunningServer secure(tls_server("server"));
  CHECK(failure("http://127.0.0.1:" + std::to_string(secure.port()), tls_client("")) == "network.lost");
  const RunningServer plain;
  CHECK(failure(https(plain), tls_client("ca")) == "network.tls");
}

TEST_CASE("A server may ask for client certificates", "[tls]") {
  auto options = tls_server("server");
  options.tls_client_ca_file = certificates().file("ca.pem");
  const RunningServer server(options);
  auto client = tls_client("ca");
  CHECK(failure(https(server), client).starts_with("network."));
  client.client_certificate_file = certificates().file("stranger.pem");
  client.client_key_file = certificates().file("stranger.key");
  CHECK(failure(https(server), client).starts_with("network."));
  client.client_certificate_file = certificates().file("client.pem");
  client.client_key_file = certificates().file("client.key");
  CHECK(failure(https(server), client) == "none");
}

TEST_CASE("Certificates and keys that cannot be used are refused at the start", "[tls]") {
  const auto refused = [](const service::ServerOptions& options) {
    try {
      const service::Server made(options);
      return std::string("none");
    } catch (const Error& error) {
      return error.code();
    }
  };
  auto options = tls_server("server");
  CHECK(refused(options) == "none");
  options.tls_key_file.clear();
  CHECK(refused(options) == "server.tls");
  options.tls_key_file = certificates().file("client.key");
  CHECK(refused(options) == "server.tls");
  options = tls_server("missing");
  CHECK(refused(options) == "server.tls");
  options = tls_server("server");
  options.tls_client_ca_file = certificates().file("missing.pem");
  CHECK(refused(options) == "server.tls");
}
