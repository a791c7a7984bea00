// What becomes of preparations, as it happens, for audits that compare it with what clients say: one JSON
// object a line, written before the client hears of it. Names sessions, unlike the log; holds no secret.
//
//   {"event": "prepared", "preparation": ID, "round": rounds that are done}
//   {"event": "claimed",  "preparation": ID, "claim": SHA-256 of the claimer's name}
//   {"event": "online",   "preparation": ID, "round": k, "body": SHA-256 of the message that is worked on}
//   {"event": "answered", "preparation": ID, "round": k}
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "base/sha256.h"

namespace popcorn::service {

/// As thread-safe as what takes the lines.
class PreparationLedger {
 public:
  using Write = std::function<void(const std::string& json_line)>;
  /// @param write takes each line, without its end; null = nothing is noted
  explicit PreparationLedger(Write write) : write_(std::move(write)) {}

  void prepared(const std::string& id, std::uint64_t rounds) const;
  void claimed(const std::string& id, const std::string& name) const;
  void online(const std::string& id, std::uint64_t round, const Sha256& body) const;
  void answered(const std::string& id, std::uint64_t round) const;

 private:
  Write write_;
};

}  // namespace popcorn::service
