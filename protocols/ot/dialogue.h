// A party's half of an interactive protocol, written as it reads and run without I/O: a coroutine that sends
// bytes and awaits bytes, resumed by whoever carries them.
//
//   Half half(wire, my_protocol(wire, …));
//   Bytes flight = half.advance({});            // the party that speaks first
//   flight = half.advance(what_came);           // until half.finished()
//
// Everything that is sent before the next wait travels as one flight.
#pragma once

#include <coroutine>
#include <exception>
#include <optional>
#include <utility>

#include "base/bytes.h"

namespace popcorn::protocols::ot {

/// What a half has received and not read yet, and what it has to send. Not thread-safe.
class Wire {
 public:
  Wire() = default;
  Wire(const Wire&) = delete;
  Wire& operator=(const Wire&) = delete;

  /// Where to append what is to be sent.
  Bytes& out() noexcept { return out_; }

  struct Receive {
    Wire& wire;
    std::size_t count;
    bool await_ready() const noexcept { return wire.available() >= count; }
    void await_suspend(std::coroutine_handle<> waiting) noexcept {
      wire.wanted_ = count;
      wire.waiting_ = waiting;
    }
    ByteView await_resume() noexcept { return wire.take(count); }
  };
  /// Awaits exactly `count` bytes; they stay valid until the next wait.
  Receive receive(std::size_t count) noexcept { return {*this, count}; }

  std::uint64_t sent_bytes() const noexcept { return sent_; }
  std::uint64_t sent_flights() const noexcept { return flights_; }

 private:
  friend class Half;
  std::size_t available() const noexcept { return in_.size() - read_; }
  ByteView take(std::size_t count) noexcept;

  Bytes in_;
  std::size_t read_ = 0;
  Bytes out_;
  std::size_t wanted_ = 0;
  std::coroutine_handle<> waiting_;
  std::uint64_t sent_ = 0;
  std::uint64_t flights_ = 0;
};

/// What a coroutine of a protocol returns; started by co_await or by Half. Movable only.
template <typename T>
class [[nodiscard]] Dialogue;

namespace detail {

struct FinalAwaiter {
  bool await_ready() const noexcept { return false; }
  template <typename Promise>
  std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> done) const noexcept {
    const std::coroutine_handle<> next = done.promise().continuation;
    return next ? next : std::noop_coroutine();
  }
  void await_resume() const noexcept {}
};

struct PromiseBase {
  std::coroutine_handle<> continuation;
  std::exception_ptr failure;
  std::suspend_always initial_suspend() const noexcept { return {}; }
  FinalAwaiter final_suspend() const noexcept { return {}; }
  void unhandled_exception() noexcept { failure = std::current_exception(); }
};

template <typename T>
struct Promise : PromiseBase {
  std::optional<T> value;
  Dialogue<T> get_return_object() noexcept;
  void return_value(T result) { value.emplace(std::move(result)); }
  T result() {
    if (failure) std::rethrow_exception(failure);
    return std::move(*value);
  }
};

template <>
struct Promise<void> : PromiseBase {
  Dialogue<void> get_return_object() noexcept;
  void return_void() const noexcept {}
  void result() const {
    if (failure) std::rethrow_exception(failure);
  }
};

}  // namespace detail

template <typename T>
class [[nodiscard]] Dialogue {
 public:
  using promise_type = detail::Promise<T>;
  explicit Dialogue(std::coroutine_handle<promise_type> handle) noexcept : handle_(handle) {}
  Dialogue(Dialogue&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  Dialogue& operator=(Dialogue&& other) noexcept {
    std::swap(handle_, other.handle_);
    return *this;
  }
  Dialogue(const Dialogue&) = delete;
  Dialogue& operator=(const Dialogue&) = delete;
  ~Dialogue() {
    if (handle_) handle_.destroy();
  }

  bool await_ready() const noexcept { return false; }
  std::coroutine_handle<> await_suspend(std::coroutine_handle<> caller) noexcept {
    handle_.promise().continuation = caller;
    return handle_;
  }
  T await_resume() { return handle_.promise().result(); }

  std::coroutine_handle<promise_type> handle() const noexcept { return handle_; }

 private:
  std::coroutine_handle<promise_type> handle_;
};

namespace detail {
template <typename T>
Dialogue<T> Promise<T>::get_return_object() noexcept {
  return Dialogue<T>(std::coroutine_handle<Promise<T>>::from_promise(*this));
}
inline Dialogue<void> Promise<void>::get_return_object() noexcept {
  return Dialogue<void>(std::coroutine_handle<Promise<void>>::from_promise(*this));
}
}  // namespace detail

/// Runs one party's half. After an exception it is over, and nothing of it may be used again.
class Half {
 public:
  Half(Wire& wire, Dialogue<void> body) : wire_(wire), body_(std::move(body)) {}
  /// Takes what the other party sent, a whole flight; gives what is to be sent, nothing only before the first
  /// flight and at the end.
  /// @throws InputError "ot.trailing_bytes" when more came than the protocol reads, "ot.flight_size" when a
  /// flight is not what this party waits for; whatever the protocol throws
  Bytes advance(ByteView incoming);
  bool finished() const noexcept { return finished_; }

 private:
  Wire& wire_;
  Dialogue<void> body_;
  bool started_ = false;
  bool finished_ = false;
};

}  // namespace popcorn::protocols::ot
