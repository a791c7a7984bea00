#include "models/datasets/table_file.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>
#include <map>
#include <nlohmann/json.hpp>
#include <numeric>
#include <optional>
#include <set>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/sha256.h"

namespace popcorn::datasets {

namespace {

namespace fs = std::filesystem;

[[noreturn]] void fail(const char* code, const std::string& name, const std::string& problem) {
  throw InputError(code, name + ": " + problem);
}

std::string trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return std::string(text.substr(first, text.find_last_not_of(" \t") - first + 1));
}

/// Cells of one row after the other.
class CsvReader {
 public:
  CsvReader(std::string_view text, const std::string& name) : text_(text), name_(name) {
    if (text_.starts_with("\xef\xbb\xbf")) text_.remove_prefix(3);
  }

  std::size_t line() const noexcept { return line_; }

  /// False at the end.
  bool next(std::vector<std::string>& cells) {
    cells.clear();
    if (text_.empty()) return false;
    line_ = next_line_;
    std::string cell;
    for (;;) {
      cell.clear();
      const bool more = read_cell(cell);
      cells.push_back(cell);
      if (cells.size() > kMaxTableColumns)
        fail("table.columns", name_,
             "line " + std::to_string(line_) + " has more than " + std::to_string(kMaxTableColumns) +
                 " columns");
      if (!more) return true;
    }
  }

 private:
  /// False when the row ends behind the cell.
  bool read_cell(std::string& cell) {
    if (text_.starts_with('"')) {
      text_.remove_prefix(1);
      for (;;) {
        const std::size_t quote = text_.find('"');
        if (quote == std::string_view::npos)
          fail("table.quote", name_, "line " + std::to_string(line_) + ": a quote is not closed");
        next_line_ += static_cast<std::size_t>(
            std::count(text_.begin(), text_.begin() + static_cast<std::ptrdiff_t>(quote), '\n'));
        cell.append(text_.substr(0, quote));
        text_.remove_prefix(quote + 1);
        if (!text_.starts_with('"')) break;
        cell.push_back('"');
        text_.remove_prefix(1);
      }
      if (!text_.empty() && text_[0] != ',' && text_[0] != '\n' && text_[0] != '\r')
        fail("table.quote", name_, "line " + std::to_string(line_) + ": text follows a closed quote");
    } else {
      const std::size_t end = std::min(text_.find_first_of(",\n\r"), text_.size());
      cell = trimmed(text_.substr(0, end));
      text_.remove_prefix(end);
    }
    if (text_.empty()) return false;
    if (text_[0] == ',') {
      text_.remove_prefix(1);
      return true;
    }
    text_.remove_prefix(text_.starts_with("\r\n") ? 2 : 1);
    ++next_line_;
    return false;
  }

  std::string_view text_;
  const std::string& name_;
  std::size_t line_ = 1;
  std::size_t next_line_ = 1;
};

std::string column_name(const std::vector<std::string>& names, std::size_t column) {
  return names.empty() ? std::to_string(column + 1) : "\"" + names[column] + "\"";
}

double number_at(const TextTable& table, std::size_t row, std::size_t column, const std::string& name) {
  const std::optional<double> value = parse_cell(table.rows[row][column]);
  if (!value) {
    const std::string& cell = table.rows[row][column];
    fail("table.number", name,
         "line " + std::to_string(table.lines[row]) + ", column " + column_name(table.names, column) +
             (cell.empty() ? " is empty" : " is no finite number"));
  }
  return *value;
}

/// The names of the header as columns; by number when there is none.
std::size_t label_column(const std::vector<std::string>& names, std::size_t columns, const std::string& label,
                         const std::string& file) {
  if (label.empty()) return columns - 1;
  const auto found = std::find(names.begin(), names.end(), label);
  if (found != names.end()) return static_cast<std::size_t>(found - names.begin());
  std::size_t number = 0;
  const auto [end, error] = std::from_chars(label.data(), label.data() + label.size(), number);
  if (error == std::errc() && end == label.data() + label.size() && number >= 1 && number <= columns)
    return number - 1;
  fail("table.label", file,
       "has no column \"" + label + "\" (--label); it has " + std::to_string(columns) + " columns" +
           (names.empty() ? " and no header" : ""));
}

/// Whole numbers are classes, anything else names.
void set_classes(LabelledTable& table, const std::vector<std::string>& texts, const std::string& name) {
  std::vector<std::uint16_t> numbers;
  for (const std::string& text : texts) {
    const std::optional<double> value = parse_cell(text);
    if (!value || *value != std::floor(*value) || *value < 0 || *value > 65535) break;
    numbers.push_back(static_cast<std::uint16_t>(*value));
  }
  if (numbers.size() == texts.size()) {
    table.classes = std::move(numbers);
    return;
  }
  const std::set<std::string> names(texts.begin(), texts.end());
  constexpr std::size_t kMostNames = 10'000;
  if (names.size() > kMostNames)
    fail("table.label", name,
         "its label column has " + std::to_string(names.size()) +
             " different values; is it the right one (--label)?");
  table.labels.assign(names.begin(), names.end());
  for (const std::string& text : texts) {
    const auto at = std::lower_bound(table.labels.begin(), table.labels.end(), text);
    table.classes.push_back(static_cast<std::uint16_t>(at - table.labels.begin()));
  }
}

bool is_npy(const fs::path& path) {
  return path.extension() == ".npy";
}

/// One value of an .npy file, of a kind and width.
double npy_value(const std::uint8_t* at, char kind, std::size_t bytes) {
  std::uint64_t raw = 0;
  std::memcpy(&raw, at, bytes);
  if (kind == 'f' && bytes == 8) {
    double value = 0;
    std::memcpy(&value, &raw, 8);
    return value;
  }
  if (kind == 'f') {
    const auto low = static_cast<std::uint32_t>(raw);
    float value = 0;
    std::memcpy(&value, &low, 4);
    return static_cast<double>(value);
  }
  if (kind == 'i') {
    const unsigned shift = 64 - 8 * static_cast<unsigned>(bytes);
    return static_cast<double>(static_cast<std::int64_t>(raw << shift) >> shift);
  }
  return static_cast<double>(raw);
}

/// The value behind 'key': in the header, which is a Python literal that NumPy writes in one form.
std::string_view header_value(std::string_view header, std::string_view key) {
  const std::size_t at = header.find("'" + std::string(key) + "'");
  if (at == std::string_view::npos) return {};
  const std::size_t colon = header.find(':', at);
  if (colon == std::string_view::npos) return {};
  header.remove_prefix(colon + 1);
  header.remove_prefix(std::min(header.find_first_not_of(' '), header.size()));
  return header;
}

}  // namespace

std::optional<double> parse_cell(std::string_view cell) {
  const std::string text = trimmed(cell);
  if (text.empty()) return std::nullopt;
  const char* begin = text.data();
  if (*begin == '+') ++begin;
  double value = 0;
  const auto [end, error] = std::from_chars(begin, text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(value)) return std::nullopt;
  return value;
}

TextTable parse_csv(std::string_view text, const std::string& name) {
  TextTable table;
  CsvReader reader(text, name);
  std::vector<std::string> cells;
  while (reader.next(cells)) {
    if (cells.size() == 1 && cells[0].empty()) continue;  // a blank line
    if (table.rows.empty()) table.columns = cells.size();
    if (cells.size() != table.columns) {
      fail("table.columns", name,
           "line " + std::to_string(reader.line()) + " has " + std::to_string(cells.size()) +
               " columns, the lines before have " + std::to_string(table.columns));
    }
    if (table.rows.size() >= kMaxTableRows)
      fail("table.rows", name, "has more than " + std::to_string(kMaxTableRows) + " rows");
    table.rows.push_back(cells);
    table.lines.push_back(reader.line());
  }
  if (table.rows.empty()) fail("table.empty", name, "has no rows");
  const auto is_number = [](const std::string& cell) { return parse_cell(cell).has_value(); };
  const std::vector<std::string>& first = table.rows[0];
  bool header = std::none_of(first.begin(), first.end(), is_number);
  if (!header && table.rows.size() > 1) {
    for (std::size_t c = 0; c < table.columns; ++c)
      header = header || (!is_number(first[c]) && is_number(table.rows[1][c]));
  }
  if (header) {
    table.names = table.rows[0];
    table.rows.erase(table.rows.begin());
    table.lines.erase(table.lines.begin());
    std::set<std::string> seen;
    for (const std::string& column : table.names) {
      if (!seen.insert(column).second)
        fail("table.header", name, "its header names the column \"" + column + "\" twice");
    }
    if (table.rows.empty()) fail("table.empty", name, "has a header and no rows");
  }
  return table;
}

NumberTable parse_npy(ByteView file, const std::string& name) {
  constexpr std::size_t kMagic = 8;
  if (file.size() < kMagic + 2 || std::memcmp(file.data(), "\x93NUMPY", 6) != 0)
    fail("table.npy", name, "is no .npy file");
  const unsigned version = file[6];
  if (version < 1 || version > 3)
    fail("table.npy", name,
         "is an .npy file of version " + std::to_string(version) + "; 1 to 3 are understood");
  const std::size_t length_bytes = version == 1 ? 2 : 4;
  if (file.size() < kMagic + length_bytes) fail("table.npy", name, "ends early");
  std::size_t length = 0;
  for (std::size_t k = 0; k < length_bytes; ++k) length |= std::size_t{file[kMagic + k]} << (8 * k);
  const std::size_t start = kMagic + length_bytes;
  constexpr std::size_t kMostHeader = 65536;
  if (length > kMostHeader || length > file.size() - start) fail("table.npy", name, "ends early");
  const std::string_view header(reinterpret_cast<const char*>(file.data()) + start, length);
  const std::string_view type = header_value(header, "descr");
  const bool known = type.size() >= 5 && type[0] == '\'' && (type[1] == '<' || type[1] == '|') &&
                     type[4] == '\'' &&
                     (type[2] == 'f' || type[2] == 'i' || type[2] == 'u' || type[2] == 'b');
  const std::size_t bytes = known ? static_cast<std::size_t>(type[3] - '0') : 0;
  const char kind = known ? type[2] : ' ';
  const bool width = bytes == 1 || bytes == 2 || bytes == 4 || bytes == 8;
  if (!known || !width || (kind == 'f' && bytes < 4) || (kind == 'b' && bytes != 1))
    fail("table.npy", name,
         "has values of type " + std::string(type.substr(0, std::min<std::size_t>(8, type.find(',')))) +
             "; floats of 4 and 8 bytes, integers and booleans, little-endian, are understood");
  const bool fortran = header_value(header, "fortran_order").starts_with("True");
  std::string_view shape = header_value(header, "shape");
  if (!shape.starts_with('(') || shape.find(')') == std::string_view::npos)
    fail("table.npy", name, "has no shape in its header");
  shape = shape.substr(1, shape.find(')') - 1);
  std::vector<std::size_t> dims;
  while (!shape.empty()) {
    const std::size_t comma = std::min(shape.find(','), shape.size());
    const std::string part = trimmed(shape.substr(0, comma));
    shape.remove_prefix(std::min(comma + 1, shape.size()));
    if (part.empty()) continue;
    std::size_t value = 0;
    const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), value);
    if (error != std::errc() || end != part.data() + part.size())
      fail("table.npy", name, "has a damaged shape");
    dims.push_back(value);
  }
  if (dims.empty() || dims.size() > 2)
    fail("table.npy", name,
         "has " + std::to_string(dims.size()) + " dimensions; rows and columns are expected");
  const std::size_t rows = dims[0];
  NumberTable table;
  table.columns = dims.size() == 2 ? dims[1] : 1;
  if (rows == 0 || table.columns == 0) fail("table.empty", name, "has no rows");
  if (rows > kMaxTableRows || table.columns > kMaxTableColumns)
    fail("table.rows", name, "has too many rows or columns");
  const std::size_t count = rows * table.columns;
  if (file.size() - start - length != count * bytes) {
    fail("table.npy", name,
         "holds " + std::to_string(file.size() - start - length) + " bytes of values, its shape needs " +
             std::to_string(count * bytes));
  }
  table.values.resize(count);
  const std::uint8_t* const data = file.data() + start + length;
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t row = i / table.columns, column = i % table.columns;
    const std::size_t at = fortran ? column * rows + row : i;
    table.values[i] = npy_value(data + at * bytes, kind, bytes);
    if (!std::isfinite(table.values[i]))
      fail("table.number", name,
           "row " + std::to_string(row + 1) + ", column " + std::to_string(column + 1) +
               " is no finite number");
  }
  return table;
}

LabelledTable read_labelled_table(const fs::path& path, const std::string& label) {
  const std::string name = path.string();
  LabelledTable table;
  std::vector<std::string> texts;
  if (is_npy(path)) {
    NumberTable all = parse_npy(read_file(path, kMaxTableBytes), name);
    const fs::path beside = path.parent_path() / "y.npy";
    std::vector<double> labels;
    if (label.empty() && path.filename() == "X.npy" && fs::exists(beside)) {
      const NumberTable apart = parse_npy(read_file(beside, kMaxTableBytes), beside.string());
      if (apart.columns != 1 || apart.rows() != all.rows())
        fail("table.label", beside.string(),
             "has " + std::to_string(apart.rows()) + " labels for " + std::to_string(all.rows()) + " rows");
      labels = apart.values;
      table.features = std::move(all);
    } else {
      if (all.columns < 2)
        fail("table.label", name, "has one column; columns of numbers and a label are expected");
      const std::size_t chosen = label_column({}, all.columns, label, name);
      table.features.columns = all.columns - 1;
      for (std::size_t i = 0; i < all.values.size(); ++i)
        (i % all.columns == chosen ? labels : table.features.values).push_back(all.values[i]);
    }
    for (const double value : labels) {
      if (value != std::floor(value) || value < 0 || value > 65535)
        fail("table.label", name, "a label is no whole number from 0 to 65535");
      table.classes.push_back(static_cast<std::uint16_t>(value));
    }
    return table;
  }
  const TextTable all = parse_csv(read_text_file(path, kMaxTableBytes), name);
  if (all.columns < 2)
    fail("table.label", name, "has one column; columns of numbers and a label are expected");
  const std::size_t chosen = label_column(all.names, all.columns, label, name);
  table.features.columns = all.columns - 1;
  for (std::size_t c = 0; c < all.names.size(); ++c) {
    if (c != chosen) table.features.names.push_back(all.names[c]);
  }
  for (std::size_t row = 0; row < all.rows.size(); ++row) {
    for (std::size_t c = 0; c < all.columns; ++c) {
      if (c != chosen) table.features.values.push_back(number_at(all, row, c, name));
    }
    if (all.rows[row][chosen].empty())
      fail("table.label", name, "line " + std::to_string(all.lines[row]) + " has no label");
    texts.push_back(all.rows[row][chosen]);
  }
  set_classes(table, texts, name);
  return table;
}

std::vector<std::size_t> table_order(std::size_t rows) {
  std::vector<std::pair<Sha256, std::size_t>> keys(rows);
  for (std::size_t i = 0; i < rows; ++i) keys[i] = {sha256(as_bytes(std::to_string(i))), i};
  std::sort(keys.begin(), keys.end());
  std::vector<std::size_t> order;
  order.reserve(rows);
  for (const auto& key : keys) order.push_back(key.second);
  return order;
}

namespace {

/// Where `wanted` columns stand among `present`, by name. Nothing when either has no names.
/// @param beside what else may have taken the column that is missing
std::optional<std::vector<std::size_t>> places_by_name(const std::vector<std::string>& present,
                                                       const std::vector<std::string>& wanted,
                                                       const std::string& table, const char* beside = "") {
  if (present.empty() || wanted.empty() || wanted.front().empty()) return std::nullopt;
  std::vector<std::size_t> places;
  for (const std::string& column : wanted) {
    const auto found = std::find(present.begin(), present.end(), column);
    if (found == present.end())
      fail("table.column", table, "has no column \"" + column + "\"" + beside + ", which the network reads");
    places.push_back(static_cast<std::size_t>(found - present.begin()));
  }
  return places;
}

std::vector<std::size_t> all_places(std::size_t columns) {
  std::vector<std::size_t> places(columns);
  std::iota(places.begin(), places.end(), std::size_t{0});
  return places;
}

}  // namespace

std::vector<std::size_t> column_places(const NumberTable& table, const models::InputEncoding& encoding,
                                       const std::string& name) {
  std::vector<std::string> wanted;
  for (const models::InputColumn& column : encoding.columns) wanted.push_back(column.name);
  constexpr const char* kClasses = " beside that of the classes (--label; without it the last one)";
  if (const auto places = places_by_name(table.names, wanted, name, kClasses)) return *places;
  if (table.columns != encoding.columns.size()) {
    fail("table.columns", name,
         "has " + std::to_string(table.columns) + " columns of numbers, the network reads " +
             std::to_string(encoding.columns.size()));
  }
  return all_places(table.columns);
}

NumberTable read_rows(const fs::path& path, const std::vector<std::string>& names) {
  const std::string name = path.string();
  if (is_npy(path)) return parse_npy(read_file(path, kMaxTableBytes), name);
  const TextTable all = parse_csv(read_text_file(path, kMaxTableBytes), name);
  NumberTable table;
  const std::vector<std::size_t> columns =
      places_by_name(all.names, names, name).value_or(all_places(all.columns));
  table.columns = columns.size();
  for (std::size_t row = 0; row < all.rows.size(); ++row) {
    for (const std::size_t c : columns) table.values.push_back(number_at(all, row, c, name));
  }
  return table;
}

NumberTable parse_json_rows(std::string_view text, const std::string& name,
                            const std::vector<std::string>& names) {
  Json json;
  if (const auto problem = read_json(text, json, {.elements = kMaxTableBytes})) {
    fail("table.json", name, problem->describe());
  }
  const bool single = json.is_object() || (json.is_array() && !json.empty() && json[0].is_number());
  if (single) json = nlohmann::json::array({json});
  if (!json.is_array() || json.empty())
    fail("table.json", name, "must be an array of rows: arrays of numbers, or objects by column");
  NumberTable table;
  std::size_t number = 0;
  for (const nlohmann::json& row : json) {
    const std::string where = "row " + std::to_string(++number);
    std::vector<double> values;
    const auto take = [&](const nlohmann::json& value, const std::string& column) {
      if (!value.is_number() || !std::isfinite(value.get<double>()))
        fail("table.number", name, where + ", column " + column + " is no number");
      values.push_back(value.get<double>());
    };
    if (row.is_array()) {
      for (std::size_t c = 0; c < row.size(); ++c) take(row[c], std::to_string(c + 1));
    } else if (row.is_object() && !names.empty() && !names.front().empty()) {
      for (const std::string& wanted : names) {
        const auto found = row.find(wanted);
        if (found == row.end())
          fail("table.column", name, where + " has no \"" + wanted + "\", which the network reads");
        take(*found, "\"" + wanted + "\"");
      }
    } else {
      fail("table.json", name,
           where + " must be an array of numbers" +
               (names.empty() || names.front().empty() ? "; the network's columns have no names"
                                                       : ", or an object by column"));
    }
    if (number == 1) table.columns = values.size();
    if (values.size() != table.columns || values.empty() || values.size() > kMaxTableColumns)
      fail("table.columns", name,
           where + " has " + std::to_string(values.size()) + " numbers, the rows before have " +
               std::to_string(table.columns));
    table.values.insert(table.values.end(), values.begin(), values.end());
  }
  return table;
}

}  // namespace popcorn::datasets
