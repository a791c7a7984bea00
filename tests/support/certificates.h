// Certificates for tests of TLS, made by the openssl command.
#pragma once

#include <string>

#include "tests/support/process.h"

namespace popcorn::test {

/// Two authorities ("ca", "other-ca"), a server's certificate for 127.0.0.1 and localhost ("server"), one for
/// another host ("elsewhere"), a client's ("client") and a client's of the other authority ("stranger"):
/// NAME.pem and NAME.key.
class Certificates {
 public:
  /// @throws std::runtime_error when openssl fails
  Certificates();
  std::string file(const std::string& name) const { return folder_.path(name); }

 private:
  void authority(const std::string& name);
  void issue(const std::string& name, const std::string& by, const std::string& extension);

  TemporaryFolder folder_;
};

/// One set for all tests of a process.
const Certificates& certificates();

}  // namespace popcorn::test
