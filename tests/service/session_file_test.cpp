// Clients that end in the middle of an inference and others that go on with it.
#include "service/client/session_file.h"

#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <filesystem>

#include "base/file.h"
#include "protocols/session/cost_prediction.h"
#include "tests/service/service_fixture.h"
#include "tests/support/process.h"
#include "tests/support/random_network.h"

using namespace popcorn;
using namespace popcorn::test;

namespace {

struct Killed {};

service::ClientOptions with_file(const std::string& file, const std::string& sign_test) {
  service::ClientOptions options;
  options.session_file = file;
  options.sign_test = sign_test;
  return options;
}

}  // namespace

TEST_CASE("An inference goes on after its client ended, from every round", "[session_file]") {
  const auto model = small_model("tiny");
  const RunningServer server;
  SeededRng rng(81);
  for (const char* sign_test : {"oblivious", "blinded"}) {
    const WideVector input = random_input(rng, model->network());
    const TemporaryFolder folder;
    const std::string file = folder.path("session");
    service::InferenceResult result;
    std::size_t deaths = 0;
    // Each client dies before it sends its second message.
    for (bool done = false; !done;) {
      service::Client client(server.url(), with_file(file, sign_test));
      const auto bundle = client.bundle("tiny");
      std::size_t sent = 0;
      try {
        result = client.infer(bundle, small_key(), input,
                              [&](std::uint64_t round, std::uint64_t, const std::string&) {
                                if (round > 0 && ++sent > 1) throw Killed();
                              });
        done = true;
      } catch (const Killed&) {
        ++deaths;
        REQUIRE(std::filesystem::exists(file));
        struct ::stat status {};
        REQUIRE(::stat(file.c_str(), &status) == 0);
        CHECK((status.st_mode & 0777) == 0600);
      }
    }
    CAPTURE(sign_test);
    CHECK(result.logits == plaintext_logits(*model, input));
    CHECK(deaths + 2 == result.rounds);
    CHECK(result.continued_at + 1 == result.rounds);
    CHECK_FALSE(std::filesystem::exists(file));
    const auto cost =
        protocols::predict_cost(*model, small_key()->public_key().bits(), {.sign_test = sign_test});
    CHECK(result.bytes_up == cost.bytes_up);
    CHECK(result.bytes_down == cost.bytes_down);
  }
}

TEST_CASE("A kept session is refused for another input, key or server, or when the server forgot it",
          "[session_file]") {
  const auto model = small_model("tiny");
  SeededRng rng(82);
  const WideVector input = random_input(rng, model->network());
  const TemporaryFolder folder;
  const std::string file = folder.path("session");
  const auto die_after_two = [](std::uint64_t round, std::uint64_t, const std::string&) {
    if (round == 2) throw Killed();
  };
  RunningServer server;
  service::Client client(server.url(), with_file(file, "oblivious"));
  const auto bundle = client.bundle("tiny");
  REQUIRE_THROWS_AS(client.infer(bundle, small_key(), input, die_after_two), Killed);
  WideVector other = input;
  const std::int64_t first = other.to_int64(0);
  other.set_int64(0, first == bundle.encoding.low ? first + 1 : first - 1);
  CHECK_THROWS_AS(client.infer(bundle, small_key(), other), InputError);
  CHECK_THROWS_AS(client.infer(bundle, small_key(1), input), InputError);
  const RunningServer another;
  service::Client stray(another.url(), with_file(file, "oblivious"));
  CHECK_THROWS_AS(stray.infer(bundle, small_key(), input), InputError);
  REQUIRE(std::filesystem::exists(file));

  auto kept = service::read_session_file(file);
  REQUIRE(kept.has_value());
  kept->server = another.url();
  service::write_session_file(file, *kept);
  CHECK_THROWS_AS(stray.infer(bundle, small_key(), input), Error);
  CHECK_FALSE(std::filesystem::exists(file));  // nobody can go on with it

  write_file(file, as_bytes("no session"), 0600);
  CHECK_THROWS_AS(client.infer(bundle, small_key(), input), InputError);
}
