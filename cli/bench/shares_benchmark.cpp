#include "cli/bench/shares_benchmark.h"

#include <tbb/global_control.h>

#include <algorithm>

#include "cli/bench/sampling.h"
#include "cli/shipped_files.h"
#include "models/evaluation/plaintext_evaluator.h"
#include "models/file/popcorn_file.h"
#include "models/network/value_range.h"
#include "protocols/shares/run/share_run_local.h"

namespace popcorn::cli {

namespace {

namespace shares = protocols::shares;

/// A picture of an even grey: all its values stay within their ranges in every shipped network.
WideVector even_input(const models::IntegerNetwork& network) {
  WideVector input(static_cast<std::size_t>(network.input().shape.size()), 1);
  for (std::size_t i = 0; i < input.size(); ++i)
    input.set_int64(i, (network.encoding.low + network.encoding.high) / 2);
  return input;
}

/// W·s of every weighted layer on a share of its operand.
double sums_seconds(const models::IntegerNetwork& network, const shares::DealtPreparation& preparation) {
  const shares::ClearLayers layers(network);
  const double start = thread_seconds();
  for (std::size_t i = 0; i < network.nodes.size(); ++i) {
    if (preparation.server.count(i) > 0) layers(i, preparation.chosen.at(network.nodes[i].inputs.front()));
  }
  return thread_seconds() - start;
}

SharesFigure figure_of(const models::IntegerNetwork& network, const shares::ShareOptions& variant,
                       std::size_t samples) {
  // One thread a party: what is measured is its processor time.
  const tbb::global_control one_thread(tbb::global_control::max_allowed_parallelism, 1);
  SharesFigure figure;
  figure.network = network.name;
  figure.options = variant;
  const WideVector input = even_input(network);
  std::array<std::vector<double>, 2> online, ahead;
  std::vector<double> sums;
  for (std::size_t i = 0; i < samples; ++i) {
    shares::LocalShares parties(network, variant, system_rng());
    const shares::DealtPreparation preparation =
        shares::deal_preparation(network, parties.plan(), system_rng());
    sums.push_back(sums_seconds(network, preparation));
    const shares::LocalInference run = parties.infer(input, preparation);
    for (std::size_t party = 0; party < 2; ++party) {
      online[party].push_back(run.online.seconds[party]);
      ahead[party].push_back(run.transfers.seconds[party]);
    }
    figure.flights = run.online.flights;
    figure.bytes = run.online.bytes;
    figure.transfers = run.transfers_used;
    figure.transfer_bytes = run.transfers.bytes[0] + run.transfers.bytes[1];
  }
  for (std::size_t party = 0; party < 2; ++party) {
    figure.online[party] = timing_of(std::move(online[party]));
    figure.ahead[party] = timing_of(std::move(ahead[party]));
  }
  figure.sums = timing_of(std::move(sums));
  if (variant.rounding == shares::ShareRounding::fast) return figure;
  shares::LocalShares parties(network, variant, system_rng());
  shares::OpenedCheck check(network, input);
  parties.infer(input, check.observer());
  figure.checked = check.values();
  figure.wrong = check.wrong();
  return figure;
}

}  // namespace

std::vector<SharesFigure> run_shares_benchmark(
    const SharesOptions& options,
    const std::function<void(std::size_t, std::size_t, const std::string&)>& progress) {
  std::vector<SharesFigure> figures;
  const std::size_t total = options.models.size() * options.variants.size();
  for (const std::string& name : options.models) {
    const models::IntegerNetwork network = models::read_network(find_requantised_model(name));
    for (const shares::ShareOptions& variant : options.variants) {
      if (progress) progress(figures.size(), total, network.name);
      figures.push_back(figure_of(network, variant, options.samples));
    }
  }
  return figures;
}

}  // namespace popcorn::cli
