#include "protocols/ot/dialogue.h"

#include "base/error.h"

namespace popcorn::protocols::ot {

ByteView Wire::take(std::size_t count) noexcept {
  const ByteView taken(in_.data() + read_, count);
  read_ += count;
  return taken;
}

Bytes Half::advance(ByteView incoming) {
  if (finished_) throw Error("ot.finished", "a finished protocol was given more to read");
  Bytes& in = wire_.in_;
  in.erase(in.begin(), in.begin() + static_cast<std::ptrdiff_t>(wire_.read_));
  wire_.read_ = 0;
  in.insert(in.end(), incoming.begin(), incoming.end());
  if (!started_) {
    started_ = true;
    body_.handle().resume();
  } else if (wire_.waiting_ && wire_.available() >= wire_.wanted_) {
    std::exchange(wire_.waiting_, nullptr).resume();
  }
  if (body_.handle().done()) {
    finished_ = true;
    body_.handle().promise().result();
    if (wire_.available() != 0) {
      throw InputError("ot.trailing_bytes", "an oblivious-transfer message has " +
                                                std::to_string(wire_.available()) + " bytes too many");
    }
  }
  if (!finished_ && !incoming.empty() && (wire_.available() != 0 || wire_.out_.empty())) {
    throw InputError("ot.flight_size", "an oblivious-transfer message of " + std::to_string(incoming.size()) +
                                           " bytes is not of the size that its place in the protocol has");
  }
  Bytes flight = std::exchange(wire_.out_, {});
  if (!flight.empty()) {
    wire_.sent_ += flight.size();
    ++wire_.flights_;
  }
  return flight;
}

}  // namespace popcorn::protocols::ot
