// What the commands print: tables and amounts for people, JSON for programs.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "base/wide_vector.h"

namespace popcorn::cli {

/// "1,234,567"
std::string grouped(std::uint64_t number);
/// "1 inference", "1,200 inferences"
std::string counted(std::uint64_t number, const std::string& noun);
/// Decimal units: "812 B", "8.1 MB".
std::string human_bytes(std::uint64_t bytes);
/// "0.42 s", "8.4 s", "3 min 20 s".
std::string human_seconds(double seconds);
/// Share of one as a percentage with the given number of decimals: "98.72 %".
std::string human_percent(double share, int decimals = 2);
/// A number with a fixed count of decimals.
std::string fixed(double number, int decimals);

/// Rows of text in aligned columns; numbers to the right.
class Table {
 public:
  enum class Align { left, right };
  struct Column {
    std::string title;
    Align align = Align::right;
    std::size_t width = 0;  ///< at least this many characters
  };

  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}
  /// One text per column.
  void add_row(std::vector<std::string> cells);
  void print(std::ostream& out) const;

  /// For tables that grow while one waits: the head, then rows, in the widths of the columns alone.
  void print_head(std::ostream& out) const;
  void print_row(std::ostream& out, const std::vector<std::string>& cells) const;

 private:
  std::vector<std::size_t> widths() const;
  void print_cells(std::ostream& out, const std::vector<std::string>& cells,
                   const std::vector<std::size_t>& widths) const;
  void print_head(std::ostream& out, const std::vector<std::size_t>& widths) const;

  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

/// An exact integer: a JSON number up to 2^53 in magnitude, which every JSON reader takes exactly, a string
/// of decimal digits beyond.
nlohmann::ordered_json exact_integer(const WideVector& values, std::size_t i);
nlohmann::ordered_json exact_integers(const WideVector& values);

/// Two-space indented, with a newline at the end.
void print_json(std::ostream& out, const nlohmann::ordered_json& document);

}  // namespace popcorn::cli
