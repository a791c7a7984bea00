// The flights of an inference, seen by running both halves in one process on shares of zero.
#pragma once

#include "protocols/shares/run/share_cost.h"
#include "protocols/shares/run/share_run.h"
#include "protocols/shares/share_facts.h"

namespace popcorn::protocols::shares {

/// What a session's two halves run after the preparation: first transfers, unless it has made them, then the
/// plan.
ot::Dialogue<void> online_of_server(ot::TransferParty& party, const SharePlan& plan, const ServerPart& part);
ot::Dialogue<void> online_of_client(ot::TransferParty& party, const SharePlan& plan, const ClientPart& part,
                                    ShareAnswer& answer);
/// The source that both halves take for a plan's transfers.
ot::TransferSource transfer_source(const SharePlan& plan);
ShareOptions share_options(ShareRounding rounding);

/// Transfers of a direction that a preparation keeps at most: 4 MiB at who has both pads, 2.5 MiB at the
/// other.
inline constexpr std::uint64_t kMostPreparedTransfers = std::uint64_t{1} << 19;
/// All that the plan takes, where the preparation makes and keeps them: making them is most of the online
/// phase of a small network, whatever it takes. Of a larger one they would be tens of megabytes a
/// preparation; it makes them when it runs, and these are zero.
TransferNeed prepared_transfers(const SharePlan& plan);

/// Takes as long as one online phase.
ShareFlights dry_run_flights(const models::IntegerNetwork& network, ShareRounding rounding);

}  // namespace popcorn::protocols::shares
