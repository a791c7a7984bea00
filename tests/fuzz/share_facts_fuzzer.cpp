// The member "shares" of a client bundle: refused with an InputError, or it survives its own JSON and all
// that a client derives from it (plan, exact cost, layouts, schedule) holds together.
#include <cstdint>

#include "base/error.h"
#include "base/json.h"
#include "protocols/shares/share_dry_run.h"
#include "protocols/shares/shares_schedule.h"
#include "tests/fuzz/small_world.h"

namespace {

using namespace popcorn;
using namespace popcorn::protocols::shares;
using popcorn::test::require;

constexpr unsigned kKeyBits = 1024;
constexpr std::int64_t kMostValues = 1 << 14;  // more only takes longer

void derive(const ShareFacts& facts, ShareRounding rounding) {
  const SharePlan plan = plan_shares(facts.network, share_options(rounding));
  const SharesSchedule schedule(facts, rounding, plan, kKeyBits);
  require(schedule.layers() == facts.layers.size());
  require(schedule.first_transfers() <= 1 + facts.layers.size());
  require(schedule.rounds() == schedule.first_flight() + facts.flights(rounding).online.size());
  for (std::uint64_t round = 0; round < schedule.rounds(); ++round) {
    require(schedule.client_message(round).bytes() >= protocols::kMessagePrefixBytes);
    require(!schedule.name_of(round).empty());
  }
  for (std::size_t i = 0; i < schedule.layers(); ++i) {
    const PackedLayout& layout = schedule.layout(i);
    require(layout.inputs() > 0 && layout.outputs() > 0);
    const models::Shape& shape = layout.layer().output;
    const PackedLayout::Place last =
        layout.output_place(shape.channels - 1, shape.height - 1, shape.width - 1);
    require(last.ciphertext < layout.outputs() && last.slot < layout.slots());
  }
}

bool is_small(const ShareFacts& facts) {
  std::int64_t values = 0;
  for (const ShareNode& node : facts.network.nodes) values += node.shape.size();
  return values <= kMostValues;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Json json = Json::parse(data, data + size, nullptr, false);
  if (json.is_discarded()) return 0;
  try {
    const ShareFacts facts = facts_from_json(json);
    require(facts_to_json(facts_from_json(facts_to_json(facts))) == facts_to_json(facts));
    if (!is_small(facts)) return 0;
    for (const ShareRounding rounding : {ShareRounding::nearest, ShareRounding::fast})
      derive(facts, rounding);
  } catch (const InputError&) {
  }
  return 0;
}
