#include "service/http/socket_transport.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <limits>

#include "base/error.h"

namespace popcorn::service {

FileDescriptor& FileDescriptor::operator=(FileDescriptor&& other) noexcept {
  if (this != &other) {
    reset();
    fd_ = std::exchange(other.fd_, -1);
  }
  return *this;
}

void FileDescriptor::reset() noexcept {
  if (fd_ >= 0) {
    ::close(std::exchange(fd_, -1));
  }
}

WakeEvent::WakeEvent() : fd_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  if (fd_.get() < 0) {
    throw IoError("server.resources", "Cannot create an event descriptor");
  }
}

void WakeEvent::raise() noexcept {
  const std::uint64_t one = 1;
  // Only a counter at its maximum makes this fail, and then the event is raised already.
  [[maybe_unused]] const auto written = ::write(fd_.get(), &one, sizeof one);
}

void WakeEvent::lower() noexcept {
  std::uint64_t count = 0;
  [[maybe_unused]] const auto taken = ::read(fd_.get(), &count, sizeof count);
}

WaitResult wait_for(int fd, short events, Clock::time_point deadline, int wake_fd, int other_wake_fd) {
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
    if (left <= 0) {
      return WaitResult::timed_out;
    }
    // poll() skips negative descriptors.
    std::array<pollfd, 3> polled{{{fd, events, 0}, {wake_fd, POLLIN, 0}, {other_wake_fd, POLLIN, 0}}};
    const int timeout = static_cast<int>(std::min<long>(left, std::numeric_limits<int>::max()));
    const int ready = ::poll(polled.data(), polled.size(), timeout);
    if (ready < 0 && errno != EINTR) {
      return WaitResult::failed;
    }
    if (ready <= 0) {
      continue;
    }
    if (polled[0].revents != 0) {
      return WaitResult::ready;
    }
    return WaitResult::woken;
  }
}

namespace {

class PlainTransport final : public SocketTransport {
 public:
  explicit PlainTransport(FileDescriptor socket) : socket_(std::move(socket)) {}

  IoResult try_read(char* out, std::size_t capacity) override {
    const ssize_t got = ::recv(socket_.get(), out, capacity, 0);
    if (got == 0) {
      return {IoStatus::closed, 0};
    }
    return result(got, IoStatus::want_read);
  }

  IoResult try_write(const char* data, std::size_t size) override {
    return result(::send(socket_.get(), data, size, MSG_NOSIGNAL), IoStatus::want_write);
  }

  void shutdown_write() override { ::shutdown(socket_.get(), SHUT_WR); }
  int fd() const noexcept override { return socket_.get(); }

 private:
  static IoResult result(ssize_t bytes, IoStatus when_it_would_block) {
    if (bytes >= 0) {
      return {IoStatus::ok, static_cast<std::size_t>(bytes)};
    }
    const bool again = errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
    return {again ? when_it_would_block : IoStatus::failed, 0};
  }

  FileDescriptor socket_;
};

struct SslFree {
  void operator()(SSL* ssl) const noexcept { SSL_free(ssl); }
};

class TlsTransport final : public SocketTransport {
 public:
  TlsTransport(FileDescriptor socket, std::unique_ptr<SSL, SslFree> ssl, TlsContext context)
      : socket_(std::move(socket)), context_(std::move(context)), ssl_(std::move(ssl)) {}

  IoResult try_handshake() override {
    ERR_clear_error();
    const int done = SSL_accept(ssl_.get());
    established_ = done == 1;
    return established_ ? IoResult{IoStatus::ok, 0} : result(done);
  }

  IoResult try_read(char* out, std::size_t capacity) override {
    ERR_clear_error();
    std::size_t got = 0;
    const int done = SSL_read_ex(ssl_.get(), out, capacity, &got);
    return done == 1 ? IoResult{IoStatus::ok, got} : result(done);
  }

  IoResult try_write(const char* data, std::size_t size) override {
    ERR_clear_error();
    std::size_t written = 0;
    const int done = SSL_write_ex(ssl_.get(), data, size, &written);
    return done == 1 ? IoResult{IoStatus::ok, written} : result(done);
  }

  bool pending() const override { return SSL_has_pending(ssl_.get()) == 1; }

  void shutdown_write() override {
    if (established_ && !failed_) {
      ERR_clear_error();
      SSL_shutdown(ssl_.get());
    }
    ::shutdown(socket_.get(), SHUT_WR);
  }

  int fd() const noexcept override { return socket_.get(); }

 private:
  IoResult result(int done) {
    switch (SSL_get_error(ssl_.get(), done)) {
      case SSL_ERROR_WANT_READ:
        return {IoStatus::want_read, 0};
      case SSL_ERROR_WANT_WRITE:
        return {IoStatus::want_write, 0};
      case SSL_ERROR_ZERO_RETURN:
        return {IoStatus::closed, 0};
      default:
        failed_ = true;  // SSL_shutdown() must not be called after a fatal error
        return {IoStatus::failed, 0};
    }
  }

  FileDescriptor socket_;
  TlsContext context_;
  std::unique_ptr<SSL, SslFree> ssl_;
  bool established_ = false;
  bool failed_ = false;
};

[[noreturn]] void tls_failed(const std::string& what) {
  std::array<char, 256> reason{};
  ERR_error_string_n(ERR_get_error(), reason.data(), reason.size());
  throw IoError("server.tls", what + ": " + reason.data());
}

}  // namespace

std::unique_ptr<SocketTransport> make_plain_transport(FileDescriptor socket) {
  return std::make_unique<PlainTransport>(std::move(socket));
}

TlsContext make_tls_context(const TlsOptions& options) {
  ERR_clear_error();
  const TlsContext context(SSL_CTX_new(TLS_server_method()), SSL_CTX_free);
  if (!context) {
    tls_failed("Cannot set up TLS");
  }
  SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  SSL_CTX_set_options(context.get(), SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
                                         SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_IGNORE_UNEXPECTED_EOF);
  SSL_CTX_set_mode(context.get(), SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                      SSL_MODE_RELEASE_BUFFERS);
  const std::string session_name = "popcorn";
  SSL_CTX_set_session_id_context(context.get(), reinterpret_cast<const unsigned char*>(session_name.data()),
                                 static_cast<unsigned>(session_name.size()));
  // Without this an encrypted key would make a daemon ask at the terminal.
  SSL_CTX_set_default_passwd_cb(context.get(), [](char*, int, int, void*) { return 0; });
  if (SSL_CTX_use_certificate_chain_file(context.get(), options.certificate_file.c_str()) != 1) {
    tls_failed("Cannot use the certificate " + options.certificate_file);
  }
  if (SSL_CTX_use_PrivateKey_file(context.get(), options.key_file.c_str(), SSL_FILETYPE_PEM) != 1) {
    tls_failed("Cannot use the private key " + options.key_file);
  }
  if (SSL_CTX_check_private_key(context.get()) != 1) {
    tls_failed("The private key " + options.key_file + " does not belong to " + options.certificate_file);
  }
  if (!options.client_ca_file.empty()) {
    if (SSL_CTX_load_verify_locations(context.get(), options.client_ca_file.c_str(), nullptr) != 1) {
      tls_failed("Cannot use the client authorities " + options.client_ca_file);
    }
    SSL_CTX_set_client_CA_list(context.get(), SSL_load_client_CA_file(options.client_ca_file.c_str()));
    SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  }
  return context;
}

std::unique_ptr<SocketTransport> make_tls_transport(FileDescriptor socket, const TlsContext& context) {
  std::unique_ptr<SSL, SslFree> ssl(SSL_new(context.get()));
  if (!ssl || SSL_set_fd(ssl.get(), socket.get()) != 1) {
    return nullptr;
  }
  return std::make_unique<TlsTransport>(std::move(socket), std::move(ssl), context);
}

}  // namespace popcorn::service
