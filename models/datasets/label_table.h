// Names of classes and tables of labelled files.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace popcorn::datasets {

/// A class: what a report prints, and the identifiers by which folders and tables may mean it.
struct ClassName {
  std::string name;                      ///< "great white shark"
  std::vector<std::string> identifiers;  ///< "n01484850"; the name itself is one, with _ or space
};

/// One class a line, in the order of their numbers: `NAME`, or `INDEX WORDNET_ID NAME` where every line
/// begins with its own number from 0 (and the second column is left out when it is no WordNet id). Empty
/// lines at the end are passed over. An underscore in a name stands for a space.
/// @throws IoError, InputError "dataset.labels" that names file and line
std::vector<ClassName> read_labels(const std::filesystem::path& file);

struct TableRow {
  std::string file, label;
};

/// Rows of two fields, `file,label`, or with a tab between them when the name ends with .tsv. In a .csv a
/// field may stand in double quotes (RFC 4180). A first row `file,label` (also filename, image, path; class)
/// is a heading. @throws IoError, InputError "dataset.table" that names file and line
std::vector<TableRow> read_table(const std::filesystem::path& file);

}  // namespace popcorn::datasets
