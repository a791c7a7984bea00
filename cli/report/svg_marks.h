// Plots of measurements as inline SVG: marks over two axes, marks in rows, shares of a whole. Colours are the
// classes s0 … s4 of html_page's style sheet.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace popcorn::cli {

struct NumberAxis {
  std::string label;
  bool logarithmic = true;  ///< values are positive then; others are left out
  double least_span = 0;    ///< of a linear axis: differences smaller than this shall not look large
  std::function<std::string(double value)> tick;  ///< how a value is written
  bool from_zero = false;                         ///< of a linear axis: zero is on it
};

struct SvgMark {
  double x = 0, y = 0;
  int series = 0;
  std::string note;   ///< shown when the pointer rests on the mark
  std::string label;  ///< stands beside it; may be empty
};

/// A law beside the marks: points joined, dashed.
struct SvgCurve {
  std::vector<std::pair<double, double>> points;
  int series = 0;
};

std::string mark_plot(const std::vector<SvgMark>& marks, const std::vector<SvgCurve>& curves,
                      const NumberAxis& x, const NumberAxis& y, const std::string& description);

/// One thing, measured in several ways.
struct MarkRow {
  std::string name;
  std::vector<std::optional<double>> values;  ///< one a series
};
/// A row for each, its marks on one axis and joined. @param series their names, for the notes
std::string mark_rows(const std::vector<MarkRow>& rows, const std::vector<std::string>& series,
                      const NumberAxis& axis, const std::string& description);

/// A whole and its parts.
struct ShareRow {
  std::string name;
  std::vector<double> parts;  ///< one a series, not negative
  std::string total;          ///< stands at the right
};
/// A bar of the same length for each. @param tick how a part is written in its note
std::string share_rows(const std::vector<ShareRow>& rows, const std::vector<std::string>& series,
                       const std::function<std::string(double)>& tick, const std::string& description);

/// "<div class=\"legend\">…", a dot and a name for each series.
std::string legend(const std::vector<std::string>& series);

}  // namespace popcorn::cli
