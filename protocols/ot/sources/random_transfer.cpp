#include "protocols/ot/sources/random_transfer.h"

#include <algorithm>
#include <map>
#include <optional>
#include <string>

#include "base/error.h"
#include "base/secret_bytes.h"
#include "protocols/ot/sources/transcript.h"

namespace popcorn::protocols::ot {

namespace {

constexpr unsigned kLogRekey = 22;
/// Groups of 128 of one SoftSpoken extension when it is the source: at most.
constexpr std::size_t kSourceGroups = 256;

/// From so many on b13 is worth its tables of 8 MiB in place of 4: a third more time a transfer where they do
/// not fit in a cache, half the bytes.
constexpr std::uint64_t kManyTransfers = std::uint64_t{1} << 24;

Bytes labelled(ByteView context, std::string_view label) {
  Bytes result(context.begin(), context.end());
  const ByteView text = as_bytes(label);
  result.insert(result.end(), text.begin(), text.end());
  return result;
}

template <class T>
void drop_front(SecretVector<T>& values, std::size_t count) {
  values.erase(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(count));
}

/// Pads of consecutive transfers, re-keyed.
class PadMaker {
 public:
  PadMaker(const kernels::Kernel& kernel, ByteView context)
      : kernel_(kernel), context_(context.begin(), context.end()) {}

  /// Makes ready for transfers [index, index + count).
  void prepare(std::uint64_t index, std::size_t count) {
    if (count == 0) return;
    keys_.erase(keys_.begin(), keys_.lower_bound(index >> kLogRekey));
    for (std::uint64_t period = index >> kLogRekey; period <= (index + count - 1) >> kLogRekey; ++period) {
      if (keys_.contains(period)) continue;
      keys_[period] = kernel_.key(Transcript("transfer pads").add(context_).add(period).block());
    }
  }

  /// The pads of `rows` ⊕ offset, of transfers from `index` on that prepare() knows.
  void make(const Block* rows, std::size_t count, Block offset, std::uint64_t index,
            std::uint32_t* out) const {
    for (std::size_t done = 0; done < count;) {
      const std::uint64_t at = index + done;
      const std::uint64_t period = at >> kLogRekey;
      const std::size_t now = std::min<std::uint64_t>(count - done, ((period + 1) << kLogRekey) - at);
      kernel_.pads(*keys_.at(period), rows + done, offset, at, now, out + done);
      done += now;
    }
  }

 private:
  const kernels::Kernel& kernel_;
  Bytes context_;
  std::map<std::uint64_t, std::unique_ptr<kernels::AesKey>> keys_;  ///< by period
};

[[noreturn]] void fail_not_ready() {
  throw Error("ot.not_ready", "more transfers were asked for than were reserved");
}

Block draw_block(Rng& rng) {
  Block block;
  rng.fill({reinterpret_cast<std::uint8_t*>(&block), sizeof block});
  return block;
}

}  // namespace

TransferSource TransferSource::named(std::string_view name) {
  if (name == "softspoken") return {Kind::softspoken, kSilentB12};
  return {Kind::silent, silent_parameters_named(name)};
}

TransferSource TransferSource::for_transfers(std::uint64_t count) noexcept {
  TransferSource best{Kind::softspoken, kSilentB12};
  for (const SilentParameters* set : {&kSilentB10, &kSilentB12, &kSilentB13}) {
    if (set == &kSilentB13 && count < kManyTransfers) break;
    const TransferSource silent{Kind::silent, *set};
    if (silent.bytes(count) < best.bytes(count)) best = silent;
  }
  return best;
}

std::uint64_t TransferSource::bytes(std::uint64_t count) const noexcept {
  if (count == 0) return 0;
  const std::uint64_t set_up = softspoken::set_up_bytes();
  if (kind == Kind::softspoken)
    return set_up + softspoken::extension_bytes(softspoken::groups_for(count), kSourceGroups);
  const std::uint64_t base = set_up + softspoken::extension_bytes(softspoken::groups_for(kSilentB10.base()));
  const bool grows = parameters.name != kSilentB10.name;
  return base + (grows ? kSilentB10.bytes_for(parameters.base()) : 0) + parameters.bytes_for(count);
}

std::size_t TransferSource::beyond() const noexcept {
  return kind == Kind::softspoken ? kBaseTransfers : kTreesTogether * parameters.leaves();
}

struct RandomTransferSender::State {
  TransferSource source;
  Bytes context;
  Rng* rng = nullptr;
  const kernels::Kernel& kernel;
  std::optional<SoftSpokenSender> bootstrap;  ///< of a half that makes transfers
  bool set_up = false;
  std::uint64_t extensions = 0;
  std::optional<SilentSender> silent;
  PadMaker pads;
  SecretVector<std::uint32_t> zero;
  SecretVector<std::uint32_t> one;
  std::size_t read = 0;
  std::size_t first_new = 0;  ///< of the pads that were begun last
  std::uint64_t made = 0;
  std::uint64_t taken = 0;

  State(TransferSource from, const ChosenSeeds& base, ByteView name, Rng& random, const kernels::Kernel& with)
      : source(from),
        context(name.begin(), name.end()),
        rng(&random),
        kernel(with),
        bootstrap(std::in_place, base, name, with),
        pads(with, name) {}
  explicit State(SentPads kept)
      : kernel(kernels::active()), pads(kernel, {}), zero(std::move(kept.zero)), one(std::move(kept.one)) {}
  std::size_t stock() const noexcept { return zero.size(); }
  void drop_taken(std::size_t count) {
    drop_front(zero, read);
    drop_front(one, read);
    read = 0;
    if (stock() >= count) return;
    zero.reserve(count + source.beyond());
    one.reserve(count + source.beyond());
  }
  Dialogue<void> set_up_for(Wire& wire, std::size_t count) {
    if (stock() >= count || set_up) co_return;
    if (!bootstrap) fail_not_ready();
    const ByteView message = co_await wire.receive(softspoken::set_up_bytes());
    bootstrap->set_up(message);
    set_up = true;
  }
  void begin_silent(const SilentParameters& parameters, const Block* base) {
    silent.emplace(parameters, labelled(context, parameters.name), bootstrap->delta(), base, *rng, kernel);
  }
  void begin_pads(std::size_t count) {
    first_new = zero.size();
    zero.resize(first_new + count);
    one.resize(first_new + count);
    pads.prepare(made, count);
    made += count;
  }
  void put_pads(const Block* rows, std::size_t first, std::size_t count) {
    const std::uint64_t index = made - (zero.size() - first_new) + first;
    pads.make(rows, count, {}, index, zero.data() + first_new + first);
    pads.make(rows, count, bootstrap->delta(), index, one.data() + first_new + first);
  }
};

RandomTransferSender::RandomTransferSender(TransferSource source, const ChosenSeeds& base, ByteView context,
                                           Rng& rng, const kernels::Kernel& kernel)
    : state_(std::make_unique<State>(source, base, context, rng, kernel)) {}

RandomTransferSender::RandomTransferSender(SentPads kept)
    : state_(std::make_unique<State>(std::move(kept))) {}

RandomTransferSender::~RandomTransferSender() = default;

SentPads RandomTransferSender::release(std::size_t count) {
  State& state = *state_;
  if (count > ready()) fail_not_ready();
  drop_front(state.zero, state.read);
  drop_front(state.one, state.read);
  state.read = 0;
  SentPads released{std::exchange(state.zero, {}), std::exchange(state.one, {})};
  released.zero.resize(count);
  released.one.resize(count);
  return released;
}

std::size_t RandomTransferSender::ready() const noexcept {
  return state_->zero.size() - state_->read;
}

std::uint64_t RandomTransferSender::taken() const noexcept {
  return state_->taken;
}

std::size_t RandomTransferSender::memory_bytes() const noexcept {
  const State& state = *state_;
  return (state.silent ? state.silent->memory_bytes() : 0) +
         (state.zero.capacity() + state.one.capacity()) * 4;
}

SentTransfers RandomTransferSender::take(std::size_t count) {
  State& state = *state_;
  if (count > ready()) fail_not_ready();
  const SentTransfers taken{state.zero.data() + state.read, state.one.data() + state.read};
  state.read += count;
  state.taken += count;
  return taken;
}

void RandomTransferSender::take(std::size_t count, std::uint32_t* zero, std::uint32_t* one) {
  const SentTransfers taken = take(count);
  std::copy_n(taken.zero, count, zero);
  std::copy_n(taken.one, count, one);
}

namespace {

/// Extensions of the bootstrap are numbered.
Bytes extension_name(std::uint64_t number) {
  Bytes name;
  ByteWriter(name).u64(number);
  return name;
}

/// `count` rows of the bootstrap. @param number of the next extension
Dialogue<void> extend(Wire& wire, SoftSpokenSender& sender, std::uint64_t& number, std::size_t count,
                      BlockArray& rows) {
  const std::size_t groups = softspoken::groups_for(count);
  rows = BlockArray(groups * kBaseTransfers);
  for (std::size_t done = 0; done < groups;) {
    const std::size_t now = std::min(softspoken::kMaxGroups, groups - done);
    const ByteView message = co_await wire.receive(softspoken::extend_bytes(now));
    sender.extend(extension_name(number++), now, message, rows.data() + done * kBaseTransfers);
    done += now;
  }
}

Dialogue<void> extend(Wire& wire, SoftSpokenReceiver& receiver, std::uint64_t& number, std::size_t count,
                      BlockArray& rows) {
  const std::size_t groups = softspoken::groups_for(count);
  rows = BlockArray(groups * kBaseTransfers);
  for (std::size_t done = 0; done < groups;) {
    const std::size_t now = std::min(softspoken::kMaxGroups, groups - done);
    receiver.extend(extension_name(number++), now, rows.data() + done * kBaseTransfers, wire.out());
    done += now;
  }
  co_return;
}

Dialogue<void> next_batch(Wire& wire, SilentSender& sender, RowSink& rows) {
  sender.trees(wire.out());
  const ByteView check = co_await wire.receive(kSilentCheckBytes);
  sender.prove(check, wire.out(), rows);
}

Dialogue<void> next_batch(Wire& wire, SilentReceiver& receiver, RowSink& rows) {
  const ByteView corrections = co_await wire.receive(receiver.correction_bytes());
  receiver.check(corrections, wire.out());
  const ByteView proof = co_await wire.receive(kSilentProofBytes);
  receiver.accept(proof, rows);
}

/// Makes a half's pads of rows.
template <class State>
class ToPads final : public RowSink {
 public:
  explicit ToPads(State& state) : state_(state) {}
  void begin(std::size_t count) override { state_.begin_pads(count); }
  void put(const Block* rows, std::size_t first, std::size_t count) override {
    state_.put_pads(rows, first, count);
  }

 private:
  State& state_;
};

/// Keeps rows.
class ToBase final : public RowSink {
 public:
  void begin(std::size_t count) override {
    first_new_ = rows.size();
    rows.resize(first_new_ + count);
  }
  void put(const Block* from, std::size_t first, std::size_t count) override {
    std::copy_n(from, count, rows.data() + first_new_ + first);
  }
  SecretVector<Block> rows;

 private:
  std::size_t first_new_ = 0;
};

/// What silent rounds need before their first, or where extensions of the bootstrap are the source those
/// until `count` transfers stand. Rounds begin with b10's, whose base the bootstrap gives, until the wanted
/// ones have theirs.
template <class State>
Dialogue<void> begin_transfers(Wire& wire, State& state, std::size_t count) {
  if (state.source.kind == TransferSource::Kind::softspoken) {
    while (state.stock() < count) {
      BlockArray rows;
      const std::size_t wanted = std::min(kSourceGroups * kBaseTransfers, count - state.stock());
      co_await extend(wire, *state.bootstrap, state.extensions, wanted, rows);
      state.begin_pads(rows.size());
      state.put_pads(rows.data(), 0, rows.size());
    }
    co_return;
  }
  if (state.silent || state.stock() >= count) co_return;
  const SilentParameters& wanted = state.source.parameters;
  BlockArray base;
  co_await extend(wire, *state.bootstrap, state.extensions, kSilentB10.base(), base);
  state.begin_silent(kSilentB10, base.data());
  if (wanted.name == kSilentB10.name) co_return;
  ToBase grown;
  while (grown.rows.size() < wanted.base()) {
    state.silent->plan_batch(wanted.base() - grown.rows.size());
    co_await next_batch(wire, *state.silent, grown);
  }
  state.begin_silent(wanted, grown.rows.data());
}

/// Whether a silent batch has to be made, which it plans.
template <class State>
bool lacks(State& state, std::size_t count) {
  if (state.stock() >= count) return false;
  state.silent->plan_batch(count - state.stock());
  return true;
}

template <class State>
Dialogue<void> make_transfers(Wire& wire, State& state, std::size_t count) {
  state.drop_taken(count);
  co_await state.set_up_for(wire, count);
  co_await begin_transfers(wire, state, count);
  ToPads<State> pads(state);
  while (lacks(state, count)) co_await next_batch(wire, *state.silent, pads);
}

}  // namespace

Dialogue<void> RandomTransferSender::reserve(Wire& wire, std::size_t count) {
  co_await make_transfers(wire, *state_, count);
}

struct RandomTransferReceiver::State {
  TransferSource source;
  Bytes context;
  const kernels::Kernel& kernel;
  std::optional<SoftSpokenReceiver> bootstrap;  ///< of a half that makes transfers
  bool set_up = false;
  std::uint64_t extensions = 0;
  std::optional<SilentReceiver> silent;
  PadMaker pads;
  SecretVector<std::uint32_t> pad;
  SecretVector<std::uint8_t> bit;
  std::size_t read = 0;
  std::size_t first_new = 0;  ///< of the pads that were begun last
  std::uint64_t made = 0;
  std::uint64_t taken = 0;

  State(TransferSource from, const OfferedSeeds& base, ByteView name, Rng& random,
        const kernels::Kernel& with)
      : source(from),
        context(name.begin(), name.end()),
        kernel(with),
        bootstrap(std::in_place, base, name, draw_block(random), with),
        pads(with, name) {}
  explicit State(ReceivedPads kept)
      : kernel(kernels::active()), pads(kernel, {}), pad(std::move(kept.pads)), bit(std::move(kept.bits)) {}
  std::size_t stock() const noexcept { return pad.size(); }
  void drop_taken(std::size_t count) {
    drop_front(bit, read);
    drop_front(pad, read);
    read = 0;
    if (stock() >= count) return;
    bit.reserve(count + source.beyond());
    pad.reserve(count + source.beyond());
  }
  Dialogue<void> set_up_for(Wire& wire, std::size_t count) {
    if (stock() >= count || set_up) co_return;
    if (!bootstrap) fail_not_ready();
    bootstrap->set_up(wire.out());
    set_up = true;
  }
  void begin_silent(const SilentParameters& parameters, const Block* base) {
    silent.emplace(parameters, labelled(context, parameters.name), base, kernel);
  }
  void begin_pads(std::size_t count) {
    first_new = pad.size();
    pad.resize(first_new + count);
    bit.resize(first_new + count);
    pads.prepare(made, count);
    made += count;
  }
  void put_pads(const Block* rows, std::size_t first, std::size_t count) {
    const std::uint64_t index = made - (pad.size() - first_new) + first;
    pads.make(rows, count, {}, index, pad.data() + first_new + first);
    std::uint8_t* const bits = bit.data() + first_new + first;
    for (std::size_t i = 0; i < count; ++i) bits[i] = static_cast<std::uint8_t>(rows[i].low & 1U);
  }
};

RandomTransferReceiver::RandomTransferReceiver(TransferSource source, const OfferedSeeds& base,
                                               ByteView context, Rng& rng, const kernels::Kernel& kernel)
    : state_(std::make_unique<State>(source, base, context, rng, kernel)) {}

RandomTransferReceiver::RandomTransferReceiver(ReceivedPads kept)
    : state_(std::make_unique<State>(std::move(kept))) {}

RandomTransferReceiver::~RandomTransferReceiver() = default;

ReceivedPads RandomTransferReceiver::release(std::size_t count) {
  State& state = *state_;
  if (count > ready()) fail_not_ready();
  drop_front(state.pad, state.read);
  drop_front(state.bit, state.read);
  state.read = 0;
  ReceivedPads released{std::exchange(state.pad, {}), std::exchange(state.bit, {})};
  released.pads.resize(count);
  released.bits.resize(count);
  return released;
}

std::size_t RandomTransferReceiver::ready() const noexcept {
  return state_->pad.size() - state_->read;
}

std::uint64_t RandomTransferReceiver::taken() const noexcept {
  return state_->taken;
}

std::size_t RandomTransferReceiver::memory_bytes() const noexcept {
  const State& state = *state_;
  return (state.silent ? state.silent->memory_bytes() : 0) + state.pad.capacity() * 4 + state.bit.capacity();
}

ReceivedTransfers RandomTransferReceiver::take(std::size_t count) {
  State& state = *state_;
  if (count > ready()) fail_not_ready();
  const ReceivedTransfers taken{state.pad.data() + state.read, state.bit.data() + state.read};
  state.read += count;
  state.taken += count;
  return taken;
}

void RandomTransferReceiver::take(std::size_t count, std::uint32_t* pads, std::uint8_t* bits) {
  const ReceivedTransfers taken = take(count);
  std::copy_n(taken.pads, count, pads);
  std::copy_n(taken.bits, count, bits);
}

Dialogue<void> RandomTransferReceiver::reserve(Wire& wire, std::size_t count) {
  co_await make_transfers(wire, *state_, count);
}

namespace {

/// The batches of both halves of one party; the two parties' turns lie half a flight apart.
template <class Sending, class Receiving>
class BothHalves {
 public:
  BothHalves(Wire& wire, Sending& sending, std::size_t to_send, Receiving& receiving, std::size_t to_receive)
      : wire_(wire),
        sending_(sending),
        to_send_(to_send),
        receiving_(receiving),
        to_receive_(to_receive),
        sent_pads_(sending),
        received_pads_(receiving),
        sends_(lacks(sending, to_send)),
        receives_(lacks(receiving, to_receive)) {}

  Dialogue<void> as_first() {
    begin_sent();
    while (sends_ || receives_) {
      co_await prove();
      co_await check();
      begin_sent();
      co_await accept();
    }
  }

  Dialogue<void> as_second() {
    while (sends_ || receives_) {
      co_await check();
      begin_sent();
      co_await accept();
      co_await prove();
    }
  }

 private:
  void begin_sent() {
    if (sends_) sending_.silent->trees(wire_.out());
  }
  Dialogue<void> prove() {
    if (!sends_) co_return;
    const ByteView message = co_await wire_.receive(kSilentCheckBytes);
    sending_.silent->prove(message, wire_.out(), sent_pads_);
    sends_ = lacks(sending_, to_send_);
  }
  Dialogue<void> check() {
    if (!receives_) co_return;
    const ByteView corrections = co_await wire_.receive(receiving_.silent->correction_bytes());
    receiving_.silent->check(corrections, wire_.out());
  }
  Dialogue<void> accept() {
    if (!receives_) co_return;
    const ByteView proof = co_await wire_.receive(kSilentProofBytes);
    receiving_.silent->accept(proof, received_pads_);
    receives_ = lacks(receiving_, to_receive_);
  }

  Wire& wire_;
  Sending& sending_;
  std::size_t to_send_;
  Receiving& receiving_;
  std::size_t to_receive_;
  ToPads<Sending> sent_pads_;
  ToPads<Receiving> received_pads_;
  bool sends_, receives_;
};

}  // namespace

Dialogue<void> reserve_both(Wire& wire, RandomTransferSender& sender, std::size_t to_send,
                            RandomTransferReceiver& receiver, std::size_t to_receive, bool first) {
  auto& sending = *sender.state_;
  auto& receiving = *receiver.state_;
  sending.drop_taken(to_send);
  receiving.drop_taken(to_receive);
  // What the second party sends first comes first.
  if (!first) co_await receiving.set_up_for(wire, to_receive);
  co_await sending.set_up_for(wire, to_send);
  if (first) co_await receiving.set_up_for(wire, to_receive);
  if (!first) co_await begin_transfers(wire, receiving, to_receive);
  co_await begin_transfers(wire, sending, to_send);
  if (first) co_await begin_transfers(wire, receiving, to_receive);
  BothHalves halves(wire, sending, to_send, receiving, to_receive);
  if (first) {
    co_await halves.as_first();
  } else {
    co_await halves.as_second();
  }
}

}  // namespace popcorn::protocols::ot
