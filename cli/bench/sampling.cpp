#include "cli/bench/sampling.h"

#include <algorithm>
#include <ctime>
#include <fstream>
#include <thread>

namespace popcorn::cli {

namespace {

double seconds_for(const Contender& contender, std::size_t count) {
  const double start = thread_seconds();
  contender.work(count);
  return thread_seconds() - start;
}

/// How many operations take about `seconds`; doubles up from one batch, which also warms caches and tables.
std::size_t calibrate(const Contender& contender, double seconds) {
  std::size_t count = contender.batch;
  for (;;) {
    const double taken = seconds_for(contender, count);
    if (taken >= seconds) return count;
    const double factor = taken > 0 ? std::min(8.0, std::max(1.3, seconds / taken)) : 8.0;
    const auto batches = static_cast<std::size_t>(static_cast<double>(count) * factor) / contender.batch + 1;
    if (taken >= 0.8 * seconds) return count;
    count = batches * contender.batch;
  }
}

}  // namespace

double thread_seconds() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

double median(std::vector<double> values) {
  std::ranges::sort(values);
  const std::size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

Timing timing_of(const std::vector<double>& seconds) {
  return {median(seconds), std::ranges::min(seconds), std::ranges::max(seconds)};
}

std::vector<Timing> time_in_turn(const std::vector<Contender>& contenders, std::size_t samples,
                                 double seconds_per_sample) {
  std::vector<std::size_t> counts;
  for (const Contender& contender : contenders) counts.push_back(calibrate(contender, seconds_per_sample));
  std::vector<std::vector<double>> seconds(contenders.size());
  for (std::size_t sample = 0; sample < samples; ++sample) {
    for (std::size_t i = 0; i < contenders.size(); ++i) {
      seconds[i].push_back(seconds_for(contenders[i], counts[i]) / static_cast<double>(counts[i]));
    }
  }
  std::vector<Timing> timings;
  for (const auto& values : seconds) {
    timings.push_back(timing_of(values));
  }
  return timings;
}

std::string machine_description() {
  std::ifstream info("/proc/cpuinfo");
  std::string line;
  std::string model = "unknown processor";
  while (std::getline(info, line)) {
    if (line.starts_with("model name")) {
      model = line.substr(line.find(':') + 2);
      break;
    }
  }
  return model + ", " + std::to_string(std::thread::hardware_concurrency()) + " cores";
}

}  // namespace popcorn::cli
