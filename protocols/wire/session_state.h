// The bytes of a session between two of its messages: what a session store or a client's session file keeps,
// so that another process can go on.
//
// The layout follows from the model, the key size, the sign test and the round, which both sides know: there
// are hardly any lengths in it, and a reader takes exactly what must be there. The bytes hold the session's
// secrets (masks, flips, transfer seeds): whoever keeps them protects them, and wipes them from memory.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/wide_vector.h"
#include "paillier/evaluator.h"

namespace popcorn::protocols {

/// Raised with every change of the layout; a reader takes its own version only.
inline constexpr std::uint16_t kSessionStateVersion = 3;

class StateWriter {
 public:
  /// Appends to `out`. The references must outlive the object.
  StateWriter(const paillier::Evaluator& evaluator, Bytes& out)
      : evaluator_(&evaluator), writer_(out), out_(out) {}
  /// Of a client's session: everything but ciphertexts().
  explicit StateWriter(Bytes& out) : evaluator_(nullptr), writer_(out), out_(out) {}

  void u8(std::uint8_t value) { writer_.u8(value); }
  void u16(std::uint16_t value) { writer_.u16(value); }
  void u32(std::uint32_t value) { writer_.u32(value); }
  void u64(std::uint64_t value) { writer_.u64(value); }
  void bytes(ByteView value) { writer_.bytes(value); }
  void places(std::span<const std::uint32_t> values);
  /// All words of all values.
  void integers(const WideVector& values);
  /// One multiplication each.
  void ciphertexts(const paillier::CiphertextBatch& batch) { evaluator_->serialise(batch, out_); }

 private:
  const paillier::Evaluator* evaluator_;
  ByteWriter writer_;
  Bytes& out_;
};

/// Every method throws InputError "session_state.*" when the bytes are not what is asked for.
class StateReader {
 public:
  StateReader(const paillier::Evaluator& evaluator, ByteView bytes)
      : evaluator_(&evaluator), reader_(bytes, "session_state") {}
  /// Of a client's session: everything but ciphertexts().
  explicit StateReader(ByteView bytes) : evaluator_(nullptr), reader_(bytes, "session_state") {}

  std::uint8_t u8() { return reader_.u8(); }
  std::uint16_t u16() { return reader_.u16(); }
  std::uint32_t u32() { return reader_.u32(); }
  std::uint64_t u64() { return reader_.u64(); }
  ByteView bytes(std::size_t count) { return reader_.bytes(count); }
  /// As StateWriter::places() wrote them: any words.
  void places(std::span<std::uint32_t> values);
  /// 0 or 1.
  bool flag();
  /// One a byte, each at most `largest`.
  std::vector<std::uint8_t> small_values(std::size_t count, std::uint8_t largest);
  /// A permutation of 0 … count − 1.
  std::vector<std::uint32_t> permutation(std::size_t count);
  /// Integers in [0, 2^bits), as wide as draw_integers() makes them.
  WideVector integers(std::size_t count, unsigned bits);
  /// Three multiplications each.
  paillier::CiphertextBatch ciphertexts(std::size_t count);
  void expect_end() const { reader_.expect_end(); }

  [[noreturn]] static void reject(const std::string& what);

 private:
  const paillier::Evaluator* evaluator_;
  ByteReader reader_;
};

}  // namespace popcorn::protocols
