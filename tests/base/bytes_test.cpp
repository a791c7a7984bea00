#include "base/bytes.h"

#include <catch2/catch.hpp>

#include "base/error.h"
#include "base/sha256.h"
#include "tests/support/seeded_rng.h"

using namespace popcorn;

TEST_CASE("hexadecimal and base64url round-trip random bytes", "[base]") {
  test::SeededRng rng(1);
  for (std::size_t length = 0; length < 70; ++length) {
    Bytes bytes(length);
    rng.fill(bytes);
    REQUIRE(from_hex(to_hex(bytes)) == bytes);
    REQUIRE(from_base64url(to_base64url(bytes)) == bytes);
  }
}

TEST_CASE("known encodings", "[base]") {
  REQUIRE(to_hex(as_bytes("\x01\xab")) == "01ab");
  REQUIRE(to_base64url(as_bytes("fooba")) == "Zm9vYmE");  // RFC 4648, section 10
  REQUIRE(to_base64url(as_bytes("\xfb\xff")) == "-_8");
  REQUIRE(to_hex(sha256(as_bytes("abc"))) ==  // FIPS 180-4 example
          "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST_CASE("damaged encodings are refused", "[base]") {
  for (const char* text : {"0", "0g", "zz", "0x"}) REQUIRE_THROWS_AS(from_hex(text), InputError);
  for (const char* text : {"A", "AB=", "A+B/", "AB C", "AB"})
    REQUIRE_THROWS_AS(from_base64url(text), InputError);
}

TEST_CASE("a reader never reads past its end", "[base]") {
  Bytes buffer;
  ByteWriter writer(buffer);
  writer.u8(1);
  writer.u16(0x0302);
  writer.u32(0x07060504);
  writer.u64(0x0f0e0d0c0b0a0908);
  for (std::size_t i = 0; i < buffer.size(); ++i) REQUIRE(buffer[i] == i + 1);
  ByteReader reader(buffer, "test");
  REQUIRE(reader.u8() == 1);
  REQUIRE(reader.u16() == 0x0302);
  REQUIRE(reader.u32() == 0x07060504);
  REQUIRE_THROWS_AS(reader.expect_end(), InputError);
  REQUIRE_THROWS_AS(reader.bytes(9), InputError);
  REQUIRE(reader.u64() == 0x0f0e0d0c0b0a0908);
  REQUIRE_NOTHROW(reader.expect_end());
  REQUIRE_THROWS_AS(reader.u8(), InputError);
}
