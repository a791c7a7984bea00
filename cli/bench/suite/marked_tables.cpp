#include "cli/bench/suite/marked_tables.h"

#include <algorithm>

#include "base/error.h"
#include "base/json.h"

namespace popcorn::cli {

MarkedDocument with_tables(const std::string& document, const std::vector<SuiteTable>& tables) {
  const std::string begin = "<!-- table ", close = " -->\n", end = "<!-- end of table -->";
  MarkedDocument result;
  std::size_t done = 0;
  for (std::size_t at = document.find(begin); at != std::string::npos; at = document.find(begin, done)) {
    const std::size_t name_at = at + begin.size();
    const std::size_t closed = document.find(close, name_at);
    const std::size_t last = closed == std::string::npos ? closed : document.find(end, closed);
    if (last == std::string::npos)
      throw InputError("document.table", "a generated table of the document has no end");
    const std::string name = document.substr(name_at, closed - name_at);
    const auto table = std::ranges::find(tables, name, &SuiteTable::name);
    if (table == tables.end()) {
      throw InputError("document.table", "the results have no table \"" + printable(name) + "\"");
    }
    const std::size_t content = closed + close.size();
    const std::string fresh = table->markdown();
    if (document.substr(content, last - content) != fresh) result.changed.push_back(name);
    result.text += document.substr(done, content - done) + fresh;
    done = last;
  }
  result.text += document.substr(done);
  return result;
}

}  // namespace popcorn::cli
