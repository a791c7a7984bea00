// Tables of numbers: CSV (RFC 4180) and NumPy's .npy files.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "models/network/integer_network.h"

namespace popcorn::datasets {

inline constexpr std::size_t kMaxTableBytes = std::size_t{1} << 30;
inline constexpr std::size_t kMaxTableColumns = 4097;  ///< a label among them
inline constexpr std::size_t kMaxTableRows = 20'000'000;

/// Cells as they stand in a file, row after row.
struct TextTable {
  std::vector<std::string> names;  ///< of the header; empty when the file has none
  std::vector<std::vector<std::string>> rows;
  std::vector<std::size_t> lines;  ///< of the file, from 1, where each row begins
  std::size_t columns = 0;
};

/// Comma-separated cells, quoted ones with doubled quotes and line breaks; LF or CRLF; a byte-order mark is
/// passed over. The first row is a header when one of its cells is no number while that column's cell of the
/// second row is one, or when all its cells are texts. Blank lines count nothing. @param name for messages
/// @throws InputError "table.*" that names file, line and column
TextTable parse_csv(std::string_view text, const std::string& name);

/// Numbers, row after row.
struct NumberTable {
  std::vector<std::string> names;  ///< empty when unknown
  std::size_t columns = 0;
  std::vector<double> values;
  std::size_t rows() const noexcept { return columns == 0 ? 0 : values.size() / columns; }
};

/// Versions 1 to 3 of the format; one or two dimensions (one: a single column), floats and integers of 1 to 8
/// bytes, booleans, little-endian, C or Fortran order. @throws InputError "table.*" that names what was
/// expected
NumberTable parse_npy(ByteView file, const std::string& name);

/// A number as a cell holds one, with blanks around it; nothing for anything else, infinities and
/// not-a-number included.
std::optional<double> parse_cell(std::string_view cell);

/// A file with a label in one of its columns, or one apart.
struct LabelledTable {
  NumberTable features;
  std::vector<std::uint16_t> classes;
  std::vector<std::string> labels;  ///< class names; empty when labels are whole numbers
};

/// @param label name of the label's column, or its number from 1; empty = the last. Labels that are whole
/// numbers from 0 to 65535 are the classes; others are names, numbered in the order of their bytes. For X.npy
/// the labels may lie in y.npy beside it.
/// @throws IoError, InputError "table.*"
LabelledTable read_labelled_table(const std::filesystem::path& path, const std::string& label);

/// The rows in a fixed, well mixed order (ascending by SHA-256 of their numbers): the first are for training
/// and calibration, the others for measuring.
std::vector<std::size_t> table_order(std::size_t rows);
/// Where a network's columns stand in a table: by name where both have names, else in order.
/// @throws InputError "table.column", "table.columns"
std::vector<std::size_t> column_places(const NumberTable& table, const models::InputEncoding& encoding,
                                       const std::string& name);

/// Rows without labels, by `names` where both have them: order does not matter then, and further columns are
/// passed over.
/// @throws IoError; InputError "table.*" that names the column that is missing
NumberTable read_rows(const std::filesystem::path& path, const std::vector<std::string>& names);
/// JSON: an array of rows, each an array of numbers or an object by column names; or one such row.
NumberTable parse_json_rows(std::string_view text, const std::string& name,
                            const std::vector<std::string>& names);

}  // namespace popcorn::datasets
