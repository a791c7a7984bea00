// Trustworthy timings on a noisy machine: alternatives are sampled in turn, medians are compared.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

namespace popcorn::cli {

/// Something to time: work(n) does n operations.
struct Contender {
  std::function<void(std::size_t)> work;
  std::size_t batch = 1;  ///< n is a multiple of this
};

struct Timing {
  double median = 0;  ///< seconds an operation
  double minimum = 0;
  double maximum = 0;
};

/// Times the contenders A B C A B C …, `samples` times each after a warm-up; each sample takes about
/// `seconds_per_sample` of this thread's processor time, which is what is measured: the work must stay on
/// this thread.
std::vector<Timing> time_in_turn(const std::vector<Contender>& contenders, std::size_t samples,
                                 double seconds_per_sample);

/// Seconds of processor time of this thread: what other programs do meanwhile does not count.
double thread_seconds();

double median(std::vector<double> values);
/// Of samples, at least one.
Timing timing_of(const std::vector<double>& seconds);

/// "Intel(R) Xeon(R) Processor, 2 cores": what the figures were measured on.
std::string machine_description();

}  // namespace popcorn::cli
