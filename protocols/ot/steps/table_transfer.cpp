#include "protocols/ot/steps/table_transfer.h"

#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "base/secret.h"
#include "base/secret_bytes.h"
#include "protocols/ot/bits/bit_planes.h"
#include "protocols/ot/bits/block_array.h"
#include "protocols/ot/sources/transcript.h"
#include "protocols/ot/steps/share_transfers.h"

namespace popcorn::protocols::ot {

namespace {

std::size_t transfers_of(std::span<const TableShape> shapes) {
  std::size_t count = 0;
  for (const TableShape& shape : shapes) count += shape.transfers();
  return count;
}

/// Groups of each extension of a request.
std::vector<std::size_t> parts_of(std::size_t groups) {
  std::vector<std::size_t> parts;
  for (; groups > 0; groups -= parts.back()) parts.push_back(std::min(groups, softspoken::kMaxGroups));
  return parts;
}

/// Streams of one extension of a request.
Bytes part_name(const FlightNonce& nonce, std::size_t part) {
  Bytes name(nonce.begin(), nonce.end());
  ByteWriter(name).u32(static_cast<std::uint32_t>(part));
  return name;
}

Sha256 request_digest(ByteView context, const FlightNonce& nonce, ByteView request) {
  return Transcript("table request").add(context).add(ByteView(nonce)).add(request).digest();
}

std::unique_ptr<kernels::AesKey> pad_key(const kernels::Kernel& kernel, const Sha256& request,
                                         const FlightNonce& answer) {
  return kernel.key(Transcript("table pads").add(ByteView(request)).add(ByteView(answer)).block());
}

Block base_seed(const Sha256& request, std::size_t index, Block row) {
  return Transcript("base transfers of the other direction")
      .add(ByteView(request))
      .add(index)
      .add(row)
      .block();
}

Block masked(Block value, std::uint32_t bit) {
  const std::uint64_t mask = 0 - std::uint64_t{bit};
  return {value.low & mask, value.high & mask};
}

std::vector<TableShape> shapes_of(std::span<const TableWords> tables) {
  std::vector<TableShape> shapes;
  shapes.reserve(tables.size());
  for (const TableWords& table : tables) shapes.push_back(table.shape);
  return shapes;
}

/// Planes of all entries but the first: those of bit k are [k·2^b + 1, (k + 1)·2^b).
template <typename Function>
void for_each_run(const TableShape& shape, Function&& function) {
  for (unsigned k = 0; k < shape.word_bits; ++k) function(k * shape.entries());
}

void check_shape(const TableShape& shape) {
  if (shape.choice_bits == 0 || shape.word_bits == 0 || shape.entries() * shape.word_bits > 32)
    throw Error("ot.shape", "a table of a transfer has more than 32 bits");
}

}  // namespace

std::size_t TableShape::answer_bytes() const noexcept {
  return std::size_t{entries() - 1} * word_bits * plane_bytes(count);
}

std::size_t request_bytes(std::span<const TableShape> shapes, bool base) {
  const std::size_t transfers = transfers_of(shapes);
  const std::size_t base_groups = base ? 1 : 0;
  return softspoken::extension_bytes(softspoken::groups_for(transfers) + base_groups) +
         plane_bytes(transfers) + base_groups * kBaseTransfers / 8;
}

std::size_t answer_bytes(std::span<const TableShape> shapes) {
  std::size_t bytes = 0;
  for (const TableShape& shape : shapes) bytes += shape.answer_bytes();
  return bytes;
}

struct TableReceiver::State {
  Bytes context;
  const kernels::Kernel& kernel;
  SoftSpokenReceiver extension;
  BlockArray rows;
  std::vector<TableWords> choices;
  Sha256 digest{};

  State(const OfferedSeeds& base, ByteView name)
      : context(name.begin(), name.end()),
        kernel(kernels::active()),
        extension(base, name,
                  Transcript("roots of a session")
                      .add({reinterpret_cast<const std::uint8_t*>(&base), sizeof base})
                      .add(name)
                      .block(),
                  kernel) {}
  ~State() { forget(); }
  void forget() {
    for (TableWords& table : choices) wipe_and_clear(table.words);
    choices.clear();
    rows = {};
  }

  /// Makes rows, and appends the extension and the corrections. @param bits the choice of every transfer
  void extend(const FlightNonce& nonce, std::span<const std::uint8_t> bits,
              std::span<const std::uint8_t> base_bits, Bytes& out) {
    const std::size_t start = out.size();
    const std::size_t groups = softspoken::groups_for(bits.size()) + softspoken::groups_for(base_bits.size());
    rows = BlockArray(groups * kBaseTransfers);
    std::size_t done = 0;
    std::size_t number = 0;
    for (const std::size_t part : parts_of(groups)) {
      extension.extend(part_name(nonce, number++), part, rows.data() + done * kBaseTransfers, out);
      done += part;
    }
    put_corrections(bits, rows.data(), out);
    put_corrections(base_bits, rows.data() + softspoken::groups_for(bits.size()) * kBaseTransfers, out);
    digest = request_digest(context, nonce, ByteView(out).subspan(start));
    POPCORN_DECLASSIFY(digest);  // of what is sent
  }

  static void put_corrections(std::span<const std::uint8_t> bits, const Block* of, Bytes& out) {
    const std::size_t start = out.size();
    out.resize(start + plane_bytes(bits.size()));
    for (std::size_t i = 0; i < bits.size(); ++i) {
      const unsigned correction = (bits[i] ^ static_cast<unsigned>(of[i].low)) & 1U;
      std::uint8_t& byte = out[start + i / 8];
      byte = static_cast<std::uint8_t>(byte | (correction << (i % 8)));
    }
  }

  static SecretVector<std::uint8_t> bits_of(std::span<const TableWords> tables) {
    SecretVector<std::uint8_t> bits;
    bits.reserve(transfers_of(shapes_of(tables)));
    for (const TableWords& table : tables) {
      check_shape(table.shape);
      for (unsigned i = 0; i < table.shape.choice_bits; ++i) {
        for (const std::uint32_t word : table.words) bits.push_back((word >> i) & 1U);
      }
    }
    return bits;
  }
};

TableReceiver::TableReceiver(const OfferedSeeds& base, ByteView context)
    : state_(std::make_unique<State>(base, context)) {}
TableReceiver::~TableReceiver() = default;

void TableReceiver::set_up(Bytes& out) {
  state_->extension.set_up(out);
}

void TableReceiver::rebuild() {
  state_->extension.rebuild();
}

void TableReceiver::request(const FlightNonce& nonce, std::span<const TableWords> choices, Bytes& out,
                            ChosenSeeds* base) {
  State& state = *state_;
  state.forget();
  const SecretVector<std::uint8_t> bits = State::bits_of(choices);
  std::span<const std::uint8_t> base_bits;
  if (base != nullptr) base_bits = base->choices;
  state.extend(nonce, bits, base_bits, out);
  const Block* const rows = state.rows.data() + softspoken::groups_for(bits.size()) * kBaseTransfers;
  for (std::size_t i = 0; i < base_bits.size(); ++i) base->seeds[i] = base_seed(state.digest, i, rows[i]);
  state.choices.assign(choices.begin(), choices.end());
}

std::vector<Words> TableReceiver::receive(const FlightNonce& nonce, ByteView answer) {
  State& state = *state_;
  const auto key = pad_key(state.kernel, state.digest, nonce);
  std::vector<Words> results;
  std::size_t at = 0;
  for (const TableWords& table : state.choices) {
    const TableShape& shape = table.shape;
    Words sum(shape.count);
    Words pads(shape.count);
    for (unsigned i = 0; i < shape.choice_bits; ++i, at += shape.count) {
      state.kernel.pads(*key, state.rows.data() + at, {}, at, shape.count, pads.data());
      for (std::size_t j = 0; j < shape.count; ++j) sum[j] ^= pads[j];
    }
    Words entries(shape.count);
    for_each_run(shape, [&](unsigned first) {
      const std::size_t bytes = std::size_t{shape.entries() - 1} * plane_bytes(shape.count);
      get_planes(answer.first(bytes), first + 1, first + shape.entries(), entries);
      answer = answer.subspan(bytes);
    });
    Words& result = results.emplace_back(shape.count);
    for (std::size_t j = 0; j < shape.count; ++j) {
      const std::uint32_t chosen = (entries[j] ^ sum[j]) >> (table.words[j] & (shape.entries() - 1));
      for (unsigned k = 0; k < shape.word_bits; ++k)
        result[j] |= ((chosen >> (k * shape.entries())) & 1U) << k;
    }
    wipe_and_clear(sum);
    wipe_and_clear(pads);
  }
  state.forget();
  return results;
}

struct TableSender::State {
  Bytes context;
  const kernels::Kernel& kernel;
  SoftSpokenSender extension;
  BlockArray rows;
  std::vector<TableShape> shapes;
  Sha256 digest{};

  State(const ChosenSeeds& base, ByteView name)
      : context(name.begin(), name.end()), kernel(kernels::active()), extension(base, name, kernel) {}

  /// y ⊕ d·Δ. @param corrections d
  void correct(ByteView corrections, std::size_t count, Block* of) const {
    const Block delta = extension.delta();
    for (std::size_t i = 0; i < count; ++i) of[i] ^= masked(delta, (corrections[i / 8] >> (i % 8)) & 1U);
  }

  /// Pads of every entry of the tables whose transfers begin at `at`.
  Words pads(const kernels::AesKey& key, const TableShape& shape, std::size_t at) const {
    Words masks(shape.count);
    Words zero(shape.count);
    Words one(shape.count);
    for (unsigned i = 0; i < shape.choice_bits; ++i, at += shape.count) {
      kernel.pads(key, rows.data() + at, {}, at, shape.count, zero.data());
      kernel.pads(key, rows.data() + at, extension.delta(), at, shape.count, one.data());
      for (std::size_t j = 0; j < shape.count; ++j) masks[j] ^= zero[j] ^ ((zero[j] ^ one[j]) & kSelect[i]);
    }
    wipe_and_clear(zero);
    wipe_and_clear(one);
    return masks;
  }
};

TableSender::TableSender(const ChosenSeeds& base, ByteView context)
    : state_(std::make_unique<State>(base, context)) {}
TableSender::~TableSender() = default;

void TableSender::set_up(ByteView message) {
  state_->extension.set_up(message);
}

void TableSender::rebuild(ByteView message) {
  state_->extension.rebuild(message);
}

void TableSender::take_request(const FlightNonce& nonce, ByteView request, std::span<const TableShape> shapes,
                               OfferedSeeds* base) {
  State& state = *state_;
  const std::size_t count = transfers_of(shapes);
  const std::size_t groups = softspoken::groups_for(count) + (base != nullptr ? 1 : 0);
  state.digest = request_digest(state.context, nonce, request);
  state.rows = BlockArray(groups * kBaseTransfers);
  state.shapes.assign(shapes.begin(), shapes.end());
  std::size_t done = 0;
  std::size_t number = 0;
  for (const std::size_t part : parts_of(groups)) {
    const std::size_t bytes = softspoken::extend_bytes(part);
    state.extension.extend(part_name(nonce, number++), part, request.first(bytes),
                           state.rows.data() + done * kBaseTransfers);
    request = request.subspan(bytes);
    done += part;
  }
  state.correct(request.first(plane_bytes(count)), count, state.rows.data());
  if (base == nullptr) return;
  Block* const rows = state.rows.data() + softspoken::groups_for(count) * kBaseTransfers;
  state.correct(request.subspan(plane_bytes(count)), kBaseTransfers, rows);
  for (std::size_t i = 0; i < kBaseTransfers; ++i) {
    base->pairs[i] = {base_seed(state.digest, i, rows[i]),
                      base_seed(state.digest, i, rows[i] ^ state.extension.delta())};
  }
}

std::vector<Words> TableSender::answer(const FlightNonce& nonce, std::span<const TableWords> tables,
                                       Bytes& out) {
  State& state = *state_;
  if (tables.size() != state.shapes.size())
    throw Error("ot.shape", "the tables of an answer are not those asked for");
  const auto key = pad_key(state.kernel, state.digest, nonce);
  std::vector<Words> shares;
  std::size_t at = 0;
  for (const TableWords& table : tables) {
    const TableShape& shape = table.shape;
    check_shape(shape);
    Words masks = state.pads(*key, shape, at);
    at += shape.transfers();
    Words& share = shares.emplace_back(shape.count);
    for (std::size_t j = 0; j < shape.count; ++j) {
      std::uint32_t entries = table.words[j] ^ masks[j];
      for (unsigned k = 0; k < shape.word_bits; ++k) {
        const std::uint32_t first = (entries >> (k * shape.entries())) & 1U;
        share[j] |= first << k;
        entries ^= (0 - first) & (low_bits(shape.entries()) << (k * shape.entries()));
      }
      masks[j] = entries;
    }
    for_each_run(shape, [&](unsigned first) { put_planes(masks, first + 1, first + shape.entries(), out); });
  }
  state.rows = {};
  state.shapes.clear();
  return shares;
}

}  // namespace popcorn::protocols::ot
