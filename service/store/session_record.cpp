#include "service/store/session_record.h"

#include "base/error.h"
#include "protocols/wire/limits.h"

namespace popcorn::service {
namespace {

/// Sessions of the first engine say nothing of it, as those from before there were others.
constexpr std::uint16_t kVersion = 1;
constexpr std::uint16_t kVersionWithEngine = 3;  // 2 said nothing of preparations
constexpr std::size_t kMaxText = 16384;          // a key of 4096 bits with its proof
constexpr std::uint64_t kMaxRounds = 64 * protocols::Limits::kSteps;

void write(ByteWriter& out, ByteView text) {
  out.u32(static_cast<std::uint32_t>(text.size()));
  out.bytes(text);
}

ByteView read(ByteReader& in) {
  const std::size_t size = in.u32();
  if (size > kMaxText) {
    throw InputError("session_record.text", "a field of a kept session is too long");
  }
  return in.bytes(size);
}

std::string read_text(ByteReader& in) {
  const ByteView text = read(in);
  return {reinterpret_cast<const char*>(text.data()), text.size()};
}

}  // namespace

Bytes serialise_session(const SessionInfo& session) {
  Bytes bytes;
  ByteWriter out(bytes);
  const bool says_engine = session.engine != protocols::kDefaultEngine;
  out.u16(says_engine ? kVersionWithEngine : kVersion);
  if (says_engine) {
    write(out, as_bytes(session.engine));
    out.u64(session.preparation_rounds);
  }
  for (const std::string* text : {&session.id, &session.model, &session.config_id, &session.key_id,
                                  &session.caller, &session.transfer_set_up}) {
    write(out, as_bytes(*text));
  }
  write(out, session.public_key);
  out.u64(session.ciphertext_bytes);
  out.u64(session.rounds);
  for (const std::size_t limit : session.round_limits) {
    out.u64(limit);
  }
  return bytes;
}

SessionInfo parse_session(ByteView bytes) {
  ByteReader in(bytes, "session_record");
  const std::uint16_t version = in.u16();
  SessionInfo session;
  if (version == kVersionWithEngine) {
    session.engine = read_text(in);
    session.preparation_rounds = in.u64();
  }
  const bool says_engine = session.engine != protocols::kDefaultEngine;
  if (version != (says_engine ? kVersionWithEngine : kVersion)) {
    throw InputError("session_record.version", "a kept session is of another version of this program");
  }
  for (std::string* text : {&session.id, &session.model, &session.config_id, &session.key_id, &session.caller,
                            &session.transfer_set_up}) {
    *text = read_text(in);
  }
  const ByteView key = read(in);
  session.public_key.assign(key.begin(), key.end());
  session.ciphertext_bytes = in.u64();
  session.rounds = in.u64();
  if (session.ciphertext_bytes == 0 || session.rounds > kMaxRounds ||
      session.preparation_rounds > session.rounds || in.remaining() != 8 * session.rounds) {
    throw InputError("session_record.rounds", "a kept session has an impossible number of rounds");
  }
  for (std::uint64_t round = 0; round < session.rounds; ++round) {
    session.round_limits.push_back(in.u64());
  }
  return session;
}

}  // namespace popcorn::service
