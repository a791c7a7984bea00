// How the commands that talk to a server reach it and who they say they are.
#pragma once

#include <string>

#include "service/client/rest_client.h"

namespace CLI {
class App;
}

namespace popcorn::cli {

struct ConnectionOptions {
  std::string server;      ///< URL
  std::string token_file;  ///< its first line is the token; empty = POPCORN_TOKEN, or none
  std::string ca_file;
  std::string client_certificate_file, client_key_file;
  bool insecure_skip_verify = false;
  unsigned timeout_seconds = 600;
};

/// --server, --token-file, --ca, --client-cert, --client-key, --insecure-skip-verify, --timeout.
void add_connection_options(CLI::App& command, ConnectionOptions& options);

/// What service::Client needs, with the token read. A token is never taken from the command line, where other
/// users of the machine could see it.
/// @throws IoError, InputError "token.*", UsageError "client.*"
service::ClientOptions client_options(const ConnectionOptions& options);

}  // namespace popcorn::cli
