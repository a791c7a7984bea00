// What `popcorn serve` can be told.
#pragma once

#include <string>
#include <vector>

#include "cli/options/settings.h"
#include "service/server.h"

namespace popcorn::cli {

struct ServeOptions {
  std::vector<std::string> models;
  std::string output = "any";
  std::string engine = "any";
  std::string sign_test = "oblivious";
  service::ServerOptions server;
  std::string admin_port = "none";
  std::string log;
  std::string log_level = "info";
  std::string preparation_ledger;
  unsigned threads = 0;
  bool insecure_test_key = false;

  // On the command line only.
  std::string config_file;
  bool print_config = false;
  bool json = false;
};

/// Every setting of the command with its bounds and help.
void add_serve_settings(Settings& settings, ServeOptions& options);

/// Carries over what is not stored in `options.server` directly and refuses what makes no sense together.
/// @throws UsageError "settings.*"
void complete(ServeOptions& options);

}  // namespace popcorn::cli
