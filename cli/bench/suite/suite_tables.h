// The tables of a suite: the same ones as Markdown, in documents, and in the HTML report.
#pragma once

#include <string>
#include <vector>

#include "cli/bench/suite/suite_document.h"

namespace popcorn::cli {

struct SuiteTable {
  std::string name;   ///< "inference": by which documents name it
  std::string title;  ///< plain text
  std::string note;   ///< plain text: what the columns are
  std::vector<std::string> heads;
  std::size_t words = 1;  ///< columns at the left that hold words; all others hold numbers
  std::vector<std::vector<std::string>> rows;

  std::string markdown() const;  ///< the table alone
  std::string html() const;
};

/// Those that the suite has figures for.
std::vector<SuiteTable> suite_tables(const SuiteDocument& suite);

/// The suite as one Markdown page.
std::string suite_markdown(const SuiteDocument& suite);

}  // namespace popcorn::cli
