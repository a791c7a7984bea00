#include "protocols/shares/plan/share_plan_pool.h"

#include <algorithm>

#include "models/network/sliding_window.h"
#include "protocols/shares/plan/share_plan_groups.h"

namespace popcorn::protocols::shares {

namespace {

using models::Axis;
using models::Range;

constexpr std::uint32_t kAbsent = UINT32_MAX;

/// Pairs up the members of every window until each has one left. Gives the place of each window's last.
Places pair_up(std::vector<Places> windows, std::size_t size, std::vector<MaximumRound>& rounds) {
  const auto open = [](const Places& window) { return window.size() > 1; };
  while (std::ranges::any_of(windows, open)) {
    MaximumRound round;
    round.size = size;
    for (const Places& window : windows) {
      for (std::size_t i = 0; i + 1 < window.size(); i += 2) {
        round.left.push_back(window[i]);
        round.right.push_back(window[i + 1]);
      }
      if (window.size() % 2 == 1) round.kept.push_back(window.back());
    }
    std::uint32_t pair = 0;
    auto kept = static_cast<std::uint32_t>(round.left.size());
    for (Places& window : windows) {
      const std::size_t count = window.size();
      window.clear();
      for (std::size_t i = 0; i + 1 < count; i += 2) window.push_back(pair++);
      if (count % 2 == 1) window.push_back(kept++);
    }
    size = round.result_size();
    rounds.push_back(std::move(round));
  }
  Places last;
  for (const Places& window : windows) last.push_back(window.front());
  return last;
}

}  // namespace

MaximumRounds plan_maxima(const models::Window& window, const models::Shape& input,
                          const models::Shape& output) {
  const Axis rows = models::vertical_axis(window, input, output);
  const Axis columns = models::horizontal_axis(window, input, output);
  const auto width = static_cast<std::size_t>(output.width);
  // Rows that some window looks at, and where the first pass leaves them.
  std::vector<std::uint32_t> line(static_cast<std::size_t>(input.height), kAbsent);
  for (std::int64_t row = 0; row < output.height; ++row) {
    const Range taps = rows.taps_of_output(row);
    for (std::int64_t tap = taps.begin; tap < taps.end; ++tap)
      line[static_cast<std::size_t>(rows.input_at(row, tap))] = 0;
  }
  std::vector<Places> across;
  std::uint32_t lines = 0;
  for (std::size_t row = 0; row < line.size(); ++row) {
    if (line[row] == kAbsent) continue;
    line[row] = lines++;
    for (std::int64_t column = 0; column < output.width; ++column) {
      const Range taps = columns.taps_of_output(column);
      Places members;
      for (std::int64_t tap = taps.begin; tap < taps.end; ++tap)
        members.push_back(static_cast<std::uint32_t>(static_cast<std::int64_t>(row) * input.width +
                                                     columns.input_at(column, tap)));
      across.push_back(std::move(members));
    }
  }
  MaximumRounds plan;
  const Places first =
      pair_up(std::move(across), static_cast<std::size_t>(input.height * input.width), plan.rounds);
  std::vector<Places> down;
  for (std::int64_t row = 0; row < output.height; ++row) {
    const Range taps = rows.taps_of_output(row);
    for (std::size_t column = 0; column < width; ++column) {
      Places members;
      for (std::int64_t tap = taps.begin; tap < taps.end; ++tap)
        members.push_back(first[line[static_cast<std::size_t>(rows.input_at(row, tap))] * width + column]);
      down.push_back(std::move(members));
    }
  }
  const std::size_t size = plan.rounds.empty() ? static_cast<std::size_t>(input.height * input.width)
                                               : plan.rounds.back().result_size();
  plan.order = pair_up(std::move(down), size, plan.rounds);
  return plan;
}

DisjunctionRounds plan_disjunctions(const models::Window& window, const models::Shape& input,
                                    const models::Shape& output) {
  const Axis rows = models::vertical_axis(window, input, output);
  const Axis columns = models::horizontal_axis(window, input, output);
  std::vector<Places> windows;
  std::size_t most = 1;
  for (std::int64_t row = 0; row < output.height; ++row) {
    for (std::int64_t column = 0; column < output.width; ++column) {
      const Range down = rows.taps_of_output(row), across = columns.taps_of_output(column);
      Places members;
      for (std::int64_t i = down.begin; i < down.end; ++i) {
        for (std::int64_t j = across.begin; j < across.end; ++j)
          members.push_back(
              static_cast<std::uint32_t>(rows.input_at(row, i) * input.width + columns.input_at(column, j)));
      }
      most = std::max(most, members.size());
      windows.push_back(std::move(members));
    }
  }
  DisjunctionRounds plan;
  for (const unsigned inputs : group_sizes(most, kMostConjoined)) {
    DisjunctionRound round;
    round.inputs = inputs;
    std::uint32_t next = 0;
    for (Places& members : windows) {
      Places left;
      for (std::size_t i = 0; i < members.size(); i += inputs) {
        for (std::size_t k = 0; k < inputs; ++k)
          round.members.push_back(members[std::min(i + k, members.size() - 1)]);
        left.push_back(next++);
      }
      members = std::move(left);
    }
    plan.rounds.push_back(std::move(round));
  }
  for (const Places& members : windows) plan.order.push_back(members.front());
  return plan;
}

}  // namespace popcorn::protocols::shares
