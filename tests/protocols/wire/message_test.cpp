#include "protocols/wire/message.h"

#include <catch2/catch.hpp>

#include "base/error.h"
#include "base/file.h"
#include "protocols/wire/limits.h"
#include "tests/support/seeded_rng.h"

namespace popcorn::protocols {
namespace {

struct Golden {
  const char* file;
  MessageShape shape;
  std::uint32_t step;
  std::uint32_t exchange;
};

const Golden kGolden[] = {
    {"input.bin", {MessageKind::input, 3, 3, 8, 0}, 0, 0},
    {"question.bin", {MessageKind::question, 5, 2, 8, 16}, 7, 0},
    {"answer.bin", {MessageKind::answer, 5, 10, 8, 6}, 7, 1},
    {"logits.bin", {MessageKind::logits, 4, 1, 8, 0}, 8, 0},
};

Bytes golden_bytes(const Golden& golden) {
  return read_file(std::string("tests/data/wire/v2.0/") + golden.file);
}

MessageAddress golden_address(const Golden& golden) {
  MessageAddress address{{}, golden.step, golden.exchange};
  for (std::size_t i = 0; i < address.key.size(); ++i) address.key[i] = static_cast<std::uint8_t>(i);
  return address;
}

Bytes section(std::size_t number, std::size_t size) {
  Bytes bytes(size);
  for (std::size_t k = 0; k < size; ++k) bytes[k] = static_cast<std::uint8_t>(17 * number + k);
  return bytes;
}

std::string error_code(ByteView message) {
  try {
    parse_message(message);
  } catch (const InputError& error) {
    return error.code();
  }
  return "";
}

TEST_CASE("messages are written as the golden files of format 2.0") {
  for (const Golden& golden : kGolden) {
    CAPTURE(golden.file);
    MessageWriter writer(golden.shape, golden_address(golden));
    const Bytes ciphertexts = section(1, golden.shape.ciphertexts * golden.shape.ciphertext_bytes);
    const Bytes sign_test = section(2, golden.shape.sign_test_bytes);
    ByteWriter out(writer.out());
    const bool sign_test_first = golden.shape.kind == MessageKind::answer;
    out.bytes(sign_test_first ? sign_test : ciphertexts);
    out.bytes(sign_test_first ? ciphertexts : sign_test);
    CHECK(writer.finish() == golden_bytes(golden));
  }
}

TEST_CASE("golden messages are read field by field") {
  for (const Golden& golden : kGolden) {
    CAPTURE(golden.file);
    const Bytes bytes = golden_bytes(golden);
    const Message message = parse_message(bytes);
    CHECK(message.shape == golden.shape);
    CHECK(message.address.step == golden.step);
    CHECK(message.address.exchange == golden.exchange);
    CHECK(message.address.key == golden_address(golden).key);
    const Bytes ciphertexts(message.ciphertexts.begin(), message.ciphertexts.end());
    const Bytes sign_test(message.sign_test.begin(), message.sign_test.end());
    CHECK(ciphertexts == section(1, golden.shape.ciphertexts * golden.shape.ciphertext_bytes));
    CHECK(sign_test == section(2, golden.shape.sign_test_bytes));
  }
}

TEST_CASE("every truncation and every extension of a message is refused") {
  for (const Golden& golden : kGolden) {
    Bytes bytes = golden_bytes(golden);
    for (std::size_t size = 0; size < bytes.size(); ++size) {
      CAPTURE(golden.file, size);
      CHECK(error_code(ByteView(bytes).first(size)) == "message.truncated");
    }
    bytes.push_back(0);
    CHECK(error_code(bytes) == "message.trailing_bytes");
  }
}

TEST_CASE("damaged header fields are named") {
  const Bytes good = golden_bytes(kGolden[1]);
  const auto damaged = [&](std::size_t offset, std::uint8_t value) {
    Bytes bytes = good;
    bytes[offset] = value;
    return error_code(bytes);
  };
  CHECK(error_code(good).empty());
  CHECK(damaged(0, 'Q') == "message.magic");
  CHECK(damaged(1, 'D') == "message.magic");
  CHECK(damaged(2, 24) == "message.version");
  CHECK(damaged(3, kWireMajor + 1) == "message.version");
  CHECK(damaged(4, kWireMinor + 1) == "message.version");
  CHECK(damaged(5, 0) == "message.kind");
  CHECK(damaged(5, 7) == "message.kind");
  CHECK(damaged(6, 1) == "message.flags");
  CHECK(damaged(8, 200) == "message.length");
  CHECK(damaged(60, 1) == "message.flags");
  CHECK(damaged(59, 1) == "message.limit");     // ciphertexts of 16 MiB
  CHECK(damaged(71, 1) == "message.limit");     // 2^56 elements
  CHECK(damaged(79, 1) == "message.limit");     // 2^56 ciphertexts
  CHECK(damaged(87, 0xff) == "message.limit");  // sign test of nearly 2^64 bytes
  CHECK(damaged(72, 3) == "message.length");
}

TEST_CASE("random damage is either refused or gives views inside the message") {
  test::SeededRng rng(7);
  for (int round = 0; round < 5000; ++round) {
    Bytes bytes = golden_bytes(kGolden[round % 4]);
    const std::uint64_t flips = 1 + rng.below(4);
    for (std::uint64_t i = 0; i < flips; ++i) {
      bytes[rng.below(bytes.size())] = static_cast<std::uint8_t>(rng.next_u64());
    }
    try {
      const Message message = parse_message(bytes);
      REQUIRE(message.shape.bytes() == bytes.size());
      REQUIRE(message.ciphertexts.size() + message.sign_test.size() + kMessagePrefixBytes == bytes.size());
      REQUIRE(message.ciphertexts.size() == message.shape.ciphertexts * message.shape.ciphertext_bytes);
    } catch (const InputError& error) {
      REQUIRE(error.code().starts_with("message."));
    }
  }
}

TEST_CASE("a writer refuses what no parser would accept") {
  CHECK_THROWS_AS(MessageWriter({MessageKind::input, Limits::kElements + 1, 1, 8, 0}, {}), Error);
  CHECK_THROWS_AS(MessageWriter({MessageKind::input, 1, ~std::uint64_t{0} / 4, 8, 0}, {}), Error);
  MessageWriter writer({MessageKind::input, 1, 1, 8, 0}, {});
  writer.out().resize(writer.out().size() + 7);
  CHECK_THROWS_AS(writer.finish(), Error);
}

}  // namespace
}  // namespace popcorn::protocols
