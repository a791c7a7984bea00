// The compression commands as the popcorn executable calls them: through the module's one symbol.
#pragma once

#include <string>
#include <vector>

namespace popcorn::test {

struct ModuleOutcome {
  int code = 0;
  std::string out, err;
};

/// @param arguments "compress", "train" or "export" and what follows
ModuleOutcome run_compress_module(const std::vector<std::string>& arguments);

}  // namespace popcorn::test
