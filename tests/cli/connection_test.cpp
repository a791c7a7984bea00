// How `popcorn infer` reaches a server: TLS, certificates, tokens, and what goes wrong with them.
#include <catch2/catch.hpp>

#include "base/file.h"
#include "tests/cli/command_line.h"
#include "tests/cli/small_network.h"
#include "tests/support/certificates.h"

namespace popcorn::test {

namespace {

const std::string kToken = "alice-0123456789abcdef";

class SecureServer {
 public:
  explicit SecureServer(std::vector<std::string> more = {})
      : tokens_(folder_.path("tokens")), server_(model(), options(std::move(more))) {}

  ProcessResult infer(std::vector<std::string> more, const std::string& token = kToken) const {
    std::vector<std::string> arguments = {"infer",   "--server", server_.url(),
                                          "--model", "small",    "models/samples/3_1.png"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return popcorn(with_test_key(arguments), {"POPCORN_TOKEN=" + token});
  }
  std::string path(const std::string& name) const { return folder_.path(name); }

 private:
  std::string model() const { return write_small_network(folder_.path("small.popcorn")); }
  std::vector<std::string> options(std::vector<std::string> more) const {
    write_file(tokens_, as_bytes(kToken + "\n"), 0600);
    std::vector<std::string> all = {"--tls-certificate", certificates().file("server.pem"),
                                    "--tls-key",         certificates().file("server.key"),
                                    "--tokens",          tokens_};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }

  TemporaryFolder folder_;
  std::string tokens_;
  RunningServer server_;
};

}  // namespace

TEST_CASE("infer speaks TLS, verifies the certificate and sends its token", "[command_line]") {
  const SecureServer server;
  const std::string authority = certificates().file("ca.pem");
  const ProcessResult good = server.infer({"--ca", authority, "--json"});
  INFO(good.err);
  CHECK(good.exit_code == 0);
  CHECK(json_of(good).at("results").size() == 1);

  const auto fails = [&](const ProcessResult& result, int code, const std::string& reason) {
    INFO(result.err);
    CHECK(result.exit_code == code);
    CHECK_THAT(result.err, Catch::Contains(reason) && !Catch::Contains(kToken));
    CHECK(result.out.find("digit") == std::string::npos);
  };
  fails(server.infer({}), 5, "[network.certificate]");
  fails(server.infer({"--ca", certificates().file("other-ca.pem")}), 5, "[network.certificate]");
  fails(server.infer({"--ca", server.path("missing.pem")}), 4, "missing.pem");
  fails(server.infer({"--ca", authority}, "bob-0123456789abcdef"), 6, "[auth.unknown]");
  fails(server.infer({"--ca", authority}, ""), 6, "[auth.missing]");
  fails(server.infer({"--ca", authority}, "short"), 3, "POPCORN_TOKEN");
  fails(server.infer({"--client-cert", authority}), 2, "--client-key");

  const ProcessResult careless = server.infer({"--insecure-skip-verify"});
  CHECK(careless.exit_code == 0);
  CHECK_THAT(careless.err, Catch::Contains("not verified"));

  const std::string file = server.path("token");
  write_file(file, as_bytes(kToken + "\n"), 0600);
  CHECK(server.infer({"--ca", authority, "--token-file", file}, "bob-0123456789abcdef").exit_code == 0);
  write_file(file, as_bytes(kToken + "\n"), 0604);
  fails(server.infer({"--ca", authority, "--token-file", file}), 3, "[token.permissions]");
}

TEST_CASE("A server that asks for client certificates refuses who has none", "[command_line]") {
  const SecureServer server({"--client-ca", certificates().file("ca.pem")});
  const std::string authority = certificates().file("ca.pem");
  const auto with = [&](const std::string& name) {
    return server
        .infer({"--ca", authority, "--client-cert", certificates().file(name + ".pem"), "--client-key",
                certificates().file(name + ".key")})
        .exit_code;
  };
  CHECK(with("client") == 0);
  CHECK(with("stranger") == 5);
  CHECK(server.infer({"--ca", authority}).exit_code == 5);
}

TEST_CASE("Secrets and certificates are not wasted on plain HTTP", "[command_line]") {
  const auto infer = [](const std::vector<std::string>& more, const std::string& token) {
    std::vector<std::string> arguments = {"infer", "--model", "m", "models/samples/3_1.png"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return popcorn(with_test_key(arguments), {"POPCORN_TOKEN=" + token});
  };
  const ProcessResult token = infer({"--server", "http://192.0.2.1:1"}, kToken);
  CHECK(token.exit_code == 2);
  CHECK_THAT(token.err, Catch::Contains("[client.token]"));
  const ProcessResult authority =
      infer({"--server", "http://127.0.0.1:1", "--ca", certificates().file("ca.pem")}, "");
  CHECK(authority.exit_code == 2);
  CHECK_THAT(authority.err, Catch::Contains("https://"));
}

}  // namespace popcorn::test
