#include "protocols/plan/schedule.h"

#include <tuple>

#include "base/error.h"

namespace popcorn::protocols {

namespace {

/// What a message does not say by its step.
bool stands_alone(MessageKind kind) {
  return kind == MessageKind::input || kind == MessageKind::logits;
}

/// Preparation, input, everything that follows it.
int order_of(MessageKind kind) {
  if (kind == MessageKind::preparation) return 0;
  return kind == MessageKind::input ? 1 : 2;
}

}  // namespace

std::uint64_t Schedule::preparation_rounds() const {
  std::uint64_t round = 0;
  while (round < rounds() && phase(round) == Phase::preparation) ++round;
  return round;
}

std::uint64_t Schedule::rerandomisations() const {
  std::uint64_t count = 0;
  for (std::uint64_t round = 0; round < rounds(); ++round) count += server_message(round).ciphertexts;
  return count;
}

std::uint64_t Schedule::encryptions_from(std::uint64_t round) const {
  std::uint64_t count = 0;
  for (; round < rounds(); ++round) count += client_message(round).ciphertexts;
  return count;
}

std::string Schedule::name_of(std::uint64_t round) const {
  return client_message(round).kind == MessageKind::input ? "input" : step_name(client_address(round).step);
}

std::string Schedule::describe(MessageKind kind, const MessageAddress& address) const {
  if (stands_alone(kind)) return "the " + std::string(to_string(kind));
  std::string text = "the " + std::string(to_string(kind)) + " of step " + std::to_string(address.step);
  const std::string name = step_name(address.step);
  if (!name.empty()) text += " (" + name + ")";
  if (address.exchange != 0) text += ", exchange " + std::to_string(address.exchange);
  return text;
}

void Schedule::check(const MessageShape& shape, const MessageAddress& address, const Sha256& key,
                     const MessagePrefix& got) const {
  if (got.address.key != key) {
    throw InputError("message.foreign_key", "the message belongs to key " + to_hex(got.address.key) +
                                                ", this session to key " + to_hex(key));
  }
  const auto place_of = [](MessageKind kind, const MessageAddress& at) {
    return std::tuple(order_of(kind), at.step, at.exchange);
  };
  const auto due = place_of(shape.kind, address);
  const auto arrived = place_of(got.shape.kind, got.address);
  if (got.shape.kind != shape.kind || arrived != due) {
    throw InputError(
        arrived < due ? "round.repeated" : "round.out_of_order",
        "expected " + describe(shape.kind, address) + ", got " + describe(got.shape.kind, got.address));
  }
  if (got.shape != shape) {
    throw InputError(
        "message.size",
        describe(shape.kind, address) + " must have " + std::to_string(shape.elements) + " elements in " +
            std::to_string(shape.ciphertexts) + " ciphertexts of " + std::to_string(shape.ciphertext_bytes) +
            " bytes and " + std::to_string(shape.sign_test_bytes) + " bytes of sign test; it declares " +
            std::to_string(got.shape.elements) + " in " + std::to_string(got.shape.ciphertexts) + " of " +
            std::to_string(got.shape.ciphertext_bytes) + " and " + std::to_string(got.shape.sign_test_bytes));
  }
}

Message Schedule::expect_client(std::uint64_t round, const Sha256& key, ByteView message) const {
  const Message got = parse_message(message);
  check_client(round, key, {got.shape, got.address});
  return got;
}

Message Schedule::expect_server(std::uint64_t round, const Sha256& key, ByteView message) const {
  const Message got = parse_message(message);
  check_server(round, key, {got.shape, got.address});
  return got;
}

void Schedule::check_client(std::uint64_t round, const Sha256& key, const MessagePrefix& got) const {
  check(client_message(round), client_address(round), key, got);
}

void Schedule::check_server(std::uint64_t round, const Sha256& key, const MessagePrefix& got) const {
  check(server_message(round), server_address(round), key, got);
}

}  // namespace popcorn::protocols
