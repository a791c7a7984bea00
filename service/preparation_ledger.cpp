#include "service/preparation_ledger.h"

#include <nlohmann/json.hpp>

namespace popcorn::service {

namespace {

using Json = nlohmann::ordered_json;

void note(const PreparationLedger::Write& write, const char* event, const std::string& id,
          const Json& details) {
  if (!write) return;
  Json line = {{"event", event}, {"preparation", id}};
  line.update(details);
  write(line.dump());
}

}  // namespace

void PreparationLedger::prepared(const std::string& id, std::uint64_t rounds) const {
  note(write_, "prepared", id, {{"round", rounds}});
}

void PreparationLedger::claimed(const std::string& id, const std::string& name) const {
  note(write_, "claimed", id, {{"claim", to_hex(sha256(as_bytes(name)))}});
}

void PreparationLedger::online(const std::string& id, std::uint64_t round, const Sha256& body) const {
  note(write_, "online", id, {{"round", round}, {"body", to_hex(body)}});
}

void PreparationLedger::answered(const std::string& id, std::uint64_t round) const {
  note(write_, "answered", id, {{"round", round}});
}

}  // namespace popcorn::service
