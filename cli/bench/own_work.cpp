#include "cli/bench/own_work.h"

#include <sys/resource.h>

#include "base/random.h"

namespace popcorn::cli {

double processor_seconds() {
  constexpr double kMicro = 1e-6;
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + kMicro * static_cast<double>(time.tv_usec);
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

WideVector random_input(const models::InputEncoding& encoding) {
  const auto span = static_cast<std::uint64_t>(encoding.high - encoding.low) + 1;
  WideVector input(static_cast<std::size_t>(encoding.shape.size()), 1);
  for (std::size_t i = 0; i < input.size(); ++i) {
    input.set_int64(i, encoding.low + static_cast<std::int64_t>(system_rng().below(span)));
  }
  return input;
}

}  // namespace popcorn::cli
