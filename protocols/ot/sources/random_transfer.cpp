#include "protocols/ot/sources/random_transfer.h"

#include <algorithm>
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

  /// Appends the pads of `rows` ⊕ offset; transfers [index(), index() + count).
  void append(const Block* rows, std::size_t count, Block offset, std::uint64_t index,
              SecretVector<std::uint32_t>& out) {
    const std::size_t start = out.size();
    out.resize(start + count);
    for (std::size_t done = 0; done < count;) {
      const std::uint64_t at = index + done;
      const std::uint64_t period = at >> kLogRekey;
      if (key_ == nullptr || period != period_) {
        key_ = kernel_.key(Transcript("transfer pads").add(context_).add(period).block());
        period_ = period;
      }
      const std::uint64_t left = ((period + 1) << kLogRekey) - at;
      const std::size_t now = std::min<std::size_t>(count - done, left);
      kernel_.pads(*key_, rows + done, offset, at, now, out.data() + start + done);
      done += now;
    }
  }

 private:
  const kernels::Kernel& kernel_;
  Bytes context_;
  std::unique_ptr<kernels::AesKey> key_;
  std::uint64_t period_ = 0;
};

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
  for (const SilentParameters* set : {&kSilentB10, &kSilentB12}) {
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

struct RandomTransferSender::State {
  TransferSource source;
  Bytes context;
  Rng& rng;
  const kernels::Kernel& kernel;
  SoftSpokenSender bootstrap;
  bool set_up = false;
  std::uint64_t extensions = 0;
  std::optional<SilentSender> silent;
  PadMaker pads;
  SecretVector<std::uint32_t> zero;
  SecretVector<std::uint32_t> one;
  std::size_t read = 0;
  std::uint64_t made = 0;
  std::uint64_t taken = 0;

  State(TransferSource from, const ChosenSeeds& base, ByteView name, Rng& random, const kernels::Kernel& with)
      : source(from),
        context(name.begin(), name.end()),
        rng(random),
        kernel(with),
        bootstrap(base, name, with),
        pads(with, name) {}
  std::size_t stock() const noexcept { return zero.size(); }
  void begin_silent(const SilentParameters& parameters, const Block* base) {
    silent.emplace(parameters, labelled(context, parameters.name), bootstrap.delta(), base, rng, kernel);
  }
  void make_pads(const Block* rows, std::size_t count) {
    pads.append(rows, count, {}, made, zero);
    pads.append(rows, count, bootstrap.delta(), made, one);
    made += count;
  }
};

RandomTransferSender::RandomTransferSender(TransferSource source, const ChosenSeeds& base, ByteView context,
                                           Rng& rng, const kernels::Kernel& kernel)
    : state_(std::make_unique<State>(source, base, context, rng, kernel)) {}

RandomTransferSender::~RandomTransferSender() = default;

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

void RandomTransferSender::take(std::size_t count, std::uint32_t* zero, std::uint32_t* one) {
  State& state = *state_;
  if (count > ready()) throw Error("ot.not_ready", "more transfers were asked for than were reserved");
  std::copy_n(state.zero.begin() + static_cast<std::ptrdiff_t>(state.read), count, zero);
  std::copy_n(state.one.begin() + static_cast<std::ptrdiff_t>(state.read), count, one);
  state.read += count;
  state.taken += count;
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

Dialogue<void> next_batch(Wire& wire, SilentSender& sender, const RowSink& rows) {
  sender.trees(wire.out());
  const ByteView check = co_await wire.receive(kSilentCheckBytes);
  sender.prove(check, wire.out(), rows);
}

Dialogue<void> next_batch(Wire& wire, SilentReceiver& receiver, const RowSink& rows) {
  const ByteView corrections = co_await wire.receive(receiver.correction_bytes());
  receiver.check(corrections, wire.out());
  const ByteView proof = co_await wire.receive(kSilentProofBytes);
  receiver.accept(proof, rows);
}

/// Makes transfers until `count` stand in the half's state, whichever it is: extensions of the bootstrap, or
/// silent rounds that begin with b10's, whose base it gives, and go on with the wanted ones.
template <class State>
Dialogue<void> make_transfers(Wire& wire, State& state, std::size_t count) {
  const RowSink to_pads = [&state](const Block* rows, std::size_t n) { state.make_pads(rows, n); };
  while (state.stock() < count) {
    if (state.source.kind == TransferSource::Kind::softspoken) {
      BlockArray rows;
      const std::size_t wanted = std::min(kSourceGroups * kBaseTransfers, count - state.stock());
      co_await extend(wire, state.bootstrap, state.extensions, wanted, rows);
      state.make_pads(rows.data(), rows.size());
      continue;
    }
    if (!state.silent) {
      const SilentParameters& wanted = state.source.parameters;
      BlockArray base;
      co_await extend(wire, state.bootstrap, state.extensions, kSilentB10.base(), base);
      state.begin_silent(kSilentB10, base.data());
      if (wanted.name != kSilentB10.name) {
        SecretVector<Block> grown;
        const RowSink to_base = [&grown](const Block* rows, std::size_t n) {
          grown.insert(grown.end(), rows, rows + n);
        };
        while (grown.size() < wanted.base()) co_await next_batch(wire, *state.silent, to_base);
        state.begin_silent(wanted, grown.data());
      }
    }
    co_await next_batch(wire, *state.silent, to_pads);
  }
}

}  // namespace

Dialogue<void> RandomTransferSender::reserve(Wire& wire, std::size_t count) {
  State& state = *state_;
  drop_front(state.zero, state.read);
  drop_front(state.one, state.read);
  state.read = 0;
  if (state.zero.size() < count && !state.set_up) {
    const ByteView message = co_await wire.receive(softspoken::set_up_bytes());
    state.bootstrap.set_up(message);
    state.set_up = true;
  }
  co_await make_transfers(wire, state, count);
}

struct RandomTransferReceiver::State {
  TransferSource source;
  Bytes context;
  const kernels::Kernel& kernel;
  SoftSpokenReceiver bootstrap;
  bool set_up = false;
  std::uint64_t extensions = 0;
  std::optional<SilentReceiver> silent;
  PadMaker pads;
  SecretVector<std::uint32_t> pad;
  SecretVector<std::uint8_t> bit;
  std::size_t read = 0;
  std::uint64_t made = 0;
  std::uint64_t taken = 0;

  State(TransferSource from, const OfferedSeeds& base, ByteView name, Rng& random,
        const kernels::Kernel& with)
      : source(from),
        context(name.begin(), name.end()),
        kernel(with),
        bootstrap(base, name, draw_block(random), with),
        pads(with, name) {}
  std::size_t stock() const noexcept { return pad.size(); }
  void begin_silent(const SilentParameters& parameters, const Block* base) {
    silent.emplace(parameters, labelled(context, parameters.name), base, kernel);
  }
  void make_pads(const Block* rows, std::size_t count) {
    pads.append(rows, count, {}, made, pad);
    const std::size_t start = bit.size();
    bit.resize(start + count);
    for (std::size_t i = 0; i < count; ++i) bit[start + i] = static_cast<std::uint8_t>(rows[i].low & 1U);
    made += count;
  }
};

RandomTransferReceiver::RandomTransferReceiver(TransferSource source, const OfferedSeeds& base,
                                               ByteView context, Rng& rng, const kernels::Kernel& kernel)
    : state_(std::make_unique<State>(source, base, context, rng, kernel)) {}

RandomTransferReceiver::~RandomTransferReceiver() = default;

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

void RandomTransferReceiver::take(std::size_t count, std::uint32_t* pads, std::uint8_t* bits) {
  State& state = *state_;
  if (count > ready()) throw Error("ot.not_ready", "more transfers were asked for than were reserved");
  std::copy_n(state.pad.begin() + static_cast<std::ptrdiff_t>(state.read), count, pads);
  std::copy_n(state.bit.begin() + static_cast<std::ptrdiff_t>(state.read), count, bits);
  state.read += count;
  state.taken += count;
}

Dialogue<void> RandomTransferReceiver::reserve(Wire& wire, std::size_t count) {
  State& state = *state_;
  drop_front(state.bit, state.read);
  drop_front(state.pad, state.read);
  state.read = 0;
  if (state.pad.size() < count && !state.set_up) {
    state.bootstrap.set_up(wire.out());
    state.set_up = true;
  }
  co_await make_transfers(wire, state, count);
}

}  // namespace popcorn::protocols::ot
