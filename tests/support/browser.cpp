#include "tests/support/browser.h"

#include <cstdlib>
#include <iostream>
#include <sstream>
#include <stdexcept>

#include "tests/support/process.h"

namespace popcorn::test {

namespace {

namespace fs = std::filesystem;

std::string on_path(const std::string& name) {
  const char* const path = std::getenv("PATH");
  std::istringstream folders(path == nullptr ? "" : path);
  for (std::string folder; std::getline(folders, folder, ':');) {
    if (fs::exists(fs::path(folder) / name)) return (fs::path(folder) / name).string();
  }
  return "";
}

}  // namespace

std::optional<Browser> Browser::find() {
  const char* const chosen = std::getenv("POPCORN_CHROMIUM");
  const std::string executable = chosen != nullptr ? chosen : on_path("chromium");
  if (!executable.empty() && fs::exists(executable)) return Browser(executable);
  std::cerr
      << "SKIPPED: Chromium is absent (Debian: chromium; or POPCORN_CHROMIUM=FILE); no page is opened\n";
  return std::nullopt;
}

std::string Browser::run(const std::vector<std::string>& options, const fs::path& page) const {
  const TemporaryFolder profile;
  std::vector<std::string> argv = {executable_,
                                   "--headless",
                                   "--no-sandbox",
                                   "--disable-gpu",
                                   "--disable-quic",
                                   "--no-first-run",
                                   "--disable-sync",
                                   "--hide-scrollbars",
                                   "--disable-background-networking",
                                   "--disable-component-update",
                                   "--user-data-dir=" + profile.path("profile")};
  argv.insert(argv.end(), options.begin(), options.end());
  argv.push_back("file://" + fs::absolute(page).string());
  const ProcessResult result = run_process(argv);
  if (result.exit_code != 0) throw std::runtime_error("Chromium failed: " + result.err);
  return result.out;
}

std::string Browser::document(const fs::path& page, int width) const {
  return run({"--window-size=" + std::to_string(width) + ",900", "--dump-dom"}, page);
}

void Browser::photograph(const fs::path& page, int width, int height, bool dark,
                         const fs::path& picture) const {
  run({"--window-size=" + std::to_string(width) + "," + std::to_string(height),
       std::string("--blink-settings=preferredColorScheme=") + (dark ? "0" : "1"),
       "--screenshot=" + picture.string()},
      page);
}

}  // namespace popcorn::test
