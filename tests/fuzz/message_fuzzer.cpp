// parse_message: refuses with an InputError, or gives views that cover the message exactly and that write
// back to it.
#include <cstdint>
#include <cstdlib>

#include "base/error.h"
#include "protocols/wire/message.h"

namespace {

using namespace popcorn;
using namespace popcorn::protocols;

void require(bool condition) {
  if (!condition) std::abort();
}

void check_views(const Message& message, ByteView bytes) {
  require(message.shape.bytes() == bytes.size());
  require(message.ciphertexts.size() == message.shape.ciphertexts * message.shape.ciphertext_bytes);
  require(message.sign_test.size() == message.shape.sign_test_bytes);
  for (const ByteView section : {message.ciphertexts, message.sign_test}) {
    if (section.empty()) continue;
    require(section.data() >= bytes.data() + kMessagePrefixBytes);
    require(section.data() + section.size() <= bytes.data() + bytes.size());
  }
}

Bytes written(const Message& message) {
  MessageWriter writer(message.shape, message.address);
  ByteWriter out(writer.out());
  const bool sign_test_first = message.shape.kind == MessageKind::answer;
  out.bytes(sign_test_first ? message.sign_test : message.ciphertexts);
  out.bytes(sign_test_first ? message.ciphertexts : message.sign_test);
  return writer.finish();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    const Message message = parse_message({data, size});
    check_views(message, {data, size});
    require(written(message) == Bytes(data, data + size));
  } catch (const InputError& error) {
    require(error.code().starts_with("message."));
  }
  return 0;
}
