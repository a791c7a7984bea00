#include "base/secret_bytes.h"

#include <catch2/catch.hpp>

#include "base/random.h"
#include "tests/support/freed_memory.h"

using namespace popcorn;

namespace {

constexpr std::size_t kNeedle = 24;

/// Bytes that stand nowhere else, and a longer text that has them in its middle.
struct Needle {
  Bytes needle = Bytes(kNeedle);
  Needle() { system_rng().fill(needle); }
  template <class Container>
  void append_to(Container& out) const {
    out.resize(200);
    for (const std::uint8_t byte : needle) out.push_back(byte);
    out.resize(600);
  }
};

}  // namespace

TEST_CASE("the search of freed memory finds what a plain vector leaves", "[base]") {
  const Needle secret;
  test::FreedMemory freed({secret.needle});
  freed.watch();
  {
    Bytes plain;
    secret.append_to(plain);
  }
  REQUIRE(freed.findings() >= 1);
}

TEST_CASE("secret containers are wiped when they grow, move and go away", "[base]") {
  const Needle secret;
  test::FreedMemory freed({secret.needle});
  freed.watch();
  {
    SecretVector<std::uint8_t> grown;
    for (int i = 0; i < 3; ++i) {
      SecretVector<std::uint8_t> more;
      secret.append_to(more);
      grown.insert(grown.end(), more.begin(), more.end());
    }
    Bytes plain;
    plain.reserve(600);
    secret.append_to(plain);
    SecretBytes kept(std::move(plain));
    SecretBytes moved(std::move(kept));
    Bytes other;
    other.reserve(600);
    secret.append_to(other);
    moved = SecretBytes(std::move(other));
    REQUIRE(moved.size() == 600);
    Bytes cleared;
    cleared.reserve(600);
    secret.append_to(cleared);
    wipe_and_clear(cleared);
    REQUIRE(cleared.empty());
  }
  REQUIRE(freed.blocks() >= 6);
  REQUIRE(freed.findings() == 0);
}
