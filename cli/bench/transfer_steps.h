// Steps on shares as benchmarks run them: what they send, how a party runs one, whether a result is right.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string_view>
#include <vector>

#include "protocols/ot/steps/share_steps.h"
#include "protocols/ot/steps/share_transfers.h"

namespace popcorn::cli {

/// Values of a step that travel together.
inline constexpr std::size_t kStepValues = std::size_t{1} << 15;

struct Step {
  protocols::ot::FlightLedger cost;
  unsigned ring = 0, result_ring = 0;
  std::int64_t low = 0, high = 0;  ///< x in [low, high)
  bool neighbour = false;          ///< the carry of a packed neighbour comes in
  bool two_operands = false;
  std::function<protocols::ot::Dialogue<protocols::ot::Words>(
      protocols::ot::TransferParty&, const protocols::ot::Words& x, const protocols::ot::Words& y,
      const protocols::ot::Words& lowest)>
      run;
  /// @param y the second operand, 0 when there is none
  std::function<bool(std::int64_t x, std::int64_t y, std::uint32_t result)> right;
};

/// "relu", "relu_exact", "truncation" of values of `ring` bits, cut to `kept`; "maximum" of values of `kept`.
Step step_named(std::string_view op, unsigned ring, unsigned kept);

/// Both parties' shares of kStepValues random values that the step is for.
struct StepInputs {
  struct Operand {
    std::vector<std::int64_t> values;
    std::array<protocols::ot::Words, 2> shares;
  };
  Operand x, y;
  std::array<protocols::ot::Words, 2> lowest;
};
StepInputs random_inputs(const Step& step);
/// One party's half of the step on its shares.
protocols::ot::Dialogue<protocols::ot::Words> run_on_shares(const Step& step,
                                                            protocols::ot::TransferParty& party,
                                                            const StepInputs& inputs);
/// How many results are not what they should be.
std::size_t wrong_results(const Step& step, const StepInputs& inputs,
                          const std::array<protocols::ot::Words, 2>& results);

}  // namespace popcorn::cli
