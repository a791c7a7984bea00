#include "cli/terminal/output.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <ostream>

namespace popcorn::cli {

namespace {

/// Columns that a UTF-8 text takes: continuation bytes and colours take none.
std::size_t display_width(std::string_view text) {
  std::size_t width = 0;
  bool in_colour = false;
  for (const char c : text) {
    if (c == '\033') in_colour = true;
    if (!in_colour && (static_cast<unsigned char>(c) & 0xc0U) != 0x80U) ++width;
    if (c == 'm') in_colour = false;
  }
  return width;
}

}  // namespace

std::string grouped(std::uint64_t number) {
  std::string text = std::to_string(number);
  for (std::size_t i = text.size(); i > 3;) {
    i -= 3;
    text.insert(i, 1, ',');
  }
  return text;
}

std::string counted(std::uint64_t number, const std::string& noun) {
  return grouped(number) + " " + noun + (number == 1 ? "" : "s");
}

std::string fixed(double number, int decimals) {
  std::array<char, 64> buffer{};
  const int length = std::snprintf(buffer.data(), buffer.size(), "%.*f", decimals, number);
  return {buffer.data(), static_cast<std::size_t>(std::clamp(length, 0, 63))};
}

std::string human_bytes(std::uint64_t bytes) {
  constexpr std::array<const char*, 5> kUnits = {"B", "kB", "MB", "GB", "TB"};
  if (bytes < 1000) return std::to_string(bytes) + " B";
  double amount = static_cast<double>(bytes);
  std::size_t unit = 0;
  // 999.95 would print as 1000.0
  while (amount >= 999.95 && unit + 1 < kUnits.size()) {
    amount /= 1000;
    ++unit;
  }
  return fixed(amount, amount < 10 ? 2 : 1) + " " + kUnits[unit];
}

std::string human_seconds(double seconds) {
  if (seconds < 10) return fixed(seconds, 2) + " s";
  if (seconds < 100) return fixed(seconds, 1) + " s";
  const auto whole = static_cast<std::uint64_t>(std::llround(seconds));
  if (whole < 3600) return std::to_string(whole / 60) + " min " + std::to_string(whole % 60) + " s";
  return std::to_string(whole / 3600) + " h " + std::to_string(whole % 3600 / 60) + " min";
}

std::string human_percent(double share, int decimals) {
  return fixed(100 * share, decimals) + " %";
}

void Table::add_row(std::vector<std::string> cells) {
  cells.resize(columns_.size());
  rows_.push_back(std::move(cells));
}

void Table::print(std::ostream& out) const {
  const std::vector<std::size_t> chosen = widths();
  print_head(out, chosen);
  for (const auto& row : rows_) print_cells(out, row, chosen);
}

void Table::print_head(std::ostream& out) const {
  print_head(out, widths());
}

void Table::print_row(std::ostream& out, const std::vector<std::string>& cells) const {
  print_cells(out, cells, widths());
}

std::vector<std::size_t> Table::widths() const {
  std::vector<std::size_t> widths;
  for (const Column& column : columns_) widths.push_back(std::max(column.width, display_width(column.title)));
  for (const auto& row : rows_) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], display_width(row[i]));
  }
  return widths;
}

void Table::print_head(std::ostream& out, const std::vector<std::size_t>& widths) const {
  std::vector<std::string> titles;
  std::vector<std::string> rules;
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    titles.push_back(columns_[i].title);
    rules.emplace_back(widths[i], '-');
  }
  print_cells(out, titles, widths);
  print_cells(out, rules, widths);
}

void Table::print_cells(std::ostream& out, const std::vector<std::string>& cells,
                        const std::vector<std::size_t>& widths) const {
  std::string line;
  for (std::size_t i = 0; i < cells.size(); ++i) {
    if (i > 0) line += "  ";
    const std::size_t width = display_width(cells[i]);
    const std::string padding(width < widths[i] ? widths[i] - width : 0, ' ');
    line += columns_[i].align == Align::right ? padding + cells[i] : cells[i] + padding;
  }
  line.erase(line.find_last_not_of(' ') + 1);
  out << line << '\n';
}

nlohmann::ordered_json exact_integer(const WideVector& values, std::size_t i) {
  constexpr std::int64_t kLargestExact = std::int64_t{1} << 53;
  if (values.fits_int64(i)) {
    const std::int64_t value = values.to_int64(i);
    if (value >= -kLargestExact && value <= kLargestExact) return value;
  }
  return values.to_decimal(i);
}

nlohmann::ordered_json exact_integers(const WideVector& values) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (std::size_t i = 0; i < values.size(); ++i) list.push_back(exact_integer(values, i));
  return list;
}

void print_json(std::ostream& out, const nlohmann::ordered_json& document) {
  out << document.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) << '\n';
}

}  // namespace popcorn::cli
