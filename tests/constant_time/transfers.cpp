// Runs both parties of the oblivious transfers with their secrets marked as undefined memory: under
// Valgrind's memcheck every branch and every address that depends on one is an error. Started by
// scripts/constant-time-test.
#include <valgrind/memcheck.h>

#include <cstdio>
#include <cstring>
#include <vector>

#include "base/wide_vector.h"
#include "protocols/comparison.h"
#include "protocols/ot/base_transfer.h"
#include "protocols/ot/extension.h"

namespace popcorn::protocols {
namespace {

void make_secret(std::span<const std::uint8_t> bytes) {
  VALGRIND_MAKE_MEM_UNDEFINED(bytes.data(), bytes.size());
}
void make_public(std::span<const std::uint8_t> bytes) {
  VALGRIND_MAKE_MEM_DEFINED(bytes.data(), bytes.size());
}
template <typename T>
std::span<const std::uint8_t> bytes_of(const T& value) {
  return {reinterpret_cast<const std::uint8_t*>(&value), sizeof value};
}

/// Everything that it draws is secret.
class SecretRng final : public Rng {
 public:
  void fill(std::span<std::uint8_t> out) override {
    system_rng().fill(out);
    make_secret(out);
  }
};

struct Seeds {
  ot::ReceiverSeeds receiver;
  ot::SenderSeeds sender;
};

Seeds transfer_seeds(ByteView nonce) {
  SecretRng rng;
  const ot::BaseOwner owner(rng);
  Bytes request;
  owner.request(request);
  make_public(request);
  Bytes reply;
  Seeds seeds;
  seeds.sender = ot::BaseChooser(request).reply(nonce, rng, reply);
  make_public(reply);
  seeds.receiver = owner.finish(nonce, reply);
  return seeds;
}

/// Whether the parties' shares add up; what they are is made public for that only.
bool compare(const Seeds& seeds, ByteView nonce) {
  constexpr std::size_t kCount = 130;
  const ComparisonShape shape{kCount, 21};
  WideVector x(kCount, 1);
  WideVector y(kCount, 1);
  std::vector<bool> expected;
  for (std::size_t j = 0; j < kCount; ++j) {
    x.set_int64(j, static_cast<std::int64_t>(j * 7919 % 2097152));
    y.set_int64(j, static_cast<std::int64_t>((j * j * 104729 + 3 * j) % 2097152));
    expected.push_back(x.to_int64(j) < y.to_int64(j));
  }
  for (const WideVector* values : {&x, &y}) {
    make_secret(
        {reinterpret_cast<const std::uint8_t*>(values->words().data()), values->words().size_bytes()});
  }
  SecretRng rng;
  ComparisonReceiver receiver(shape, x);
  ComparisonSender sender(shape, y);
  ot::ExtensionReceiver receiver_extension(seeds.receiver, nonce);
  ot::ExtensionSender sender_extension(seeds.sender, nonce);
  for (unsigned batch = 0; batch < shape.batches(); ++batch) {
    Bytes request;
    receiver.request(batch, receiver_extension, request);
    make_public(request);
    sender_extension.take_request(request, shape.transfers(batch));
    Bytes answer;
    sender.answer(batch, sender_extension, rng, answer);
    make_public(answer);
    receiver.receive(batch, receiver_extension, answer);
  }
  const std::vector<std::uint8_t> left = receiver.less();
  const std::vector<std::uint8_t> right = sender.less();
  make_public(left);
  make_public(right);
  bool right_everywhere = true;
  for (std::size_t j = 0; j < kCount; ++j) {
    right_everywhere = right_everywhere && ((left[j] ^ right[j]) == 1) == expected[j];
  }
  return right_everywhere;
}

}  // namespace
}  // namespace popcorn::protocols

int main(int argc, char** argv) {
  using namespace popcorn;
  if (argc > 1 && std::strcmp(argv[1], "leak") == 0) {  // that the test finds what it looks for
    unsigned char secret = 1;
    VALGRIND_MAKE_MEM_UNDEFINED(&secret, 1);
    if (secret != 0) std::puts("a branch on a secret");
    return 0;
  }
  const Bytes nonce(16, 5);
  const protocols::Seeds seeds = protocols::transfer_seeds(nonce);
  const bool right = protocols::compare(seeds, nonce);
  std::puts(right ? "right" : "WRONG");
  return right ? 0 : 1;
}
