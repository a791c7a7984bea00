#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>

#include "base/file.h"
#include "paillier/keys/keys.h"
#include "tests/paillier/expect_error.h"
#include "tests/support/seeded_rng.h"

using namespace popcorn;
using namespace popcorn::paillier;
using Catch::Matchers::Contains;
using test::expect_error;

namespace {

constexpr KeySizePolicy kTest = KeySizePolicy::insecure_test;

/// A folder that goes away with its files.
class ScratchFolder {
 public:
  ScratchFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "popcorn-keys-XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  ~ScratchFolder() { std::filesystem::remove_all(path_); }
  std::string file(const char* name) const { return (path_ / name).string(); }

 private:
  std::filesystem::path path_;
};

unsigned mode_of(const std::string& path) {
  struct stat status {};
  REQUIRE(::stat(path.c_str(), &status) == 0);
  return status.st_mode & 0777;
}

}  // namespace

TEST_CASE("key files are written and read back", "[paillier][keys]") {
  const ScratchFolder folder;
  test::SeededRng rng(1);
  for (const KeyKind kind : {KeyKind::ordinary, KeyKind::subgroup}) {
    const PrivateKey key = PrivateKey::generate(256, kind, kTest, rng);
    write_private_key(folder.file("own.json"), key);
    write_public_key(folder.file("public.json"), key.public_key());
    write_file(folder.file("public.bin"), key.public_key().serialise());
    REQUIRE(mode_of(folder.file("own.json")) == 0600);
    REQUIRE(mode_of(folder.file("public.json")) == 0644);
    REQUIRE(read_private_key(folder.file("own.json"), kTest).to_json() == key.to_json());
    REQUIRE(read_public_key(folder.file("public.json"), kTest) == key.public_key());
    REQUIRE(read_public_key(folder.file("public.bin"), kTest) == key.public_key());
    expect_error("key.bits", [&] { read_private_key(folder.file("own.json")); });
    expect_error("key.bits", [&] { read_public_key(folder.file("public.json")); });
  }
}

TEST_CASE("a private key that others may touch is refused", "[paillier][keys]") {
  const ScratchFolder folder;
  const std::string path = folder.file("own.json");
  test::SeededRng rng(2);
  write_private_key(path, PrivateKey::generate(256, KeyKind::ordinary, kTest, rng));
  for (const unsigned mode : {0640U, 0604U, 0620U, 0602U, 0610U, 0601U, 0644U, 0666U, 0777U}) {
    CAPTURE(mode);
    REQUIRE(::chmod(path.c_str(), mode) == 0);
    const std::string message = expect_error("key.permissions", [&] { read_private_key(path, kTest); });
    REQUIRE_THAT(message, Contains(path) && Contains("chmod 600"));
  }
  for (const unsigned mode : {0600U, 0400U, 0700U}) {
    REQUIRE(::chmod(path.c_str(), mode) == 0);
    REQUIRE_NOTHROW(read_private_key(path, kTest));
  }
}

TEST_CASE("errors of key files name the file", "[paillier][keys]") {
  const ScratchFolder folder;
  const std::string path = folder.file("key.json");
  const auto refuse = [&](const std::string& content, const std::string& code) {
    write_file(path, as_bytes(content), 0600);
    REQUIRE_THAT(expect_error(code, [&] { read_private_key(path, kTest); }), Contains(path));
    REQUIRE_THAT(expect_error(code, [&] { read_public_key(path, kTest); }), Contains(path));
  };
  refuse("", "key.json");
  refuse("nonsense", "key.json");
  refuse("{\"kty\": \"DAJ\"}", "key.field");
  refuse(std::string(kMaxKeyFileBytes + 1, ' '), "file.too_large");
  refuse(std::string(kMaxKeyFileBytes, ' '), "key.json");
  write_file(path, as_bytes("PPPK"), 0600);
  REQUIRE_THAT(expect_error("key.truncated", [&] { read_public_key(path, kTest); }), Contains(path));
  expect_error("key.json", [&] { read_private_key(path, kTest); });

  const std::string absent = folder.file("absent");
  REQUIRE_THAT(expect_error<IoError>("file.open", [&] { read_private_key(absent); }), Contains(absent));
  REQUIRE_THAT(expect_error<IoError>("file.open", [&] { read_public_key(absent); }), Contains(absent));
  std::filesystem::create_directory(folder.file("folder"));
  std::filesystem::permissions(folder.file("folder"), std::filesystem::perms::owner_all);
  expect_error<IoError>("file.read", [&] { read_private_key(folder.file("folder")); });
}
