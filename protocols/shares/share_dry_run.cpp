#include "protocols/shares/share_dry_run.h"

#include <algorithm>

#include "protocols/ot/steps/local_parties.h"
#include "protocols/shares/run/share_cost.h"

namespace popcorn::protocols::shares {

ot::Dialogue<void> online_of_server(ot::TransferParty& party, const SharePlan& plan, const ServerPart& part) {
  co_await reserve_first(party, plan);
  co_await run_server(party, plan, part);
}

ot::Dialogue<void> online_of_client(ot::TransferParty& party, const SharePlan& plan, const ClientPart& part,
                                    ShareAnswer& answer) {
  co_await reserve_first(party, plan);
  co_await run_client(party, plan, part, answer);
}

ot::TransferSource transfer_source(const SharePlan& plan) {
  const ShareCost cost = predict_shares(plan);
  return ot::TransferSource::for_transfers(std::max(cost.all.transfers[0], cost.all.transfers[1]));
}

ShareOptions share_options(ShareRounding rounding) {
  ShareOptions options;
  options.rounding = rounding;
  return options;
}

std::vector<FlightPair> dry_run_flights(const models::IntegerNetwork& network, ShareRounding rounding) {
  const SharePlan plan = plan_shares(share_network(network), share_options(rounding));
  const ClearLayers layers(network);
  ot::TwoParties parties(transfer_source(plan), system_rng());
  const auto zeros = [&](std::size_t node) { return ot::Words(plan.network.nodes[node].size()); };
  const auto nothing = [&](std::size_t node) { return MaskedResult{zeros(node), zeros(node)}; };
  const ServerPart server_part{layers, nothing};
  const ClientPart client_part{zeros(0), zeros, nothing};
  ShareAnswer answer;
  ot::TransferParty& server = parties.party(true);
  ot::TransferParty& client = parties.party(false);
  ot::Half server_half(server.wire, online_of_server(server, plan, server_part));
  ot::Half client_half(client.wire, online_of_client(client, plan, client_part, answer));
  std::vector<FlightPair> flights;
  Bytes to_client;
  for (;;) {
    const Bytes to_server = client_half.advance(to_client);
    if (client_half.finished()) break;
    to_client = server_half.advance(to_server);
    flights.push_back({to_server.size(), to_client.size()});
  }
  return flights;
}

}  // namespace popcorn::protocols::shares
