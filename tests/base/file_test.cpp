#include "base/file.h"

#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <catch2/catch.hpp>
#include <thread>

#include "base/error.h"
#include "base/random.h"
#include "tests/support/freed_memory.h"
#include "tests/support/process.h"

using namespace popcorn;
using popcorn::test::TemporaryFolder;
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

namespace {

SecretFileRules rules_for(bool group_may_reach, bool written_here) {
  SecretFileRules rules{.what = "the secret", .code = "secret.permissions", .max_bytes = 20'000};
  rules.group_may_reach = group_may_reach;
  rules.written_here = written_here;
  return rules;
}

std::string code_of(const fs::path& path, const SecretFileRules& rules) {
  try {
    read_secret_file(path, rules);
  } catch (const Error& error) {
    CHECK(std::string(error.what()).find(path.string()) != std::string::npos);
    return error.code();
  }
  return "";
}

}  // namespace

TEST_CASE("a secret is read from a file that only those who may can reach", "[base]") {
  const TemporaryFolder folder;
  const fs::path path = folder.path("secret");
  for (const std::size_t size : {0UL, 1UL, 4095UL, 4096UL, 19'999UL, 20'000UL}) {
    write_file(path, Bytes(size, 7), 0600);
    const SecretBytes content = read_secret_file(path, rules_for(false, false));
    CHECK(content.size() == size);
    CHECK(Bytes(content.view().begin(), content.view().end()) == Bytes(size, 7));
  }
  write_file(path, Bytes(20'001, 7), 0600);
  CHECK(code_of(path, rules_for(false, false)) == "file.too_large");
  for (unsigned mode = 0400; mode <= 0777; ++mode) {
    if ((mode & 0400) == 0) continue;
    write_file(path, as_bytes("x"), mode);
    CAPTURE(mode);
    CHECK(code_of(path, rules_for(false, false)) == ((mode & 077) == 0 ? "" : "secret.permissions"));
    CHECK(code_of(path, rules_for(true, false)) == ((mode & 007) == 0 ? "" : "secret.permissions"));
  }
  CHECK(code_of(folder.path("absent"), rules_for(false, false)) == "file.open");
  CHECK_FALSE(read_secret_file_if_any(folder.path("absent"), rules_for(false, true)));
}

TEST_CASE("a file that only this program writes is neither a link nor a pipe", "[base]") {
  const TemporaryFolder folder;
  const fs::path path = folder.path("secret");
  const fs::path link = folder.path("link");
  const fs::path pipe = folder.path("pipe");
  write_file(path, as_bytes("x"), 0600);
  fs::create_symlink(path, link);
  REQUIRE(::mkfifo(pipe.c_str(), 0600) == 0);
  CHECK(code_of(path, rules_for(false, true)).empty());
  CHECK(code_of(link, rules_for(false, false)).empty());
  CHECK(code_of(link, rules_for(false, true)) == "file.link");
  CHECK(code_of(pipe, rules_for(false, true)) == "file.link");
}

TEST_CASE("permissions are those of the file that is read, however fast files are exchanged", "[base]") {
  const TemporaryFolder folder;
  const fs::path path = folder.path("secret");
  const fs::path closed = folder.path("closed");
  const fs::path open = folder.path("open");
  write_file(closed, as_bytes("closed"), 0600);
  write_file(open, as_bytes("open"), 0644);
  fs::create_symlink(closed, path);
  std::atomic<bool> done{false};
  std::thread exchange([&] {
    const fs::path next = folder.path("next");
    for (bool show_open = true; !done; show_open = !show_open) {
      fs::create_symlink(show_open ? open : closed, next);
      fs::rename(next, path);
    }
  });
  std::size_t accepted = 0;
  std::size_t refused = 0;
  std::size_t wrong = 0;
  for (std::size_t i = 0; i < 1'000'000 && (accepted < 2000 || refused < 2000); ++i) {
    try {
      const SecretBytes content = read_secret_file(path, rules_for(false, false));
      ++accepted;
      wrong += static_cast<std::size_t>(content.size() != std::string("closed").size());
    } catch (const InputError&) {
      ++refused;
    }
  }
  done = true;
  exchange.join();
  CHECK(accepted >= 2000);
  CHECK(refused >= 2000);
  CHECK(wrong == 0);
}

TEST_CASE("reading a secret file leaves no copy in freed memory", "[base]") {
  const TemporaryFolder folder;
  Bytes needle(24);
  system_rng().fill(needle);
  Bytes content(9000);
  std::copy(needle.begin(), needle.end(), content.begin() + 5000);
  write_file(folder.path("secret"), content, 0600);
  std::array<int, 2> ends{};  // a pipe says no size, so that what is read into must grow
  REQUIRE(::pipe(ends.data()) == 0);
  REQUIRE(::write(ends[1], content.data(), content.size()) == static_cast<ssize_t>(content.size()));
  ::close(ends[1]);
  test::FreedMemory freed({needle});
  freed.watch();
  CHECK(read_secret_file(folder.path("secret"), rules_for(false, false)).size() == content.size());
  CHECK(read_secret_file("/dev/fd/" + std::to_string(ends[0]), rules_for(false, false)).size() ==
        content.size());
  CHECK(freed.blocks() > 0);
  CHECK(freed.findings() == 0);
  ::close(ends[0]);
}
