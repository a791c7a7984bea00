#include "cli/report/svg_marks.h"

#include <algorithm>
#include <cmath>

#include "cli/report/html_page.h"
#include "cli/terminal/output.h"

namespace popcorn::cli {

namespace {

// User units; a little wider than a phone, half as wide as the page.
constexpr double kWidth = 420;
constexpr double kCharacter = 5.4;  // of a label, on average

std::string at(double value) {
  return fixed(value, 1);
}

std::string open_svg(double height, const std::string& description) {
  return "<svg viewBox=\"0 0 " + at(kWidth) + " " + at(height) + "\" role=\"img\"><title>" +
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

std::string series_style(int series) {
  constexpr int kColours = 5;
  return "s" + std::to_string(series % kColours);
}

constexpr double kMarkRadius = 4.2;

std::string mark(double x, double y, int series, const std::string& note, double radius = kMarkRadius) {
  return "<circle cx=\"" + at(x) + "\" cy=\"" + at(y) + "\" r=\"" + at(radius) + "\" class=\"mark " +
         series_style(series) + "\"><title>" + escape_html(note) + "</title></circle>\n";
}

/// From data to a place between 0 and 1, and where the ticks are.
class Scale {
 public:
  Scale(const NumberAxis& axis, const std::vector<double>& values) : axis_(axis) {
    double least = HUGE_VAL, most = -HUGE_VAL;
    for (const double value : values) {
      if (!fits(value)) continue;
      least = std::min(least, value);
      most = std::max(most, value);
    }
    if (least > most) least = most = 1;
    if (axis.from_zero) least = std::min(least, 0.0);
    axis.logarithmic ? by_decades(least, most) : by_steps(least, most);
  }

  bool fits(double value) const { return std::isfinite(value) && (!axis_.logarithmic || value > 0); }
  double place(double value) const { return (inner(value) - low_) / (high_ - low_); }
  const std::vector<double>& ticks() const noexcept { return ticks_; }
  std::string written(double value) const { return axis_.tick ? axis_.tick(value) : fixed(value, 0); }

 private:
  static constexpr std::size_t kMostTicks = 6;
  static constexpr double kMargin = 0.04;  // of the axis, at either end

  double inner(double value) const { return axis_.logarithmic ? std::log10(value) : value; }

  void set_ends(double least, double most) {
    const double width = std::max(inner(most) - inner(least), 1e-9);
    low_ = inner(least) - kMargin * width;
    high_ = inner(most) + kMargin * width;
  }

  /// Ticks at 1, 2, 5 times powers of ten, at powers of ten alone where those are too many, or at every so
  /// many.
  void by_decades(double least, double most) {
    const int first = static_cast<int>(std::floor(std::log10(least)));
    const int last = static_cast<int>(std::ceil(std::log10(most) + 1e-9));
    const auto fill = [&](const std::vector<int>& digits, int every) {
      ticks_.clear();
      for (int exponent = first; exponent <= last; exponent += every) {
        for (const int digit : digits) ticks_.push_back(digit * std::pow(10.0, exponent));
      }
      // One beyond either end of the data.
      while (ticks_.size() > 2 && ticks_[1] <= least) ticks_.erase(ticks_.begin());
      while (ticks_.size() > 2 && ticks_[ticks_.size() - 2] >= most) ticks_.pop_back();
    };
    fill({1, 2, 5}, 1);
    if (ticks_.size() > kMostTicks) fill({1, 3}, 1);
    for (int every = 1; ticks_.size() > kMostTicks; ++every) fill({1}, every);
    set_ends(std::min(least, ticks_.front()), std::max(most, ticks_.back()));
  }

  void by_steps(double least, double most) {
    const double span = std::max(axis_.least_span, 1e-12);
    if (most - least < span) {
      const double room = axis_.least_span > 0 ? (span - (most - least)) / 2
                          : least == 0         ? 1
                                               : std::abs(least) * 0.1;
      least -= room;
      most += room;
    }
    double step = std::pow(10.0, std::floor(std::log10((most - least) / kMostTicks)));
    for (const double factor : {2.0, 2.5, 2.0, 2.0}) {
      if (std::ceil(most / step) - std::floor(least / step) < kMostTicks) break;
      step *= factor;
    }
    const double first = std::floor(least / step + 1e-9), last = std::ceil(most / step - 1e-9);
    for (double k = first; k <= last; ++k) ticks_.push_back(k * step);
    set_ends(ticks_.front(), ticks_.back());
  }

  const NumberAxis& axis_;
  double low_ = 0, high_ = 1;
  std::vector<double> ticks_;
};

/// Texts beside marks that keep out of each other's and the marks' way.
class Labels {
 public:
  void keep_free(double x, double y) { boxes_.push_back({x - kMarkRadius, y, 2 * kMarkRadius}); }
  /// Right of a mark, else left, above or below it, else where it covers something.
  std::string put(double x, double y, const std::string& content) {
    constexpr double kGap = 8, kAside = 11;
    const double width = kCharacter * static_cast<double>(content.size());
    const std::vector<Box> places = {{x + kGap, y, width},
                                     {x - kGap - width, y, width},
                                     {x - width / 2, y - kAside, width},
                                     {x - width / 2, y + kAside, width}};
    auto chosen = std::ranges::find_if(places, [&](const Box& place) { return is_free(place); });
    if (chosen == places.end()) chosen = places.begin();
    boxes_.push_back(*chosen);
    return text(chosen->left, chosen->y + 3.5, "", content);
  }

 private:
  struct Box {
    double left, y, width;
  };
  bool is_free(const Box& place) const {
    constexpr double kHeight = 9;
    if (place.left < 0 || place.left + place.width > kWidth) return false;
    return std::ranges::none_of(boxes_, [&](const Box& box) {
      return place.left < box.left + box.width && box.left < place.left + place.width &&
             std::abs(box.y - place.y) < kHeight;
    });
  }
  std::vector<Box> boxes_;
};

/// Leaves out what would stand in the text before it.
class TickTexts {
 public:
  std::string put(double x, double y, const std::string& content) {
    const double half = kCharacter * static_cast<double>(content.size()) / 2;
    if (x - half < end_ || x - half < 0 || x + half > kWidth) return "";
    end_ = x + half + kCharacter;
    return text(x, y, "middle", content);
  }

 private:
  double end_ = 0;
};

std::string shortened(const std::string& name, std::size_t most) {
  return name.size() <= most ? name : name.substr(0, most - 1) + "…";
}

}  // namespace

std::string mark_plot(const std::vector<SvgMark>& marks, const std::vector<SvgCurve>& curves,
                      const NumberAxis& x_axis, const NumberAxis& y_axis, const std::string& description) {
  constexpr double kHeight = 240, kLeft = 54, kRight = 14, kTop = 12, kBottom = 40;
  std::vector<double> xs, ys;
  for (const SvgMark& m : marks) xs.push_back(m.x), ys.push_back(m.y);
  const Scale x(x_axis, xs), y(y_axis, ys);
  const auto x_of = [&](double v) { return kLeft + (kWidth - kLeft - kRight) * x.place(v); };
  const auto y_of = [&](double v) { return kTop + (kHeight - kTop - kBottom) * (1 - y.place(v)); };
  std::string svg = open_svg(kHeight, description);
  for (const double tick : y.ticks()) {
    svg += line(kLeft, y_of(tick), kWidth - kRight, y_of(tick), "grid");
    svg += text(kLeft - 6, y_of(tick) + 3.5, "end", y.written(tick));
  }
  TickTexts tick_texts;
  for (const double tick : x.ticks()) {
    svg += line(x_of(tick), kHeight - kBottom, x_of(tick), kHeight - kBottom + 4, "axis");
    svg += tick_texts.put(x_of(tick), kHeight - kBottom + 16, x.written(tick));
  }
  svg += line(kLeft, kHeight - kBottom, kWidth - kRight, kHeight - kBottom, "axis");
  svg += text((kLeft + kWidth - kRight) / 2, kHeight - 6, "middle", x_axis.label);
  for (const SvgCurve& curve : curves) {
    std::string path;
    for (const auto& [cx, cy] : curve.points) {
      if (x.fits(cx) && y.fits(cy)) path += (path.empty() ? "M" : "L") + at(x_of(cx)) + " " + at(y_of(cy));
    }
    if (path.find('L') != std::string::npos) {
      svg += "<path d=\"" + path + "\" class=\"trace law " + series_style(curve.series) + "\"/>\n";
    }
  }
  Labels labels;
  for (const SvgMark& m : marks) {
    if (!x.fits(m.x) || !y.fits(m.y)) continue;
    svg += mark(x_of(m.x), y_of(m.y), m.series, m.note);
    labels.keep_free(x_of(m.x), y_of(m.y));
  }
  for (const SvgMark& m : marks) {
    if (!m.label.empty() && x.fits(m.x) && y.fits(m.y)) svg += labels.put(x_of(m.x), y_of(m.y), m.label);
  }
  return svg + "</svg>\n";
}

std::string mark_rows(const std::vector<MarkRow>& rows, const std::vector<std::string>& series,
                      const NumberAxis& axis, const std::string& description) {
  constexpr double kRow = 19, kLeft = 118, kRight = 16, kTop = 20, kBottom = 4;
  constexpr double kRing = 0.9;  // larger ones lie behind smaller ones: nearly equal values can all be seen
  constexpr std::size_t kNameLength = 18;
  std::vector<double> values;
  for (const MarkRow& row : rows) {
    for (const auto& value : row.values) {
      if (value) values.push_back(*value);
    }
  }
  const Scale scale(axis, values);
  const auto x_of = [&](double v) { return kLeft + (kWidth - kLeft - kRight) * scale.place(v); };
  const double height = kTop + kRow * static_cast<double>(rows.size()) + kBottom;
  std::string svg = open_svg(height, description);
  TickTexts tick_texts;
  for (const double tick : scale.ticks()) {
    svg += line(x_of(tick), kTop - 4, x_of(tick), height - kBottom, "grid");
    svg += tick_texts.put(x_of(tick), kTop - 8, scale.written(tick));
  }
  double y = kTop + kRow / 2;
  for (const MarkRow& row : rows) {
    svg += text(kLeft - 8, y + 3.5, "end", shortened(row.name, kNameLength));
    double least = HUGE_VAL, most = -HUGE_VAL;
    for (const auto& value : row.values) {
      if (!value || !scale.fits(*value)) continue;
      least = std::min(least, *value);
      most = std::max(most, *value);
    }
    if (least < most) svg += line(x_of(least), y, x_of(most), y, "span");
    for (std::size_t k = 0; k < row.values.size(); ++k) {
      if (!row.values[k] || !scale.fits(*row.values[k])) continue;
      const std::string what = k < series.size() ? series[k] : std::string();
      svg += mark(x_of(*row.values[k]), y, static_cast<int>(k),
                  row.name + ", " + what + ": " + scale.written(*row.values[k]),
                  kMarkRadius + kRing * static_cast<double>(row.values.size() - 1 - k));
    }
    y += kRow;
  }
  return svg + "</svg>\n";
}

std::string share_rows(const std::vector<ShareRow>& rows, const std::vector<std::string>& series,
                       const std::function<std::string(double)>& tick, const std::string& description) {
  constexpr double kRow = 19, kLeft = 118, kRight = 58, kTop = 4, kBottom = 4, kBar = 13;
  constexpr std::size_t kNameLength = 18;
  std::string svg = open_svg(kTop + kRow * static_cast<double>(rows.size()) + kBottom, description);
  double y = kTop + kRow / 2;
  for (const ShareRow& row : rows) {
    svg += text(kLeft - 8, y + 3.5, "end", shortened(row.name, kNameLength));
    double whole = 0;
    for (const double part : row.parts) whole += std::max(0.0, part);
    double x = kLeft;
    for (std::size_t k = 0; k < row.parts.size() && whole > 0; ++k) {
      const double share = std::max(0.0, row.parts[k]) / whole;
      const double width = (kWidth - kLeft - kRight) * share;
      if (width >= 0.1) {
        svg += "<rect x=\"" + at(x) + "\" y=\"" + at(y - kBar / 2) + "\" width=\"" + at(width) +
               "\" height=\"" + at(kBar) + "\" class=\"mark " + series_style(static_cast<int>(k)) +
               "\"><title>" +
               escape_html(row.name + ", " + (k < series.size() ? series[k] : std::string()) + ": " +
                           tick(row.parts[k]) + ", " + human_percent(share, 0)) +
               "</title></rect>\n";
      }
      x += width;
    }
    svg += text(kWidth - 2, y + 3.5, "end strong", row.total);
    y += kRow;
  }
  return svg + "</svg>\n";
}

std::string legend(const std::vector<std::string>& series) {
  std::string html = "<div class=\"legend\">";
  for (std::size_t k = 0; k < series.size(); ++k) {
    html += "<span><i class=\"l" + std::to_string(k % 5) + "\"></i>" + escape_html(series[k]) + "</span>";
  }
  return html + "</div>\n";
}

}  // namespace popcorn::cli
