// Counters, gauges and histograms of a running server, and their Prometheus text form (version 0.0.4).
// Base units: seconds, bytes, counts. No label ever holds a session, a key or a caller.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <tuple>

#include "paillier/evaluator.h"
#include "service/server_statistics.h"

namespace popcorn::service {

/// Cumulative buckets from a millisecond to a quarter of an hour. Not thread-safe.
class Histogram {
 public:
  static constexpr std::array kBounds = {0.001, 0.003, 0.01, 0.03,  0.1,   0.3,  1.0,
                                         3.0,   10.0,  30.0, 100.0, 300.0, 900.0};

  void observe(double seconds);
  void append_to(std::string& text, const std::string& name, const std::string& labels) const;

 private:
  std::array<std::uint64_t, kBounds.size()> buckets_{};
  std::uint64_t count_ = 0;
  double sum_ = 0;
};

enum class SessionOutcome { finished, cancelled, expired };

/// Thread-safe.
class Metrics {
 public:
  void request(const std::string& method, const std::string& route, int status, double seconds);
  void job(double waited_seconds, double ran_seconds);
  void round(std::uint64_t ciphertexts, const paillier::OperationCounts& before,
             const paillier::OperationCounts& after, double seconds);
  /// Wall seconds of a round by what they were spent on.
  void phases(const protocols::ServerPhases& seconds);
  /// Factors of re-randomisations made ahead, and the wall seconds that took.
  void prepared(std::uint64_t count, double seconds);
  void round_bytes_received(std::uint64_t bytes) { bytes_received_ += bytes; }
  void round_bytes_sent(std::uint64_t bytes) { bytes_sent_ += bytes; }
  /// Ciphertexts of a round that were validated before the upload of its body had ended.
  void worked_ahead(std::uint64_t ciphertexts) { ciphertexts_ahead_ += ciphertexts; }
  /// @param code of the InputError: counted when it is about a ciphertext
  void rejected(const std::string& code);
  /// @param engine one that the model is served with
  void session_started(const std::string& engine);
  void preparation_made() { ++preparations_made_; }
  void preparation_claimed() { ++preparations_claimed_; }
  void session_ended(SessionOutcome outcome, std::uint64_t count = 1);

  ServerStatistics snapshot() const;

  /// What others know at the moment of asking.
  struct Gauges {
    std::size_t queue_depth = 0, sessions_active = 0, preparations = 0, keys = 0, connections = 0;
    std::uint64_t upload_bytes = 0;
  };
  std::string prometheus_text(const Gauges& gauges) const;

 private:
  void append_requests(std::string& text) const;
  void append_work(std::string& text) const;

  std::atomic<std::uint64_t> requests_{0}, sessions_started_{0};
  std::atomic<std::uint64_t> preparations_made_{0}, preparations_claimed_{0};
  std::atomic<std::uint64_t> finished_{0}, cancelled_{0}, expired_{0};
  std::atomic<std::uint64_t> ciphertexts_received_{0}, ciphertexts_ahead_{0}, bytes_received_{0},
      bytes_sent_{0};

  mutable std::mutex mutex_;
  paillier::OperationCounts operations_;
  protocols::ServerPhases phases_;
  std::uint64_t prepared_ = 0;
  double offline_seconds_ = 0;
  std::map<std::tuple<std::string, std::string, int>, std::uint64_t> requests_by_;
  std::map<std::string, Histogram> request_seconds_;  ///< by route
  std::map<std::string, std::uint64_t> rejected_;     ///< by reason
  std::map<std::string, std::uint64_t> of_engine_;    ///< sessions opened, by engine
  Histogram queue_wait_, round_compute_;
};

}  // namespace popcorn::service
