#include "protocols/plan/tournament.h"

#include <algorithm>
#include <string>

#include "base/error.h"
#include "models/network/sliding_window.h"

namespace popcorn::protocols {

namespace {

using Place = std::uint32_t;
/// Places whose maximum is wanted.
using Group = std::vector<Place>;

/// Input positions that each output of one axis covers, without the padding.
std::vector<std::vector<std::int64_t>> windows_of(const models::Axis& axis) {
  std::vector<std::vector<std::int64_t>> windows(static_cast<std::size_t>(axis.output));
  for (std::int64_t output = 0; output < axis.output; ++output) {
    const models::Range taps = axis.taps_of_output(output);
    for (std::int64_t tap = taps.begin; tap < taps.end; ++tap) {
      windows[static_cast<std::size_t>(output)].push_back(axis.input_at(output, tap));
    }
  }
  return windows;
}

/// Rows and columns that each output row and column covers.
struct Geometry {
  Geometry(const models::Node& pool, const models::Shape& from)
      : input(from),
        output(pool.shape),
        rows(windows_of(models::vertical_axis(pool.window, from, pool.shape))),
        columns(windows_of(models::horizontal_axis(pool.window, from, pool.shape))) {
    const auto is_empty = [](const auto& positions) { return positions.empty(); };
    if (std::ranges::any_of(rows, is_empty) || std::ranges::any_of(columns, is_empty)) {
      throw InputError("model.window", "node \"" + pool.name + "\" has a window that holds padding only");
    }
  }

  models::Shape input, output;
  std::vector<std::vector<std::int64_t>> rows, columns;
};

/// Comparisons of one line of windows.
std::uint64_t comparisons_of(const std::vector<std::vector<std::int64_t>>& windows) {
  std::uint64_t comparisons = 0;
  for (const auto& window : windows) comparisons += window.size() - 1;
  return comparisons;
}

std::vector<std::int64_t> distinct(const std::vector<std::vector<std::int64_t>>& windows) {
  std::vector<std::int64_t> positions;
  for (const auto& window : windows) positions.insert(positions.end(), window.begin(), window.end());
  std::ranges::sort(positions);
  positions.erase(std::unique(positions.begin(), positions.end()), positions.end());
  return positions;
}

class Planner {
 public:
  explicit Planner(const Geometry& geometry) : geometry_(geometry) {}

  Tournament direct() {
    std::vector<Group> groups;
    for_each_output([&](std::int64_t channel, std::size_t y, std::size_t x) {
      Group group;
      for (const std::int64_t row : geometry_.rows[y]) {
        for (const std::int64_t column : geometry_.columns[x]) group.push_back(element(channel, row, column));
      }
      groups.push_back(std::move(group));
    });
    return finish(run(std::move(groups)));
  }

  /// Maxima along each row first and then down the columns, or (along_rows = false) the other way round.
  Tournament separable(bool along_rows) {
    const auto& inner = along_rows ? geometry_.columns : geometry_.rows;
    const auto& outer = along_rows ? geometry_.rows : geometry_.columns;
    const std::vector<std::int64_t> lines = distinct(outer);
    std::vector<Group> groups;
    for (std::int64_t channel = 0; channel < geometry_.input.channels; ++channel) {
      for (const std::int64_t line : lines) {
        for (const auto& window : inner) {
          Group group;
          for (const std::int64_t position : window) {
            group.push_back(along_rows ? element(channel, line, position) : element(channel, position, line));
          }
          groups.push_back(std::move(group));
        }
      }
    }
    const std::vector<Place> maxima = run(std::move(groups));  // channel, line, inner window
    std::vector<Group> second;
    for_each_output([&](std::int64_t channel, std::size_t y, std::size_t x) {
      Group group;
      for (const std::int64_t line : outer[along_rows ? y : x]) {
        const std::size_t row = static_cast<std::size_t>(channel) * lines.size() + place_of(lines, line);
        group.push_back(maxima[row * inner.size() + (along_rows ? x : y)]);
      }
      second.push_back(std::move(group));
    });
    return finish(run(std::move(second)));
  }

 private:
  static std::size_t place_of(const std::vector<std::int64_t>& sorted, std::int64_t position) {
    return static_cast<std::size_t>(std::ranges::lower_bound(sorted, position) - sorted.begin());
  }

  template <typename Visit>
  void for_each_output(Visit visit) const {
    for (std::int64_t channel = 0; channel < geometry_.output.channels; ++channel) {
      for (std::size_t y = 0; y < geometry_.rows.size(); ++y) {
        for (std::size_t x = 0; x < geometry_.columns.size(); ++x) visit(channel, y, x);
      }
    }
  }

  Place element(std::int64_t channel, std::int64_t row, std::int64_t column) const {
    const models::Shape& input = geometry_.input;
    return static_cast<Place>((channel * input.height + row) * input.width + column);
  }

  /// Adds levels until every group has one element left; returns the places of the maxima.
  std::vector<Place> run(std::vector<Group> groups) {
    const auto is_open = [](const Group& group) { return group.size() > 1; };
    while (std::ranges::any_of(groups, is_open)) add_level(groups);
    std::vector<Place> maxima;
    for (const Group& group : groups) maxima.push_back(group.front());
    return maxima;
  }

  void add_level(std::vector<Group>& groups) {
    Tournament::Level level;
    std::size_t winners = 0;
    for (const Group& group : groups) winners += group.size() / 2;
    for (Group& group : groups) {
      Group next;
      for (std::size_t i = 0; i + 1 < group.size(); i += 2) {
        next.push_back(static_cast<Place>(level.left.size()));
        level.left.push_back(group[i]);
        level.right.push_back(group[i + 1]);
      }
      if (group.size() % 2 == 1) {
        next.push_back(static_cast<Place>(winners + level.kept.size()));
        level.kept.push_back(group.back());
      }
      group = std::move(next);
    }
    tournament_.levels.push_back(std::move(level));
  }

  Tournament finish(std::vector<Place> result) {
    tournament_.result = std::move(result);
    return std::move(tournament_);
  }

  const Geometry& geometry_;
  Tournament tournament_;
};

}  // namespace

std::uint64_t Tournament::comparisons() const noexcept {
  std::uint64_t count = 0;
  for (const Level& level : levels) count += level.left.size();
  return count;
}

Tournament plan_tournament(const models::Node& node, const models::Shape& input) {
  const Geometry geometry(node, input);
  std::uint64_t direct = 0;
  for (const auto& rows : geometry.rows) {
    for (const auto& columns : geometry.columns) direct += rows.size() * columns.size() - 1;
  }
  const std::uint64_t along_rows = comparisons_of(geometry.columns);
  const std::uint64_t along_columns = comparisons_of(geometry.rows);
  const std::uint64_t rows_first =
      distinct(geometry.rows).size() * along_rows + geometry.columns.size() * along_columns;
  const std::uint64_t columns_first =
      distinct(geometry.columns).size() * along_columns + geometry.rows.size() * along_rows;

  Planner planner(geometry);
  if (direct <= rows_first && direct <= columns_first) return planner.direct();
  return planner.separable(rows_first <= columns_first);
}

}  // namespace popcorn::protocols
