// Where the time of an inference goes, for reports.
#pragma once

#include <chrono>

namespace popcorn::protocols {

/// Wall seconds of a server session so far.
struct ServerPhases {
  double parse = 0;   ///< validating and converting received ciphertexts
  double linear = 0;  ///< linear layers
  double step = 0;    ///< shares, sign tests, selections
  double output = 0;  ///< packing the output

  ServerPhases& operator+=(const ServerPhases& other) {
    parse += other.parse;
    linear += other.linear;
    step += other.step;
    output += other.output;
    return *this;
  }
  /// What was added since `before`.
  ServerPhases since(const ServerPhases& before) const {
    return {parse - before.parse, linear - before.linear, step - before.step, output - before.output};
  }
};

/// Wall seconds of a client session so far.
struct ClientPhases {
  double encrypt = 0;  ///< of the input
  double step = 0;     ///< answering the questions of all steps
  double decrypt = 0;  ///< of the output
};

/// Adds the time from its construction to its destruction to `total`.
class PhaseTimer {
 public:
  explicit PhaseTimer(double& total) : total_(total), start_(std::chrono::steady_clock::now()) {}
  ~PhaseTimer() {
    total_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }
  PhaseTimer(const PhaseTimer&) = delete;
  PhaseTimer& operator=(const PhaseTimer&) = delete;

 private:
  double& total_;
  std::chrono::steady_clock::time_point start_;
};

}  // namespace popcorn::protocols
