// What was looked at, and what was found.
#pragma once

#include <string>
#include <vector>

namespace popcorn::cli {

enum class Verdict {
  good,
  advice,  ///< works, but could be better
  problem  ///< something will not work
};

struct Finding {
  std::string subject;  ///< "memory"
  Verdict verdict = Verdict::good;
  std::string sentence;  ///< what was found and, unless it is good, what to do
};

using Findings = std::vector<Finding>;

}  // namespace popcorn::cli
