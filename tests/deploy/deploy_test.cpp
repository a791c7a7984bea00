// What deploy/ ships, as far as it can be tried here: nginx, systemd's own checks, manifests, settings.
#include <catch2/catch.hpp>
#include <csignal>
#include <filesystem>
#include <iostream>

#include "base/file.h"
#include "tests/cli/small_network.h"
#include "tests/deploy/nginx.h"
#include "tests/support/certificates.h"
#include "tests/support/free_port.h"

namespace popcorn::test {

namespace {

const std::string kToken = "alice-0123456789abcdef";

ProcessResult curl(const Nginx& nginx, const std::string& path, std::vector<std::string> more = {}) {
  std::vector<std::string> argv = {"/usr/bin/curl",
                                   "--silent",
                                   "--show-error",
                                   "--retry",
                                   "9",
                                   "--retry-connrefused",
                                   "--retry-max-time",
                                   "20",
                                   "--include",
                                   "--cacert",
                                   certificates().file("ca.pem")};
  argv.insert(argv.end(), more.begin(), more.end());
  argv.push_back(nginx.url() + path);
  return run_process(argv);
}

}  // namespace

TEST_CASE("nginx takes the shipped configuration", "[deploy]") {
  if (!installed("nginx")) return;
  const Nginx nginx("127.0.0.1:1", "127.0.0.1:2");
  const ProcessResult result = run_process(nginx.argv({"-t", "-q"}));
  INFO(result.err);
  CHECK(result.exit_code == 0);
  CHECK_THAT(result.err, !Catch::Contains("[warn]"));
}

TEST_CASE("nginx with the shipped configuration in front of a real server", "[deploy]") {
  if (!installed("nginx") || !installed("curl")) return;
  const TemporaryFolder folder;
  write_file(folder.path("tokens"), as_bytes(kToken + "\n"), 0600);
  auto server = std::make_unique<RunningServer>(write_small_network(folder.path("small.popcorn")),
                                                std::vector<std::string>{"--tokens", folder.path("tokens")});
  // The other replica is gone: what would go to it goes to the one that is there.
  const Nginx nginx(address_of(*server), "127.0.0.1:" + std::to_string(free_port()));
  Process proxy(nginx.argv({"-g", "daemon off;"}));
  for (int i = 0; i < 4; ++i)
    CHECK_THAT(curl(nginx, "/v2/health/ready").out, Catch::Contains("{\"ready\":true}"));
  CHECK_THAT(curl(nginx, "/v2/models").out, Catch::Contains("401") && Catch::Contains("auth.missing"));

  const ProcessResult inference =
      popcorn(with_test_key({"infer", "--server", nginx.url(), "--ca", certificates().file("ca.pem"),
                             "--model", "small", "models/samples/3_1.png", "--json"}),
              {"POPCORN_TOKEN=" + kToken});
  INFO(inference.err);
  CHECK(inference.exit_code == 0);
  CHECK(json_of(inference).at("results").size() == 1);

  std::string too_large(70'000, 'x');
  write_file(folder.path("body"), as_bytes(too_large));
  CHECK_THAT(curl(nginx, "/v2/keys", {"--data-binary", "@" + folder.path("body")}).out,
             Catch::Contains("413") && Catch::Contains("proxy.too_large"));
  server.reset();
  const ProcessResult gone = curl(nginx, "/v2/health/ready", {"--retry", "0"});
  CHECK_THAT(gone.out, Catch::Contains("503") && Catch::Contains("proxy.unavailable") &&
                           Catch::Contains("Retry-After: 2"));

  proxy.send_signal(SIGQUIT);
  CHECK(proxy.wait().exit_code == 0);
  CHECK_THAT(nginx.access_log(), Catch::Contains("\"status\": 200") && !Catch::Contains(kToken) &&
                                     !Catch::Contains("/v2/sessions/"));
}

TEST_CASE("systemd finds no fault in the units and calls them confined", "[deploy]") {
  if (!installed("systemd-analyze")) return;
  const std::string name = GENERATE("popcorn.service", "popcorn-prepare.service");
  CAPTURE(name);
  const TemporaryFolder folder;
  std::string text = read_text_file("service/deploy/" + name);
  replace_all(text, "/usr/bin/popcorn", popcorn_executable());
  const std::string unit = folder.path(name);
  write_file(unit, as_bytes(text));
  const ProcessResult verified = run_process({"/usr/bin/systemd-analyze", "verify", unit});
  INFO(verified.err);
  CHECK(verified.exit_code == 0);
  CHECK(verified.err.empty());
  // Exposure of at most 2.0 of 10.
  const ProcessResult exposure =
      run_process({"/usr/bin/systemd-analyze", "security", "--offline=yes", "--threshold=20", unit});
  INFO(exposure.out);
  CHECK(exposure.exit_code == 0);
}

TEST_CASE("The manifests have the right form and their names agree", "[deploy]") {
  if (!installed("python3")) return;
  if (run_process({"/usr/bin/env", "python3", "-c", "import yaml"}).exit_code != 0) {
    std::cerr << "\n*** SKIPPED: python3-yaml is not installed (see scripts/install-deps) ***\n";
    return;
  }
  const auto checked = [](const std::string& folder) {
    return run_process({"/usr/bin/env", "python3", "tests/deploy/check_manifests.py", folder});
  };
  const ProcessResult good = checked("service/deploy");
  INFO(good.out << good.err);
  CHECK(good.exit_code == 0);

  // The check finds what is damaged.
  const auto damaged = [&](const std::string& file, const std::string& what, const std::string& instead) {
    const TemporaryFolder folder;
    std::filesystem::copy("service/deploy", folder.path("deploy"), std::filesystem::copy_options::recursive);
    const std::string path = folder.path("deploy/" + file);
    std::string text = read_text_file(path);
    replace_all(text, what, instead);
    write_file(path, as_bytes(text));
    INFO(file << ": " << what << " -> " << instead);
    CHECK(checked(folder.path("deploy")).exit_code != 0);
  };
  damaged("kubernetes/service.yaml", "app.kubernetes.io/name: popcorn", "app.kubernetes.io/name: other");
  damaged("kubernetes/deployment.yaml", "path: /v2/health/ready", "path: /healthz");
  damaged("kubernetes/autoscaler.yaml", "popcorn_queue_depth", "popcorn_queue_length");
  damaged("kubernetes/deployment.yaml", "      automount", "      enableServiceLinks: true\n      automount");
  damaged("compose.yaml", "secrets: [tokens, store_key]", "secrets: [tokens]");
  damaged("prometheus.yml", "popcorn-2:9090", "popcorn-3:9090");
  damaged("serve.json", "popcorn-1,popcorn-2", "popcorn-1");
  damaged("alerts.yml", "popcorn_queue_depth", "popcorn_queue_length");
  damaged("alerts.yml", "/v2/models/{model}/preparations", "/v2/models/{model}/preparation");
  damaged("prometheus.yml", "alerts.yml", "rules.yml");
  damaged("nginx.conf", "popcorn-2:8080", "popcorn-2:8081");
}

TEST_CASE("The shipped settings are settings", "[deploy]") {
  const ProcessResult result =
      popcorn({"serve", "--config", "service/deploy/serve.json", "--print-config", "--json"});
  INFO(result.err);
  CHECK(result.exit_code == 0);
}

}  // namespace popcorn::test
