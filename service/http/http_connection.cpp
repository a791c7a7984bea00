#include "service/http/http_connection.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>
#include <set>

#include "service/http/ascii_case.h"
#include "service/refusal.h"

namespace popcorn::service {
namespace {

constexpr std::chrono::seconds kLingerTime{2};
constexpr std::size_t kLingerBytes = std::size_t{8} << 20;
/// A fresh connection gets this long for its first byte when others wait for a thread.
constexpr std::chrono::seconds kFreshTime{1};
constexpr std::uint64_t kMaxContentLength = std::uint64_t{1} << 48;

/// Headers that change what a request means: two of them are one too many.
const std::set<std::string, std::less<>> kSingleHeaders = {
    "authorization", "content-encoding", "content-length", "content-type",      "expect",
    "host",          "if-none-match",    "prefer",         "transfer-encoding", "x-request-id"};
/// cpp-httplib puts these beside what the client sent.
const std::set<std::string, std::less<>> kLibraryHeaders = {"remote_addr", "remote_port", "local_addr",
                                                            "local_port"};

bool is_token(std::string_view name) {
  constexpr std::string_view kOther = "!#$%&'*+-.^_`|~";
  return !name.empty() && std::all_of(name.begin(), name.end(), [&](char c) {
    return (c >= '0' && c <= '9') || (lower(c) >= 'a' && lower(c) <= 'z') || kOther.find(c) != kOther.npos;
  });
}

bool has_control_character(std::string_view value) {
  return std::any_of(value.begin(), value.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return (byte < 0x20 && c != '\t') || byte == 0x7f;
  });
}

std::optional<std::uint64_t> parse_length(std::string_view text) {
  if (text.empty() || text.size() > 16) {
    return std::nullopt;
  }
  std::uint64_t value = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') {
      return std::nullopt;
    }
    value = value * 10 + static_cast<std::uint64_t>(c - '0');
  }
  return value <= kMaxContentLength ? std::optional(value) : std::nullopt;
}

}  // namespace

std::pair<std::string, int> address_of(const sockaddr_storage& address) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (address.ss_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(address);
    ::inet_ntop(AF_INET, &v4.sin_addr, text.data(), text.size());
    return {text.data(), ntohs(v4.sin_port)};
  }
  if (address.ss_family == AF_INET6) {
    const auto& v6 = reinterpret_cast<const sockaddr_in6&>(address);
    ::inet_ntop(AF_INET6, &v6.sin6_addr, text.data(), text.size());
    return {text.data(), ntohs(v6.sin6_port)};
  }
  return {"", 0};
}

Connection::Connection(std::unique_ptr<SocketTransport> transport, const HttpOptions& options,
                       ConnectionSignals& signals)
    : transport_(std::move(transport)), options_(options), signals_(signals) {}

bool Connection::handshake() {
  phase_started_ = Clock::now();
  for (;;) {
    const IoResult result = transport_->try_handshake();
    if (result.status == IoStatus::ok) {
      return true;
    }
    const bool reads = result.status == IoStatus::want_read;
    if (!reads && result.status != IoStatus::want_write) {
      return false;
    }
    if (wait(reads ? POLLIN : POLLOUT, phase_started_ + options_.head_timeout) != WaitResult::ready) {
      return false;
    }
  }
}

bool Connection::wait_for_request() {
  if (buffer_begin_ < buffer_end_ || transport_->pending()) {
    return true;
  }
  const auto start = Clock::now();
  const int fd = transport_->fd();
  if (!served_one_) {
    const auto first = wait_for(fd, POLLIN, start + kFreshTime, signals_.stop.fd());
    if (first != WaitResult::timed_out) {
      return first == WaitResult::ready;
    }
  }
  const auto limit = served_one_ ? options_.idle_timeout : options_.head_timeout;
  return wait_for(fd, POLLIN, start + limit, signals_.stop.fd(), signals_.hurry.fd()) == WaitResult::ready;
}

void Connection::begin_request() {
  served_one_ = true;
  phase_ = Phase::head;
  phase_started_ = Clock::now();
  head_bytes_ = line_bytes_ = 0;
  last_byte_ = 0;
  request_line_read_ = line_has_colon_ = false;
  head_complete_ = false;
  problem_ = 0;
  close_asked_ = false;
  request_ = {};
  body_length_.reset();
  chunked_ = false;
  continue_expected_ = false;
  body_read_ = 0;
  written_ = 0;
}

void Connection::complain(int status) noexcept {
  if (problem_ == 0) {
    problem_ = status;
  }
}

bool Connection::check_head_byte(char byte) {
  const auto code = static_cast<unsigned char>(byte);
  const bool bare_line_feed = byte == '\n' && last_byte_ != '\r';
  const bool bare_return = last_byte_ == '\r' && byte != '\n';
  const bool control = (code < 0x20 && byte != '\r' && byte != '\n' && byte != '\t') || code == 0x7f;
  // A line that begins with a blank goes on with the one before (obs-fold of RFC 9112, 5.2), or not: readers
  // differ.
  const bool folded = last_byte_ == '\n' && (byte == ' ' || byte == '\t');
  // The library skips a line that is no header field; another reader might not.
  line_has_colon_ = line_has_colon_ || byte == ':';
  const bool no_field = byte == '\n' && request_line_read_ && line_bytes_ > 1 && !line_has_colon_;
  if (bare_line_feed || bare_return || control || folded || no_field) {
    complain(400);
    return false;
  }
  line_bytes_ = byte == '\n' ? 0 : line_bytes_ + 1;
  if (byte == '\n') {
    request_line_read_ = true;
    line_has_colon_ = false;
  }
  last_byte_ = byte;
  if (++head_bytes_ > options_.max_head_bytes || line_bytes_ > options_.max_head_line_bytes) {
    complain(431);
    return false;
  }
  return true;
}

ssize_t Connection::read(char* out, size_t size) {
  if (buffer_begin_ == buffer_end_ && !fill()) {
    if (timed_out_) {
      complain(408);
    }
    return -1;
  }
  const std::size_t count = std::min(size, buffer_end_ - buffer_begin_);
  std::memcpy(out, buffer_.data() + buffer_begin_, count);
  if (phase_ == Phase::head && !std::all_of(out, out + count, [&](char c) { return check_head_byte(c); })) {
    return -1;
  }
  buffer_begin_ += count;
  return static_cast<ssize_t>(count);
}

Clock::time_point Connection::read_deadline() const {
  Clock::time_point deadline = phase_started_ + options_.head_timeout;
  if (phase_ == Phase::body) {
    deadline =
        phase_started_ + options_.grace + std::chrono::seconds(body_read_ / options_.min_bytes_per_second);
  }
  return draining_ ? std::min(deadline, drain_deadline_) : deadline;
}

WaitResult Connection::wait(short events, Clock::time_point deadline) {
  const int stop = draining_ ? -1 : signals_.stop.fd();
  const WaitResult result = wait_for(transport_->fd(), events, deadline, stop);
  if (result == WaitResult::woken) {
    draining_ = true;
    drain_deadline_ = Clock::now() + options_.drain_grace;
  }
  return result;
}

bool Connection::fill() {
  while (!ended_) {
    const IoResult result = transport_->try_read(buffer_.data(), buffer_.size());
    if (result.status == IoStatus::ok) {
      buffer_begin_ = 0;
      buffer_end_ = result.bytes;
      return true;
    }
    if (result.status != IoStatus::want_read && result.status != IoStatus::want_write) {
      ended_ = true;
      break;
    }
    const short events = result.status == IoStatus::want_read ? POLLIN : POLLOUT;
    const WaitResult waited = wait(events, read_deadline());
    if (waited == WaitResult::timed_out || waited == WaitResult::failed) {
      timed_out_ = waited == WaitResult::timed_out;
      ended_ = true;
    }
  }
  return false;
}

ssize_t Connection::write(const char* data, size_t size) {
  if (written_ == 0) {
    write_started_ = Clock::now();
  }
  std::size_t done = 0;
  while (done < size) {
    const IoResult result = transport_->try_write(data + done, size - done);
    if (result.status == IoStatus::ok) {
      done += result.bytes;
      written_ += result.bytes;
      continue;
    }
    if (result.status != IoStatus::want_read && result.status != IoStatus::want_write) {
      ended_ = true;
      return -1;
    }
    const auto deadline =
        write_started_ + options_.grace + std::chrono::seconds(written_ / options_.min_bytes_per_second);
    const WaitResult waited = wait(result.status == IoStatus::want_read ? POLLIN : POLLOUT, deadline);
    if (waited == WaitResult::timed_out || waited == WaitResult::failed) {
      ended_ = true;
      return -1;
    }
  }
  return static_cast<ssize_t>(size);
}

void Connection::head_complete(httplib::Request& request) {
  head_complete_ = true;
  phase_ = Phase::body;
  phase_started_ = Clock::now();
  const std::size_t question = request.target.find('?');
  request_.method = request.method;
  request_.path = request.target.substr(0, question);
  request_.query = question == std::string::npos ? "" : request.target.substr(question + 1);
  request_.body = this;
  request_.remote_address = request.remote_addr;
  take_headers(request);
  check_framing(request);
  // What follows would make cpp-httplib cut, compress or answer on its own.
  request.ranges.clear();
  request.headers.erase("Accept-Encoding");
  request.headers.erase("Expect");
  request.headers.erase("Connection");
  request.path = "/";
}

void Connection::take_headers(httplib::Request& request) {
  if (request.headers.size() > options_.max_headers + kLibraryHeaders.size()) {
    complain(431);
  }
  for (const auto& [name, value] : request.headers) {
    const std::string key = lower(name);
    if (kLibraryHeaders.contains(key)) {
      continue;
    }
    // The library decodes %XX in values, so a clean line can still carry a control character here.
    if (!is_token(name) || has_control_character(value)) {
      complain(400);
      continue;
    }
    const bool first = request_.headers.emplace(key, value).second;
    if (!first && kSingleHeaders.contains(key)) {
      complain(400);
    }
  }
}

void Connection::check_framing(const httplib::Request& request) {
  if (request_.path.empty() || request_.path.front() != '/') {
    complain(400);
  }
  if (request.version == "HTTP/1.1" && !request_.headers.contains("host")) {
    complain(400);
  }
  const auto length = request_.headers.find("content-length");
  const bool has_length = length != request_.headers.end();
  if (request_.headers.contains("transfer-encoding")) {
    chunked_ = true;
    if (has_length || request.version != "HTTP/1.1" ||
        lower(request_.header("transfer-encoding")) != "chunked") {
      complain(400);
    }
  } else if (has_length) {
    body_length_ = parse_length(length->second);
    if (!body_length_) {
      complain(400);
    }
  }
  continue_expected_ = lower(request_.header("expect")) == "100-continue";
  const std::string connection = lower(request_.header("connection"));
  const bool wants_keep_alive = connection.find("keep-alive") != std::string::npos;
  close_asked_ =
      connection.find("close") != std::string::npos || (request.version == "HTTP/1.0" && !wants_keep_alive);
}

void Connection::read(const std::function<void(ByteView)>& sink) {
  if (!body_length_ || *body_length_ == body_read_) {
    return;
  }
  if (continue_expected_) {
    constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
    continue_expected_ = false;
    write(kContinue.data(), kContinue.size());
    written_ = 0;
  }
  phase_started_ = Clock::now();
  std::array<char, 16384> piece;
  while (body_read_ < *body_length_) {
    const auto wanted =
        static_cast<std::size_t>(std::min<std::uint64_t>(piece.size(), *body_length_ - body_read_));
    const ssize_t got = read(piece.data(), wanted);
    if (got <= 0) {
      if (timed_out_) {
        throw Refusal(RefusalKind::slow_upload, "request.slow", "The upload was too slow and was given up");
      }
      throw Refusal(RefusalKind::malformed, "request.incomplete",
                    "The connection ended in the middle of the body");
    }
    body_read_ += static_cast<std::uint64_t>(got);
    sink(as_bytes({piece.data(), static_cast<std::size_t>(got)}));
  }
}

bool Connection::reusable() const noexcept {
  return head_complete_ && problem_ == 0 && !ended_ && !close_asked_ && !chunked_ &&
         body_read_ == body_length_.value_or(0);
}

void Connection::finish() {
  if (ended_) {
    return;
  }
  transport_->shutdown_write();
  const bool nothing_more =
      head_complete_ && problem_ == 0 && !chunked_ && body_read_ == body_length_.value_or(0);
  if (nothing_more) {
    return;
  }
  // Closing with unread data would reset the connection and could destroy the answer before the client reads
  // it.
  const auto deadline = Clock::now() + kLingerTime;
  std::array<char, 16384> discarded;
  for (std::size_t total = 0; total < kLingerBytes;) {
    const IoResult result = transport_->try_read(discarded.data(), discarded.size());
    if (result.status == IoStatus::ok) {
      total += result.bytes;
    } else if (result.status != IoStatus::want_read ||
               wait_for(transport_->fd(), POLLIN, deadline, signals_.stop.fd()) != WaitResult::ready) {
      return;
    }
  }
}

void Connection::get_remote_ip_and_port(std::string& ip, int& port) const {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  if (::getpeername(transport_->fd(), reinterpret_cast<sockaddr*>(&address), &size) == 0) {
    std::tie(ip, port) = address_of(address);
  }
}

void Connection::get_local_ip_and_port(std::string& ip, int& port) const {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  if (::getsockname(transport_->fd(), reinterpret_cast<sockaddr*>(&address), &size) == 0) {
    std::tie(ip, port) = address_of(address);
  }
}

}  // namespace popcorn::service
