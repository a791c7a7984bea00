// The flights of the online phase, seen by running both halves in one process on shares of zero.
#pragma once

#include "protocols/shares/run/share_run.h"
#include "protocols/shares/share_facts.h"

namespace popcorn::protocols::shares {

/// What a session's two halves run after the preparation: transfers made ahead, then the plan.
ot::Dialogue<void> online_of_server(ot::TransferParty& party, const SharePlan& plan, const ServerPart& part);
ot::Dialogue<void> online_of_client(ot::TransferParty& party, const SharePlan& plan, const ClientPart& part,
                                    ShareAnswer& answer);
/// The source that both halves take for a plan's transfers.
ot::TransferSource transfer_source(const SharePlan& plan);
ShareOptions share_options(ShareRounding rounding);

/// Takes as long as one online phase.
std::vector<FlightPair> dry_run_flights(const models::IntegerNetwork& network, ShareRounding rounding);

}  // namespace popcorn::protocols::shares
