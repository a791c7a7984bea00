#include "base/file.h"

#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include "base/error.h"

using namespace popcorn;
namespace fs = std::filesystem;

TEST_CASE("files are written whole, with the mode asked for, and nothing is left beside them", "[base]") {
  const fs::path folder = fs::temp_directory_path() / ("popcorn-file-test-" + std::to_string(::getpid()));
  fs::create_directory(folder);
  const fs::path path = folder / "secret";
  write_file(path, as_bytes("first"), 0600);
  write_file(path, as_bytes("second"), 0600);
  REQUIRE(read_text_file(path) == "second");
  struct stat status {};
  REQUIRE(::stat(path.c_str(), &status) == 0);
  REQUIRE((status.st_mode & 0777) == 0600);
  REQUIRE_THROWS_AS(read_file(path, 3), InputError);
  REQUIRE_THROWS_AS(read_file(folder / "absent"), IoError);
  REQUIRE_THROWS_AS(write_file(folder / "no" / "such" / "folder", as_bytes("x")), IoError);
  fs::create_directory(folder / "taken");
  REQUIRE_THROWS_AS(write_file(folder / "taken", as_bytes("x")), IoError);
  std::size_t entries = 0;
  for ([[maybe_unused]] const auto& entry : fs::directory_iterator(folder)) ++entries;
  REQUIRE(entries == 2);
  fs::remove_all(folder);
}
