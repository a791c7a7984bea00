// Shell blocks of a document as one script: servers in the background, ports that are free here.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "tests/support/process.h"

namespace popcorn::test {

/// A temporary folder with links to the project's folders that documents name, and `data` to the data folder
/// where there is one.
class ProjectFolder {
 public:
  ProjectFolder();
  std::string path() const { return folder_.path("."); }

 private:
  TemporaryFolder folder_;
};

class ShellScript {
 public:
  /// @param folder where it runs
  explicit ShellScript(std::string folder) : folder_(std::move(folder)) {}
  /// A block as it stands in a document. `popcorn serve` becomes a background process, as in a terminal of
  /// its own or with an &, whose output is printed once it is ready; ports become free ones, the same all
  /// over the script.
  void add(const std::string& block);
  /// Every command must succeed. @throws std::runtime_error when it takes longer than ten minutes
  ProcessResult run();

 private:
  std::string with_free_ports(const std::string& line);
  std::string in_background(std::string line);

  std::string folder_;
  std::string text_;
  std::map<std::string, std::string> ports_;
  std::size_t servers_ = 0;
};

}  // namespace popcorn::test
