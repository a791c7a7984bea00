// One connection as cpp-httplib reads and writes it, with what that library leaves out: bounds on the head,
// time limits, strict framing of the body, and the knowledge whether another request may follow on the
// connection.
#pragma once

#include <httplib.h>
#include <sys/socket.h>

#include <array>
#include <memory>
#include <string>
#include <utility>

#include "service/http/http_message.h"
#include "service/http/http_server.h"
#include "service/http/socket_transport.h"

namespace popcorn::service {

/// What all connections of a server share.
struct ConnectionSignals {
  WakeEvent stop;   ///< raised once, by HttpServer::stop()
  WakeEvent hurry;  ///< raised while connections wait for a thread: idle ones make room
};

/// Text and port of an IPv4 or IPv6 address.
std::pair<std::string, int> address_of(const sockaddr_storage& address);

class Connection final : public httplib::Stream, public RequestBody {
 public:
  Connection(std::unique_ptr<SocketTransport> transport, const HttpOptions& options,
             ConnectionSignals& signals);

  bool handshake();
  /// Waits for the first byte of a request; false when the connection should be closed instead.
  bool wait_for_request();
  void begin_request();
  /// Judges the head that cpp-httplib has parsed and takes from it all that could make that library act on
  /// its own.
  void head_complete(httplib::Request& request);
  /// Status of the answer to what is no acceptable request; 0 = acceptable.
  int problem() const noexcept { return problem_; }
  HttpRequest& request() noexcept { return request_; }
  bool answered() const noexcept { return written_ > 0; }
  /// The next byte is the first of the next request, and nothing speaks against it.
  bool reusable() const noexcept;
  /// Ends the connection so that the last answer arrives even if the client still sends.
  void finish();

  // RequestBody
  std::optional<std::uint64_t> length() const override { return body_length_; }
  bool chunked() const override { return chunked_; }
  void read(const std::function<void(ByteView)>& sink) override;

  // httplib::Stream
  bool is_readable() const override { return true; }
  bool is_writable() const override { return true; }
  ssize_t read(char* out, size_t size) override;
  ssize_t write(const char* data, size_t size) override;
  void get_remote_ip_and_port(std::string& ip, int& port) const override;
  void get_local_ip_and_port(std::string& ip, int& port) const override;
  socket_t socket() const override { return transport_->fd(); }

 private:
  enum class Phase { head, body };

  bool fill();
  Clock::time_point read_deadline() const;
  WaitResult wait(short events, Clock::time_point deadline);
  bool check_head_byte(char byte);
  void take_headers(httplib::Request& request);
  void check_framing(const httplib::Request& request);
  void complain(int status) noexcept;

  std::unique_ptr<SocketTransport> transport_;
  const HttpOptions& options_;
  ConnectionSignals& signals_;
  bool draining_ = false;  ///< the stop event was seen
  Clock::time_point drain_deadline_{};
  bool served_one_ = false;

  std::array<char, 16384> buffer_;
  std::size_t buffer_begin_ = 0, buffer_end_ = 0;

  Phase phase_ = Phase::head;
  Clock::time_point phase_started_{};
  Clock::time_point write_started_{};
  std::size_t head_bytes_ = 0, line_bytes_ = 0;
  char last_byte_ = 0;
  bool request_line_read_ = false, line_has_colon_ = false;
  bool head_complete_ = false;
  int problem_ = 0;
  bool timed_out_ = false;
  bool ended_ = false;
  bool close_asked_ = false;

  HttpRequest request_;
  std::optional<std::uint64_t> body_length_;
  bool chunked_ = false;
  bool continue_expected_ = false;
  std::uint64_t body_read_ = 0;
  std::uint64_t written_ = 0;
};

}  // namespace popcorn::service
