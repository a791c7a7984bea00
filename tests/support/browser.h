// Pages in headless Chromium.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace popcorn::test {

class Browser {
 public:
  /// Chromium as $POPCORN_CHROMIUM or on the path; nothing when there is none, and a loud line has then said
  /// so.
  static std::optional<Browser> find();

  /// The document after it was laid out.
  std::string document(const std::filesystem::path& page, int width) const;
  /// What a reader sees, as a PNG file. @param dark whether the reader prefers dark pages
  void photograph(const std::filesystem::path& page, int width, int height, bool dark,
                  const std::filesystem::path& picture) const;

 private:
  explicit Browser(std::string executable) : executable_(std::move(executable)) {}
  std::string run(const std::vector<std::string>& options, const std::filesystem::path& page) const;
  std::string executable_;
};

}  // namespace popcorn::test
