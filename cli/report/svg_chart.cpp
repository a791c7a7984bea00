#include "cli/report/svg_chart.h"

#include <algorithm>
#include <cmath>

#include "cli/report/html_page.h"
#include "cli/terminal/output.h"

namespace popcorn::cli {

namespace {

// User units; the pictures are about as wide as a phone and scale up.
constexpr double kWidth = 360;

std::string at(double value) {
  return fixed(value, 1);
}

std::string open_svg(double width, double height, const std::string& description) {
  return "<svg viewBox=\"0 0 " + at(width) + " " + at(height) + "\" role=\"img\"><title>" +
         escape_html(description) + "</title>\n";
}

std::string line(double x1, double y1, double x2, double y2, const char* style) {
  return "<line x1=\"" + at(x1) + "\" y1=\"" + at(y1) + "\" x2=\"" + at(x2) + "\" y2=\"" + at(y2) +
         "\" class=\"" + style + "\"/>\n";
}

std::string text(double x, double y, const char* style, const std::string& content) {
  return "<text x=\"" + at(x) + "\" y=\"" + at(y) + "\" class=\"" + style + "\">" + escape_html(content) +
         "</text>\n";
}

std::string circle(double x, double y, double radius, const std::string& style, const std::string& note) {
  return "<circle cx=\"" + at(x) + "\" cy=\"" + at(y) + "\" r=\"" + at(radius) + "\" class=\"" + style +
         "\"><title>" + escape_html(note) + "</title></circle>\n";
}

/// At most `most` characters (names are ASCII).
std::string shortened(const std::string& name, std::size_t most) {
  return name.size() <= most ? name : name.substr(0, most - 1) + "…";
}

/// "1", "10", "1 k", "10 M" for the powers of ten.
std::string power_of_ten(int exponent) {
  constexpr const char* kUnits[] = {"", " k", " M", " G", " T", " P", " E"};
  const std::string digits = exponent % 3 == 0 ? "1" : exponent % 3 == 1 ? "10" : "100";
  return digits + kUnits[std::clamp(exponent / 3, 0, 6)];
}

std::string ratio(const BeforeAfter& row) {
  if (row.after == row.before) return "same";
  if (row.after == 0) return "none left";
  const double quotient = static_cast<double>(row.before) / static_cast<double>(row.after);
  if (quotient < 1) return "×" + fixed(1 / quotient, 2);
  return "÷" + fixed(quotient, quotient < 10 ? 2 : 1);
}

}  // namespace

PlotAxis percent_axis(const std::vector<PlotPoint>& points) {
  double least = 1, most = 0;
  for (const PlotPoint& p : points) {
    least = std::min(least, p.y);
    most = std::max(most, p.y);
  }
  if (least > most) least = most = 0;
  double step = 0.001;
  for (const double wider : {0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2}) {
    if (std::ceil(most / step) - std::floor(least / step) > 5) step = wider;
  }
  PlotAxis axis;
  axis.low = std::floor(least / step) * step;
  axis.high = std::max(std::ceil(most / step) * step, axis.low + step);
  const auto ticks = static_cast<int>(std::lround((axis.high - axis.low) / step));
  for (int k = 0; k <= ticks; ++k) {
    const double share = axis.low + k * step;
    axis.ticks.emplace_back(share, human_percent(share, step < 0.01 ? 1 : 0));
  }
  return axis;
}

std::string xy_plot(const std::vector<PlotPoint>& points, const PlotAxis& x_axis, const std::string& x_label,
                    const std::string& description) {
  constexpr double kHeight = 220, kLeft = 52, kRight = 12, kTop = 10, kBottom = 38;
  const PlotAxis y_axis = percent_axis(points);
  const auto x_of = [&](double v) {
    return kLeft + (kWidth - kLeft - kRight) * (v - x_axis.low) / (x_axis.high - x_axis.low);
  };
  const auto y_of = [&](double v) {
    return kTop + (kHeight - kTop - kBottom) * (y_axis.high - v) / (y_axis.high - y_axis.low);
  };
  std::string svg = open_svg(kWidth, kHeight, description);
  for (const auto& [value, name] : y_axis.ticks) {
    svg += line(kLeft, y_of(value), kWidth - kRight, y_of(value), "grid");
    svg += text(kLeft - 6, y_of(value) + 3.5, "end", name);
  }
  for (const auto& [value, name] : x_axis.ticks) {
    svg += line(x_of(value), kHeight - kBottom, x_of(value), kHeight - kBottom + 4, "axis");
    svg += text(x_of(value), kHeight - kBottom + 16, "middle", name);
  }
  svg += line(kLeft, kHeight - kBottom, kWidth - kRight, kHeight - kBottom, "axis");
  svg += text((kLeft + kWidth - kRight) / 2, kHeight - 6, "middle", x_label);
  for (int series = 0; series < 4; ++series) {
    std::string path;
    for (const PlotPoint& p : points) {
      if (p.series == series) path += (path.empty() ? "M" : "L") + at(x_of(p.x)) + " " + at(y_of(p.y));
    }
    const std::string style = "s" + std::to_string(series);
    if (path.find('L') != std::string::npos)
      svg += "<path d=\"" + path + "\" class=\"trace " + style + "\"/>\n";
    for (const PlotPoint& p : points) {
      if (p.series == series) svg += circle(x_of(p.x), y_of(p.y), 4, "mark " + style, p.note);
    }
  }
  return svg + "</svg>\n";
}

std::string before_after_plot(const std::vector<BeforeAfter>& rows, const std::string& description) {
  constexpr double kRow = 20, kLeft = 104, kRight = 58, kTop = 18, kBottom = 4;
  constexpr std::size_t kNameLength = 14;
  std::uint64_t least = UINT64_MAX, most = 1;
  for (const BeforeAfter& row : rows) {
    for (const std::uint64_t v : {row.before, row.after}) {
      if (v > 0) least = std::min(least, v);
      most = std::max(most, v);
    }
  }
  least = std::min(least, most);
  const int low = static_cast<int>(std::floor(std::log10(static_cast<double>(least))));
  const int high = std::max(low + 1, static_cast<int>(std::ceil(std::log10(static_cast<double>(most)))));
  const auto x_of = [&](std::uint64_t v) {
    const double place = v == 0 ? 0 : (std::log10(static_cast<double>(v)) - low) / (high - low);
    return kLeft + (kWidth - kLeft - kRight) * place;
  };
  const double height = kTop + kRow * static_cast<double>(rows.size()) + kBottom;
  std::string svg = open_svg(kWidth, height, description);
  const int every = (high - low + 4) / 5;
  for (int exponent = low; exponent <= high; exponent += every) {
    const double x = kLeft + (kWidth - kLeft - kRight) * (exponent - low) / (high - low);
    svg += line(x, kTop - 4, x, height - kBottom, "grid");
    svg += text(x, kTop - 8, "middle", power_of_ten(exponent));
  }
  double y = kTop + kRow / 2;
  for (const BeforeAfter& row : rows) {
    svg += "<g><title>" +
           escape_html(row.name + ": " + grouped(row.before) + " before, " + grouped(row.after) + " after") +
           "</title>";
    svg += text(kLeft - 8, y + 3.5, "end", shortened(row.name, kNameLength));
    svg += line(x_of(row.after), y, x_of(row.before), y, "span");
    svg += "<circle cx=\"" + at(x_of(row.before)) + "\" cy=\"" + at(y) + "\" r=\"4.0\" class=\"hollow\"/>";
    svg += "<circle cx=\"" + at(x_of(row.after)) + "\" cy=\"" + at(y) + "\" r=\"4.5\" class=\"mark s3\"/>";
    svg += text(kWidth - 2, y + 3.5, "end strong", ratio(row));
    svg += "</g>\n";
    y += kRow;
  }
  return svg + "</svg>\n";
}

std::string histogram_plot(const std::vector<std::pair<std::int32_t, std::uint64_t>>& counts,
                           const std::string& description) {
  constexpr double kSide = 170, kHeight = 96, kBase = 80, kTop = 4;
  std::int64_t reach = 1;
  std::uint64_t most = 1;
  for (const auto& [weight, count] : counts) {
    if (weight == 0) continue;
    reach = std::max(reach, std::abs(std::int64_t{weight}));
    most = std::max(most, count);
  }
  const double slot = kSide / static_cast<double>(2 * reach + 1);
  const double bar = slot > 4 ? slot - 2 : slot * 0.8;
  std::string svg = open_svg(kSide, kHeight, description);
  for (const auto& [weight, count] : counts) {
    if (weight == 0 || count == 0) continue;
    const double tall =
        std::max(1.0, (kBase - kTop) * static_cast<double>(count) / static_cast<double>(most));
    const double x = slot * static_cast<double>(std::int64_t{weight} + reach) + (slot - bar) / 2;
    svg += "<rect x=\"" + at(x) + "\" y=\"" + at(kBase - tall) + "\" width=\"" + fixed(bar, 2) +
           "\" height=\"" + at(tall) + "\" class=\"bar\"><title>" + std::to_string(weight) + ": " +
           grouped(count) + "</title></rect>\n";
  }
  svg += line(0, kBase, kSide, kBase, "axis");
  svg += text(slot / 2, kHeight - 4, slot > 16 ? "middle" : "start", std::to_string(-reach));
  svg += text(kSide / 2, kHeight - 4, "middle", "0");
  svg += text(kSide - slot / 2, kHeight - 4, slot > 16 ? "middle" : "end", std::to_string(reach));
  return svg + "</svg>\n";
}

}  // namespace popcorn::cli
