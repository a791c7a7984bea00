// Plots as inline SVG, drawn by the classes of the report's style sheet (light and dark).
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace popcorn::cli {

/// One mark of an x-y plot.
struct PlotPoint {
  double x = 0, y = 0;  ///< y is a share in [0, 1]
  int series = 0;       ///< 0 … 3: the colour, classes s0 … s3
  std::string note;     ///< shown when the pointer rests on the mark
};

struct PlotAxis {
  double low = 0, high = 1;
  std::vector<std::pair<double, std::string>> ticks;
};

/// Shares y against x, the marks of one series joined in order. @param label of the x axis
std::string xy_plot(const std::vector<PlotPoint>& points, const PlotAxis& x, const std::string& x_label,
                    const std::string& description);

/// Whole percentages that hold all the values, with at most six ticks.
PlotAxis percent_axis(const std::vector<PlotPoint>& points);

struct BeforeAfter {
  std::string name;
  std::uint64_t before = 0, after = 0;
};

/// A row for each name: both amounts on one logarithmic axis, joined, and their ratio. Zero stands at the
/// left edge.
std::string before_after_plot(const std::vector<BeforeAfter>& rows, const std::string& description);

/// Bars for the values of a layer's weights; zero is left out of the picture.
std::string histogram_plot(const std::vector<std::pair<std::int32_t, std::uint64_t>>& counts,
                           const std::string& description);

}  // namespace popcorn::cli
