// Whether a server and a Redis answer.
#pragma once

#include <string>

#include "cli/doctor/finding.h"
#include "cli/options/connection_options.h"

namespace popcorn::cli {

/// Asks the server for its models, with token and certificates as infer would. Nothing when none is named.
Findings server_findings(const ConnectionOptions& connection);

/// Connects to the Redis of "redis://…" (the password from `password_file`, if any). Nothing when none is
/// named.
Findings redis_findings(const std::string& url, const std::string& password_file);

}  // namespace popcorn::cli
