#include "tests/support/certificates.h"

#include <stdexcept>
#include <vector>

namespace popcorn::test {

namespace {

void openssl(const std::vector<std::string>& more) {
  std::vector<std::string> argv = {"/usr/bin/openssl",        "req",    "-x509", "-newkey", "ec", "-pkeyopt",
                                   "ec_paramgen_curve:P-256", "-nodes", "-days", "2"};
  argv.insert(argv.end(), more.begin(), more.end());
  const ProcessResult result = run_process(argv);
  if (result.exit_code != 0) throw std::runtime_error("openssl: " + result.err);
}

}  // namespace

Certificates::Certificates() {
  authority("ca");
  authority("other-ca");
  issue("server", "ca", "subjectAltName=IP:127.0.0.1,DNS:localhost");
  issue("elsewhere", "ca", "subjectAltName=DNS:elsewhere.example");
  issue("client", "ca", "subjectAltName=DNS:client.example");
  issue("stranger", "other-ca", "subjectAltName=DNS:client.example");
}

void Certificates::authority(const std::string& name) {
  openssl({"-subj", "/CN=" + name, "-keyout", file(name + ".key"), "-out", file(name + ".pem")});
}

void Certificates::issue(const std::string& name, const std::string& by, const std::string& extension) {
  openssl({"-subj", "/CN=" + name, "-addext", extension, "-addext", "basicConstraints=critical,CA:FALSE",
           "-CA", file(by + ".pem"), "-CAkey", file(by + ".key"), "-keyout", file(name + ".key"), "-out",
           file(name + ".pem")});
}

const Certificates& certificates() {
  static const Certificates made;
  return made;
}

}  // namespace popcorn::test
