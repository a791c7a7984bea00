// Which message of which size comes when: the same on both sides, known before the first byte. A round is one
// message of the client and the server's answer.
//
// The rounds of the preparation come first where there are any: they do not depend on the input. Sizes are
// exact, so that a message of another size is refused before anything of it is read.
#pragma once

#include <cstdint>
#include <string>

#include "protocols/wire/message.h"

namespace popcorn::protocols {

enum class Phase : std::uint8_t {
  preparation,  ///< the same whatever the input
  online,
};

class Schedule {
 public:
  virtual ~Schedule() = default;
  virtual std::uint64_t rounds() const noexcept = 0;
  virtual Phase phase(std::uint64_t round) const = 0;
  /// The client's message of a round, and the server's answer to it.
  virtual MessageShape client_message(std::uint64_t round) const = 0;
  virtual MessageShape server_message(std::uint64_t round) const = 0;
  /// Where those messages belong: step and exchange; the key is left empty.
  virtual MessageAddress client_address(std::uint64_t round) const = 0;
  virtual MessageAddress server_address(std::uint64_t round) const = 0;
  /// Name of the step of an address, for people.
  virtual std::string step_name(std::uint64_t step) const = 0;
  /// How many rounds come before the first online one.
  std::uint64_t preparation_rounds() const;
  /// Re-randomised ciphertexts that the server sends in all rounds, whatever section they are in.
  virtual std::uint64_t rerandomisations() const;

  /// What the client's message of a round is about, for people.
  std::string name_of(std::uint64_t round) const;
  /// Ciphertexts that the client sends from a round on.
  std::uint64_t encryptions_from(std::uint64_t round) const;

  /// Parses a message and checks that it is the one due in a round, of exactly the size due, for that key.
  /// @throws InputError "message.*"; "message.foreign_key"; "message.size"; "round.repeated" and
  /// "round.out_of_order", which name the message that is due
  Message expect_client(std::uint64_t round, const Sha256& key, ByteView message) const;
  Message expect_server(std::uint64_t round, const Sha256& key, ByteView message) const;
  /// The same checks of the prefix alone.
  void check_client(std::uint64_t round, const Sha256& key, const MessagePrefix& got) const;
  void check_server(std::uint64_t round, const Sha256& key, const MessagePrefix& got) const;

 private:
  std::string describe(MessageKind kind, const MessageAddress& address) const;
  void check(const MessageShape& shape, const MessageAddress& address, const Sha256& key,
             const MessagePrefix& got) const;
};

}  // namespace popcorn::protocols
