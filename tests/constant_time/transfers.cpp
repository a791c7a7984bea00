// Runs both parties of the oblivious transfers, and of the steps on shares, with their secrets marked as
// undefined memory: under Valgrind's memcheck every branch and every address that depends on one is an error.
// Started by scripts/constant-time-test.
#include <valgrind/memcheck.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>
#include <memory>
#include <vector>

#include "base/wide_vector.h"
#include "protocols/ciphertext/sign/comparison.h"
#include "protocols/ot/sources/base_transfer.h"
#include "protocols/ot/sources/silent.h"
#include "protocols/ot/steps/local_parties.h"
#include "protocols/ot/steps/share_steps.h"
#include "protocols/ot/steps/transfer_session.h"

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
  ot::OfferedSeeds receiver;
  ot::ChosenSeeds sender;
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

/// Values of `bits` bits, the same for the same factor.
WideVector values(std::size_t count, unsigned bits, std::uint64_t factor) {
  WideVector result(count, WideVector::limbs_for_bits(bits));
  for (std::size_t j = 0; j < count; ++j) {
    for (unsigned k = 0; k < bits; ++k) {
      const std::uint64_t bit = ((j + 3) * factor >> ((k * 7 + j) % 40)) & 1U;
      result[j][k / 64] |= bit << (k % 64);
    }
  }
  return result;
}

/// Whether the parties' shares add up; what they are is made public for that only.
bool compare(const Seeds& seeds, ByteView nonce, unsigned bits) {
  constexpr std::size_t kCount = 70;
  const WideVector x = values(kCount, bits, 0x9e3779b97f4a7c15);
  const WideVector y = values(kCount, bits, 0xc2b2ae3d27d4eb4f);
  std::vector<bool> expected;
  for (std::size_t j = 0; j < kCount; ++j) expected.push_back(WideVector::compare(x, j, y, j) < 0);
  for (const WideVector* numbers : {&x, &y}) {
    make_secret(
        {reinterpret_cast<const std::uint8_t*>(numbers->words().data()), numbers->words().size_bytes()});
  }
  SecretRng rng;
  const ComparisonPlan plan(bits);
  std::array<Comparison, 2> halves = {Comparison(Comparison::Party::client, bits, x),
                                      Comparison(Comparison::Party::server, bits, y)};
  std::array<ot::TransferSession, 2> transfers = {ot::TransferSession(seeds.receiver, nonce),
                                                  ot::TransferSession(seeds.sender, nonce)};
  for (unsigned flight = 0; flight < plan.flights(); ++flight) {
    Bytes message;
    Comparison& maker = halves[flight % 2];
    maker.take(flight, transfers[flight % 2].answer(maker.tables(flight), rng, message));
    transfers[flight % 2].request(maker.choices(flight), message);
    make_public(message);
    halves[1 - flight % 2].take(flight,
                                transfers[1 - flight % 2].take(message, plan.requests(kCount, flight)));
  }
  const std::vector<std::uint8_t> left = halves[0].less();
  const std::vector<std::uint8_t> right = halves[1].less();
  make_public(left);
  make_public(right);
  bool right_everywhere = true;
  for (std::size_t j = 0; j < kCount; ++j) {
    right_everywhere = right_everywhere && ((left[j] ^ right[j]) == 1) == expected[j];
  }
  return right_everywhere;
}

/// One direction of random transfers whose base is secret but for the first choice.
struct Direction {
  explicit Direction(const char* context) : base(ot::deal_base(system_rng())) {
    make_secret(bytes_of(base.offered));
    make_secret(bytes_of(base.chosen));
    make_public(std::span(base.chosen.choices).first(1));
    const auto source = ot::TransferSource::named("softspoken");
    sender = std::make_unique<ot::RandomTransferSender>(source, base.chosen, as_bytes(context), rng);
    receiver = std::make_unique<ot::RandomTransferReceiver>(source, base.offered, as_bytes(context), rng);
  }
  SecretRng rng;
  ot::DealtBase base;
  std::unique_ptr<ot::RandomTransferSender> sender;
  std::unique_ptr<ot::RandomTransferReceiver> receiver;
};

/// A block whose lowest bit is public: Δ's is 1, y's is 0, and z's is a choice, which decides where the
/// receiver's trees have their hidden leaves, so addresses on its own machine.
void make_secret_but_lowest_bit([[maybe_unused]] ot::Block& block) {
  [[maybe_unused]] const std::array<std::uint64_t, 2> undefined = {~std::uint64_t{1}, ~std::uint64_t{0}};
  static_cast<void>(VALGRIND_SET_VBITS(&block, undefined.data(), sizeof block));
}

/// Whether a batch of silent transfers is right, both parties' secrets being secret but for the receiver's
/// choices. Of small trees: what depends on their size is the number of levels, not the code that runs.
bool silent() {
  constexpr ot::SilentParameters kSmall{"small", 64, 7, 8};
  SecretRng rng;
  ot::Block delta{system_rng().next_u64() | 1U, system_rng().next_u64()};
  std::vector<ot::Block> y(kSmall.base());
  std::vector<ot::Block> z;
  for (ot::Block& block : y) {
    block = {system_rng().next_u64() & ~std::uint64_t{1}, system_rng().next_u64()};
    z.push_back(system_rng().next_u64() % 2 == 1 ? block ^ delta : block);
  }
  const ot::Block correlation = delta;
  make_secret_but_lowest_bit(delta);
  for (auto* const rows : {&y, &z}) std::ranges::for_each(*rows, make_secret_but_lowest_bit);
  const ByteView name = as_bytes("silent");
  ot::SilentSender sender(kSmall, name, delta, y.data(), rng, ot::kernels::active());
  ot::SilentReceiver receiver(kSmall, name, z.data(), ot::kernels::active());
  std::array<std::vector<ot::Block>, 2> rows;
  const auto into = [&](std::size_t party) {
    return [&rows, party](const ot::Block* from, std::size_t count) {
      rows[party].insert(rows[party].end(), from, from + count);
    };
  };
  Bytes corrections, check, proof;
  sender.trees(corrections);
  make_public(corrections);
  receiver.check(corrections, check);
  make_public(check);
  sender.prove(check, proof, into(0));
  make_public(proof);
  receiver.accept(proof, into(1));
  for (const auto& some : rows)
    make_public({reinterpret_cast<const std::uint8_t*>(some.data()), some.size() * sizeof some[0]});
  bool right = rows[0].size() == 32 * kSmall.leaves() && rows[1].size() == rows[0].size();
  for (std::size_t i = 0; right && i < rows[0].size(); ++i)
    right = (rows[0][i] ^ rows[1][i]) == ((rows[1][i].low & 1U) != 0 ? correlation : ot::Block{});
  return right;
}

constexpr unsigned kRing = 12;
constexpr std::size_t kValues = 40;
const ot::TruncationShape kRelu{.ring = kRing, .groups = {{kValues, 4}}};
const ot::ValueShape kMaximum{.groups = {{kValues, kRing}}};

struct StepResults {
  ot::Words relu, truncated, largest;
};

ot::Dialogue<void> all_steps(ot::TransferParty& party, const ot::Words& x, const ot::Words& y,
                             StepResults& results) {
  ot::FlightLedger ledger;
  truncate_and_rectify(ledger, kRelu);
  truncate(ledger, kRelu);
  maximum(ledger, kMaximum);
  co_await reserve(party, ledger.transfers()[0], ledger.transfers()[1]);
  results.relu = co_await truncate_and_rectify(party, kRelu, x);
  results.truncated = co_await truncate(party, kRelu, x);
  results.largest = co_await maximum(party, kMaximum, x, y);
}

std::int64_t opened(const ot::Words& a, const ot::Words& b, std::size_t j, unsigned bits) {
  const std::int64_t x = (a[j] + b[j]) & ot::low_bits(bits);
  return x < 1 << (bits - 1) ? x : x - (1 << bits);
}

/// Whether the steps on shares are right, the shares being secret.
bool steps() {
  Direction forward("forward");
  Direction backward("backward");
  ot::Wire first_wire;
  ot::Wire second_wire;
  ot::TransferParty first{first_wire, *forward.sender, *backward.receiver, true};
  ot::TransferParty second{second_wire, *backward.sender, *forward.receiver, false};
  std::array<ot::Words, 4> shares;
  std::array<std::vector<std::int64_t>, 2> values;
  for (std::size_t j = 0; j < kValues; ++j) {
    for (std::size_t k = 0; k < 2; ++k) {
      values[k].push_back(static_cast<std::int64_t>(j * 1237 * (k + 1) % 1000) - 500);
      shares[2 * k].push_back(static_cast<std::uint32_t>(j * 2654435761U) & ot::low_bits(kRing));
      shares[2 * k + 1].push_back((static_cast<std::uint32_t>(values[k][j]) - shares[2 * k][j]) &
                                  ot::low_bits(kRing));
    }
  }
  for (const ot::Words& words : shares)
    make_secret({reinterpret_cast<const std::uint8_t*>(words.data()), words.size() * sizeof words[0]});
  std::array<StepResults, 2> results;
  ot::Half first_half(first_wire, all_steps(first, shares[0], shares[2], results[0]));
  ot::Half second_half(second_wire, all_steps(second, shares[1], shares[3], results[1]));
  ot::run_halves(first_half, second_half, [](bool, Bytes& flight) { make_public(flight); });
  for (const StepResults& some : results) {
    for (const ot::Words* words : {&some.relu, &some.truncated, &some.largest})
      make_public(
          {reinterpret_cast<const std::uint8_t*>(words->data()), words->size() * sizeof(std::uint32_t)});
  }
  bool right = true;
  for (std::size_t j = 0; j < kValues; ++j) {
    const std::int64_t truncated = (values[0][j] + 8) >> 4;
    right = right &&
            opened(results[0].relu, results[1].relu, j, kRing - 4) == std::max<std::int64_t>(0, truncated) &&
            opened(results[0].truncated, results[1].truncated, j, kRing - 4) == truncated &&
            opened(results[0].largest, results[1].largest, j, kRing) == std::max(values[0][j], values[1][j]);
  }
  return right;
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
  // A chain and a tree.
  const bool right = protocols::compare(seeds, nonce, 21) && protocols::compare(seeds, Bytes(16, 6), 90) &&
                     protocols::silent() && protocols::steps();
  std::puts(right ? "right" : "WRONG");
  return right ? 0 : 1;
}
