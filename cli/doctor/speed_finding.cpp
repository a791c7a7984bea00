#include "cli/doctor/speed_finding.h"

#include "base/random.h"
#include "cli/bench/paillier_benchmark.h"
#include "cli/keys.h"
#include "cli/terminal/output.h"
#include "cli/terminal/progress.h"
#include "protocols/engines.h"

namespace popcorn::cli {

namespace {

constexpr unsigned kBits = 2048;
constexpr std::size_t kSamples = 3;
/// Of the processor that docs/performance.md scales to (Zen 5, two IFMA units).
constexpr double kReferenceSeconds = 0.265e-6;
constexpr double kSlow = 20;  ///< times as long

std::string milliseconds(double seconds) {
  constexpr double kPerSecond = 1e3;
  return fixed(seconds * kPerSecond, 2) + " ms";
}

Finding multiplication(const paillier::KeyOwner& owner) {
  constexpr double kPerSecond = 1e6;
  const PaillierBenchmark benchmark = run_paillier_benchmark(owner.private_key(), kSamples, "modmul");
  const double seconds = benchmark.figures.front().chosen.median;
  const double ratio = seconds / kReferenceSeconds;
  const std::string found = fixed(seconds * kPerSecond, 2) + " µs a multiplication modulo N² with " +
                            std::to_string(kBits) + "-bit keys, " + fixed(ratio, 1) +
                            " times the 0.265 µs of a processor with two IFMA units";
  if (ratio < kSlow) return {"multiplication", Verdict::good, found};
  return {"multiplication", Verdict::advice, found + ": is the machine busy, or this a debug build?"};
}

}  // namespace

Findings speed_findings() {
  Progress progress("measuring");
  progress.update(0, 3, "making a key");
  std::string unused;
  KeyOptions options;
  options.bits = kBits;
  const auto owner = key_owner(options, unused);
  progress.update(1, 3, "multiplications");
  Findings findings = {multiplication(*owner)};
  progress.update(2, 3, "encryptions");
  const protocols::MachineSpeed speed =
      protocols::engine_named(protocols::kDefaultEngine)
          .measure_speed(owner, paillier::PublicContext::create(owner->public_key()), {}, system_rng());
  progress.clear();
  findings.push_back({"encryption", Verdict::good,
                      milliseconds(speed.encryption) + " an encryption, " + milliseconds(speed.decryption) +
                          " a decryption, all cores at it"});
  return findings;
}

}  // namespace popcorn::cli
