// Tables in documents that are generated: between "<!-- table NAME -->" and "<!-- end of table -->".
#pragma once

#include <string>
#include <vector>

#include "cli/bench/suite/suite_tables.h"

namespace popcorn::cli {

struct MarkedDocument {
  std::string text;                  ///< with the tables as generated
  std::vector<std::string> changed;  ///< names of the tables that were other ones
};

/// @throws InputError "document.table" for a name without a table, or a beginning without an end
MarkedDocument with_tables(const std::string& document, const std::vector<SuiteTable>& tables);

}  // namespace popcorn::cli
