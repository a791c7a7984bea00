// What servers need for so many answers: measured parts, and the arithmetic over them.
#include "cli/capacity.h"

#include <catch2/catch.hpp>

#include "models/file/popcorn_file.h"

using namespace popcorn;
using namespace popcorn::cli;

namespace {

constexpr unsigned kTestBits = 768;

std::shared_ptr<const paillier::KeyOwner> test_key() {
  constexpr auto kPolicy = paillier::KeySizePolicy::insecure_test;
  return std::make_shared<const paillier::KeyOwner>(
      paillier::PrivateKey::generate(kTestBits, paillier::KeyKind::ordinary, kPolicy));
}

MeasuredInference measured(const std::string& engine, const char* file) {
  protocols::SessionOptions session;
  session.engine = engine;
  return measure_inference(protocols::ServedModel::create(models::read_network(file)), test_key(), session);
}

}  // namespace

TEST_CASE("A measured inference has the parts that its engine has", "[capacity]") {
  const MeasuredInference shares = measured("shares", "models/requantised/mnist-mlp.popcorn");
  CHECK(shares.preparation.rounds > 0);
  CHECK(shares.online.rounds > 0);
  CHECK(shares.preparation.bytes_up > shares.online.rounds);
  CHECK(shares.preparation.server_seconds > 0);
  CHECK(shares.online.client_seconds > 0);
  CHECK(shares.server_state > 1000);
  CHECK(shares.client_state > 1000);
  // A preparation is written when it is whole, and at each round before.
  CHECK(shares.store_writes >= shares.server_state);
  CHECK(shares.session_memory > shares.server_state);
}

TEST_CASE("Capacity follows from what was measured", "[capacity]") {
  MeasuredInference one;
  one.preparation = {1.5, 2, 1000, 500, 3};
  one.online = {0.25, 0.25, 200, 100, 40};
  one.server_state = 10'000;
  one.client_state = 20'000;
  one.store_writes = 30'000;
  one.session_memory = 1'000'000;
  one.key_memory = 500'000;
  const Capacity hourly = plan_capacity(one, {3600, 2, 0.5});
  CHECK(hourly.cores == Approx(1.75 / 0.7));
  CHECK(hourly.answers_per_hour == Approx(3600 * 2 * 0.7 / 1.75));
  CHECK(hourly.sessions_at_once == 12);  // four seconds of work, three times as long
  CHECK(hourly.memory == 12 * 1'500'000);
  CHECK(hourly.preparations == 1800);
  CHECK(hourly.server_store == 22'500'000);
  CHECK(hourly.client_store == 36'000'000);
  CHECK(hourly.store_bytes_per_second == Approx(30'000));
  CHECK(hourly.up_bits_per_second == Approx(9600));
  CHECK(hourly.down_bits_per_second == Approx(4800));

  const Capacity tenth = plan_capacity(one, {360, 2, 0.5});
  CHECK(tenth.cores == Approx(hourly.cores / 10));
  CHECK(tenth.preparations == 180);
  CHECK(tenth.sessions_at_once == 2);  // as many as cores, at least

  one.preparation = {};
  const Capacity without = plan_capacity(one, {3600, 2, 0.5});
  CHECK(without.preparations == 0);
  CHECK(without.server_store == 0);
  CHECK(without.cores == Approx(0.25 / 0.7));
}
