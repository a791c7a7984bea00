#include <sys/stat.h>

#include <catch2/catch.hpp>

#include "base/file.h"
#include "tests/cli/command_line.h"

namespace popcorn::test {

namespace {

unsigned mode_of(const std::string& path) {
  struct stat status {};
  REQUIRE(::stat(path.c_str(), &status) == 0);
  return status.st_mode & 0777U;
}

}  // namespace

TEST_CASE("A key pair is written so that only its owner reads the private part", "[command_line]") {
  const TemporaryFolder folder;
  const std::string key = folder.path("key.json");
  const std::string public_key = folder.path("public.json");
  const ProcessResult result =
      popcorn(with_test_key({"keygen", "-o", key, "--public-out", public_key, "--json"}));
  REQUIRE(result.exit_code == 0);
  CHECK(mode_of(key) == 0600);
  const nlohmann::json report = json_of(result);
  CHECK(report.at("key_bits") == 768);
  CHECK(report.at("kind") == "ordinary");
  CHECK(report.at("fingerprint").get<std::string>().size() == 64);
  const nlohmann::json written = nlohmann::json::parse(read_text_file(public_key));
  CHECK(written.contains("n"));
  CHECK_FALSE(written.contains("p"));
  CHECK(nlohmann::json::parse(read_text_file(key)).contains("p"));
}

TEST_CASE("Files that exist are replaced only when asked", "[command_line]") {
  const TemporaryFolder folder;
  const std::string key = folder.path("key.json");
  REQUIRE(popcorn(with_test_key({"keygen", "-o", key})).exit_code == 0);
  const std::string before = read_text_file(key);
  const ProcessResult refused = popcorn(with_test_key({"keygen", "-o", key}));
  CHECK(refused.exit_code == 4);
  CHECK_THAT(refused.err, Catch::Contains(key) && Catch::Contains("--force"));
  CHECK(read_text_file(key) == before);
  CHECK(popcorn(with_test_key({"keygen", "-o", folder.path("b.json"), "--public-out", key})).exit_code == 4);
  CHECK(read_text_file(key) == before);
  CHECK(popcorn(with_test_key({"keygen", "-o", key, "--force"})).exit_code == 0);
  CHECK(read_text_file(key) != before);
}

TEST_CASE("A folder that cannot be written gives an I/O error", "[command_line]") {
  CHECK(popcorn(with_test_key({"keygen", "-o", "/nonexistent/key.json"})).exit_code == 4);
}

TEST_CASE("A key that is small enough to be broken needs the explicit opt-in", "[command_line]") {
  const TemporaryFolder folder;
  CHECK(popcorn({"keygen", "-o", folder.path("key.json"), "--bits", "768"}).exit_code == 2);
}

}  // namespace popcorn::test
