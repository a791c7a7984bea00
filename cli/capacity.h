// What a service needs for so many answers an hour, from one inference that was measured on this machine.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "paillier/keys/key_owner.h"
#include "protocols/session/served_model.h"
#include "protocols/session_options.h"

namespace popcorn::cli {

/// One inference, both parties in this process, one after the other.
struct MeasuredInference {
  struct Part {
    double server_seconds = 0, client_seconds = 0;  ///< processor time, all cores
    std::uint64_t bytes_up = 0, bytes_down = 0;     ///< message bodies
    std::uint64_t rounds = 0;
  };
  Part preparation;  ///< all 0 for an engine that does nothing before the input is there
  Part online;       ///< the whole inference then
  /// What is kept of a preparation that waits for its input.
  std::uint64_t server_state = 0, client_state = 0;
  std::uint64_t store_writes = 0;    ///< bytes that a preparation writes into a store of sessions
  std::uint64_t session_memory = 0;  ///< of the server at its peak, a bound
  std::uint64_t key_memory = 0;      ///< of the server, a client's key
};

/// @param progress rounds done and in all
/// @throws CheckError "capacity.wrong_result" when the answer is not that of the plaintext network
MeasuredInference measure_inference(const std::shared_ptr<const protocols::ServedModel>& model,
                                    const std::shared_ptr<const paillier::KeyOwner>& owner,
                                    protocols::SessionOptions session,
                                    const std::function<void(std::uint64_t, std::uint64_t)>& progress = {});

struct CapacityWish {
  double answers_per_hour = 60;
  unsigned cores = 1;      ///< of all servers together
  double stock_hours = 1;  ///< for how long the stocks of all clients last
};

struct Capacity {
  double cores = 0;             ///< that the answers need, busy to kBusy
  double answers_per_hour = 0;  ///< that the wish's cores give
  std::uint64_t sessions_at_once = 0;
  std::uint64_t memory = 0;                                 ///< bytes, of all servers together, a bound
  std::uint64_t preparations = 0;                           ///< that wait
  std::uint64_t server_store = 0, client_store = 0;         ///< bytes of them, of all servers and all clients
  double store_bytes_per_second = 0;                        ///< written
  double up_bits_per_second = 0, down_bits_per_second = 0;  ///< message bodies, on average

  static constexpr double kBusy = 0.7;  ///< of the cores' time; what is left keeps waiting short
};

Capacity plan_capacity(const MeasuredInference& inference, const CapacityWish& wish);

}  // namespace popcorn::cli
