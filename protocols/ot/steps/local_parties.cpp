#include "protocols/ot/steps/local_parties.h"

#include <ctime>
#include <stdexcept>

namespace popcorn::protocols::ot {

DealtBase deal_base(Rng& rng) {
  DealtBase base;
  rng.fill({reinterpret_cast<std::uint8_t*>(&base.offered), sizeof base.offered});
  for (std::size_t i = 0; i < kBaseTransfers; ++i) {
    base.chosen.choices[i] = static_cast<std::uint8_t>(i == 0 ? 0 : rng.next_u64() & 1U);
    base.chosen.seeds[i] = base.offered.pairs[i][base.chosen.choices[i]];
  }
  return base;
}

namespace {

double processor_seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

}  // namespace

Traffic run_halves(Half& first, Half& second, const std::function<void(bool, Bytes&)>& alter) {
  Traffic traffic;
  const auto sent = [&](bool from_first, Bytes& flight) {
    if (flight.empty()) return;
    traffic.bytes[from_first ? 0 : 1] += flight.size();
    ++traffic.flights;
    if (alter) alter(from_first, flight);
  };
  const auto advance = [&](bool is_first, ByteView incoming) {
    const double start = processor_seconds();
    Bytes flight = (is_first ? first : second).advance(incoming);
    traffic.seconds[is_first ? 0 : 1] += processor_seconds() - start;
    return flight;
  };
  Bytes to_second = advance(true, {});
  sent(true, to_second);
  Bytes to_first = advance(false, to_second);
  sent(false, to_first);
  while (!first.finished() || !second.finished()) {
    if (to_first.empty() && to_second.empty()) throw std::logic_error("both parties wait");
    to_second.clear();
    if (!first.finished()) to_second = advance(true, to_first);
    sent(true, to_second);
    to_first.clear();
    if (!second.finished()) to_first = advance(false, to_second);
    sent(false, to_first);
    if (first.finished() != second.finished() && to_first.empty() && to_second.empty()) {
      throw std::logic_error("a party waits for one that is over");
    }
  }
  return traffic;
}

TwoParties::TwoParties(TransferSource source, Rng& rng, const kernels::Kernel& kernel)
    : forward_(deal_base(rng)),
      backward_(deal_base(rng)),
      first_sender_(source, forward_.chosen, as_bytes("forward"), rng, kernel),
      second_receiver_(source, forward_.offered, as_bytes("forward"), rng, kernel),
      second_sender_(source, backward_.chosen, as_bytes("backward"), rng, kernel),
      first_receiver_(source, backward_.offered, as_bytes("backward"), rng, kernel),
      first_{first_wire_, first_sender_, first_receiver_, true},
      second_{second_wire_, second_sender_, second_receiver_, false} {}

Traffic TwoParties::run(const Body& body) {
  Half first(first_wire_, body(first_));
  Half second(second_wire_, body(second_));
  return run_halves(first, second);
}

}  // namespace popcorn::protocols::ot
