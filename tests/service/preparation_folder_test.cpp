// Preparations of a single server in files: there again after a restart, never again after a claim.
#include "service/store/preparation_folder.h"

#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <filesystem>

#include "base/error.h"
#include "base/file.h"
#include "service/store/claim_log.h"
#include "tests/support/process.h"
#include "tests/support/seeded_rng.h"

using namespace popcorn;
using namespace popcorn::test;

namespace {

namespace fs = std::filesystem;
using service::PreparationFolder;
using Steady = std::chrono::steady_clock;

constexpr const char* kSecret = "seeds and shares that nobody else may read";

service::PreparationFolderOptions in(const fs::path& folder, const std::string& boot = "boot 1") {
  service::PreparationFolderOptions options;
  options.folder = folder;
  options.boot = [boot] { return boot; };
  return options;
}

PreparationFolder::Kept one(const std::string& id) {
  PreparationFolder::Kept kept;
  kept.info.id = id;
  kept.info.model = "m";
  kept.info.config_id = "c";
  kept.info.caller = "alice";
  kept.info.account = "account of alice";
  kept.info.engine = "shares";
  kept.info.rounds = 5;
  kept.info.preparation_rounds = 3;
  kept.info.round_limits = {1, 2, 3, 4, 5};
  kept.deadline = Steady::now() + std::chrono::hours(1);
  return kept;
}

std::string as_string(const Bytes& bytes) {
  return {bytes.begin(), bytes.end()};
}

}  // namespace

TEST_CASE("A folder gives preparations back after a restart, each once", "[stock]") {
  const TemporaryFolder folder;
  const fs::path store = folder.path("store");
  {
    PreparationFolder before(in(store));
    for (const char* id : {"01", "02", "03"}) before.keep(one(id), as_bytes(kSecret));
    CHECK(as_string(*before.claim("01")) == kSecret);
    CHECK_FALSE(before.claim("01"));
    CHECK((fs::status(store).permissions() & fs::perms::mask) == fs::perms::owner_all);
    CHECK((fs::status(store / "02.preparation").permissions() & fs::perms::mask) ==
          (fs::perms::owner_read | fs::perms::owner_write));
    CHECK(as_string(read_file(store / "02.preparation")).find("nobody else") == std::string::npos);
    CHECK_THROWS_AS(PreparationFolder(in(store)), UsageError);  // one server at a time
  }
  PreparationFolder after(in(store));
  const auto kept = after.load();
  REQUIRE(kept.size() == 2);
  for (const PreparationFolder::Kept& found : kept) {
    CHECK(found.info.account == "account of alice");
    CHECK(found.info.caller == "alice");
    CHECK(found.info.phase == service::SessionPhase::prepared);
    CHECK(found.info.next_round == 3);
    CHECK(found.info.rounds == 5);
    CHECK(found.deadline > Steady::now());
  }
  CHECK(as_string(*after.claim("02")) == kSecret);
  after.remove("03");
  CHECK_FALSE(after.claim("03"));
  CHECK(after.load().empty());
}

TEST_CASE("No backup of a preparation folder brings anything back", "[stock]") {
  const TemporaryFolder folder;
  const fs::path store = folder.path("store"), backup = folder.path("backup");
  {
    PreparationFolder server(in(store));
    for (const char* id : {"01", "02"}) server.keep(one(id), as_bytes(kSecret));
    fs::copy(store, backup, fs::copy_options::recursive);
    CHECK(server.claim("01"));
    // Under a server that runs.
    fs::copy(backup / "01.preparation", store / "01.preparation");
    CHECK_FALSE(server.claim("01"));
    CHECK_FALSE(fs::exists(store / "01.preparation"));
  }
  fs::copy(backup / "01.preparation", store / "01.preparation");
  {
    PreparationFolder server(in(store));
    const auto kept = server.load();
    REQUIRE(kept.size() == 1);
    CHECK(kept[0].info.id == "02");
  }
  // All of it, the key too.
  fs::remove_all(store);
  fs::copy(backup, store, fs::copy_options::recursive);
  fs::permissions(store, fs::perms::owner_all);
  PreparationFolder server(in(store));
  CHECK(server.load().empty());
  CHECK_FALSE(fs::exists(store / "02.preparation"));
}

TEST_CASE("An image of a disk that was put back brings nothing back: the machine was started again",
          "[stock]") {
  const TemporaryFolder folder;
  const fs::path store = folder.path("store");
  PreparationFolder(in(store)).keep(one("01"), as_bytes(kSecret));
  CHECK(PreparationFolder(in(store, "boot 2")).load().empty());
  CHECK(PreparationFolder(in(store)).load().empty());
}

TEST_CASE("A claim log is believed where it was written, in the same run of the machine", "[stock]") {
  const TemporaryFolder folder;
  const fs::path file = folder.path("claims"), copy = folder.path("copy");
  const auto seen = [](const fs::path& log, const std::string& boot) {
    return service::ClaimLog(log, boot).seen();
  };
  {
    service::ClaimLog log(file, "boot 1");
    CHECK_FALSE(log.seen());
    log.note(3);
    log.note(2);
    CHECK(log.seen() == 3);
  }
  CHECK(seen(file, "boot 1") == 3);
  fs::copy(file, copy);
  service::ClaimLog(file, "boot 1").note(1000);
  CHECK(seen(file, "boot 1") == 1000);
  // A backup in its place.
  fs::remove(file);
  fs::copy(copy, file);
  CHECK_FALSE(seen(file, "boot 1"));
  service::ClaimLog(file, "boot 1").note(7);
  CHECK(seen(file, "boot 1") == 7);
  CHECK_FALSE(seen(file, "boot 2"));
  write_file(file, as_bytes("damaged"), 0600);
  CHECK_FALSE(seen(file, "boot 1"));
  CHECK_THROWS_AS(service::ClaimLog(fs::path(folder.path("none")) / "claims"), IoError);
}

TEST_CASE("What is over, damaged, of another key or half written is removed from a preparation folder",
          "[stock]") {
  const TemporaryFolder folder;
  const fs::path store = folder.path("store");
  write_file(folder.path("other.key"), as_bytes(std::string(64, 'a')), 0600);
  const auto keep = [&] { PreparationFolder(in(store)).keep(one("01"), as_bytes(kSecret)); };
  const auto loaded = [&](service::PreparationFolderOptions options) {
    return PreparationFolder(std::move(options)).load().size();
  };
  keep();
  auto later = in(store);
  later.now = [] { return Steady::now() + std::chrono::hours(2); };
  CHECK(loaded(later) == 0);
  keep();
  auto other_key = in(store);
  other_key.store_key_file = folder.path("other.key");
  CHECK(loaded(other_key) == 0);
  write_file(store / "01.preparation.XYZ123", as_bytes("half"), 0600);
  CHECK(loaded(in(store)) == 0);
  CHECK_FALSE(fs::exists(store / "01.preparation.XYZ123"));
  SeededRng rng(9);
  for (int trial = 0; trial < 40; ++trial) {
    keep();
    const fs::path file = store / "01.preparation";
    CAPTURE(trial);
    // In place: the file stays the same one.
    std::FILE* damaged = std::fopen(file.c_str(), "r+b");
    REQUIRE(damaged != nullptr);
    const auto size = static_cast<long>(fs::file_size(file));
    const long at = static_cast<long>(rng.below(static_cast<std::uint64_t>(size)));
    REQUIRE(std::fseek(damaged, at, SEEK_SET) == 0);
    const int was = std::fgetc(damaged);
    REQUIRE(std::fseek(damaged, at, SEEK_SET) == 0);
    std::fputc(was ^ (1 << rng.below(8)), damaged);
    std::fclose(damaged);
    PreparationFolder server(in(store));
    server.load();
    CHECK_FALSE(server.claim("01"));
  }
  REQUIRE(::chmod(store.c_str(), 0755) == 0);
  CHECK_THROWS_AS(PreparationFolder(in(store)), InputError);
}
