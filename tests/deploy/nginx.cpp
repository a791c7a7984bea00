#include "tests/deploy/nginx.h"

#include <catch2/catch.hpp>
#include <iostream>

#include "base/file.h"
#include "tests/support/certificates.h"
#include "tests/support/free_port.h"

namespace popcorn::test {

bool installed(const std::string& program) {
  if (run_process({"/bin/sh", "-c", "PATH=$PATH:/usr/sbin command -v " + program}).exit_code == 0)
    return true;
  std::cerr << "\n*** SKIPPED: " << program << " is not installed (see scripts/install-deps) ***\n";
  return false;
}

void replace_all(std::string& text, const std::string& what, const std::string& instead) {
  INFO(what);
  REQUIRE(text.find(what) != std::string::npos);
  for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + instead.size()))
    text.replace(at, what.size(), instead);
}

std::string address_of(const RunningServer& server) {
  return server.url().substr(std::string("http://").size());
}

Nginx::Nginx(const std::string& first, const std::string& second)
    : port_(free_port()), configuration_(folder_.path("nginx.conf")) {
  std::string text = read_text_file("service/deploy/nginx.conf");
  replace_all(text, "popcorn-1:8080", first);
  replace_all(text, "popcorn-2:8080", second);
  replace_all(text, "/run/secrets/server_certificate", certificates().file("server.pem"));
  replace_all(text, "/run/secrets/server_key", certificates().file("server.key"));
  replace_all(text, "listen 8443", "listen 127.0.0.1:" + std::to_string(port_));
  replace_all(text, "/tmp/nginx", folder_.path("nginx"));
  replace_all(text, "/dev/stdout", folder_.path("access.log"));
  write_file(configuration_, as_bytes(text));
}

std::vector<std::string> Nginx::argv(const std::vector<std::string>& more) const {
  std::vector<std::string> all = {"/usr/sbin/nginx", "-p", folder_.path("."), "-c", configuration_};
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

std::string Nginx::access_log() const {
  return read_text_file(folder_.path("access.log"));
}

}  // namespace popcorn::test
