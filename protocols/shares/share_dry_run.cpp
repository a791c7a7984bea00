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

TransferNeed prepared_transfers(const SharePlan& plan) {
  const auto need = predict_shares(plan).all.transfers;
  if (std::max(need[0], need[1]) > kMostPreparedTransfers) return {};
  return {need[0], need[1]};
}

namespace {

std::vector<FlightPair> flights_of(ot::Half& client, ot::Half& server) {
  std::vector<FlightPair> flights;
  Bytes to_client;
  while (!client.finished() || !server.finished()) {
    const Bytes to_server = client.finished() ? Bytes{} : client.advance(to_client);
    if (server.finished()) break;  // it sent the last flight
    to_client = server.advance(to_server);
    flights.push_back({to_server.size(), to_client.size()});
  }
  return flights;
}

}  // namespace

ShareFlights dry_run_flights(const models::IntegerNetwork& network, ShareRounding rounding) {
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
  ShareFlights flights;
  if (!prepared_transfers(plan).none()) {
    ot::Half server_half(server.wire, reserve_first(server, plan));
    ot::Half client_half(client.wire, reserve_first(client, plan));
    flights.transfers = flights_of(client_half, server_half);
  }
  ot::Half server_half(server.wire, online_of_server(server, plan, server_part));
  ot::Half client_half(client.wire, online_of_client(client, plan, client_part, answer));
  flights.online = flights_of(client_half, server_half);
  return flights;
}

}  // namespace popcorn::protocols::shares
