#include "service/http/http_server.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include "base/error.h"
#include "service/http/address.h"
#include "service/http/http_connection.h"
#include "service/http/socket_transport.h"

namespace popcorn::service {
namespace {

constexpr int kBacklog = 512;
constexpr unsigned kMaxRequestsPerConnection = 10'000;
constexpr std::size_t kPieceBytes = 65536;

/// How many connections each address has.
class AddressCounts {
 public:
  /// One connection; counts until it goes away.
  class Slot {
   public:
    Slot() = default;
    Slot(AddressCounts& counts, std::string address) : counts_(&counts), address_(std::move(address)) {}
    Slot(Slot&& other) noexcept
        : counts_(std::exchange(other.counts_, nullptr)), address_(std::move(other.address_)) {}
    Slot& operator=(Slot&& other) noexcept {
      std::swap(counts_, other.counts_);
      std::swap(address_, other.address_);
      return *this;
    }
    Slot(const Slot&) = delete;
    Slot& operator=(const Slot&) = delete;
    ~Slot() {
      if (counts_ != nullptr) {
        counts_->leave(address_);
      }
    }

   private:
    AddressCounts* counts_ = nullptr;
    std::string address_;
  };

  /// Nothing when the address has `most` connections.
  std::optional<Slot> enter(const std::string& address, std::size_t most) {
    const std::lock_guard lock(mutex_);
    std::size_t& count = counts_[address];
    if (most != 0 && count >= most) {
      return std::nullopt;
    }
    ++count;
    return std::optional<Slot>(std::in_place, *this, address);
  }

 private:
  void leave(const std::string& address) {
    const std::lock_guard lock(mutex_);
    const auto found = counts_.find(address);
    if (--found->second == 0) {
      counts_.erase(found);
    }
  }

  std::mutex mutex_;
  std::map<std::string, std::size_t> counts_;
};

struct Accepted {
  FileDescriptor socket;
  AddressCounts::Slot slot;
};

/// Threads for connections, started when needed, with a bounded queue in front.
class ConnectionPool {
 public:
  ConnectionPool(unsigned threads, std::size_t max_waiting, WakeEvent& hurry,
                 std::function<void(Accepted)> serve)
      : max_threads_(threads), max_waiting_(max_waiting), hurry_(hurry), serve_(std::move(serve)) {}
  ~ConnectionPool() { shutdown(); }

  /// False (and the socket untouched) when the queue is full.
  bool submit(Accepted& accepted) {
    const std::lock_guard lock(mutex_);
    if (stopped_ || waiting_.size() >= max_waiting_ + idle_) {
      return false;
    }
    waiting_.push_back(std::move(accepted));
    if (idle_ >= waiting_.size()) {
      wake_.notify_one();
    } else if (threads_.size() < max_threads_) {
      threads_.emplace_back([this] { work(); });
    } else {
      hurry_.raise();
    }
    return true;
  }

  /// Closes what waits, lets what is served end.
  void shutdown() {
    std::vector<std::thread> threads;
    {
      const std::lock_guard lock(mutex_);
      stopped_ = true;
      waiting_.clear();
      threads.swap(threads_);
    }
    wake_.notify_all();
    for (auto& thread : threads) {
      thread.join();
    }
  }

  std::size_t busy() const noexcept { return busy_.load(std::memory_order_relaxed); }

 private:
  void work() {
    std::unique_lock lock(mutex_);
    for (;;) {
      ++idle_;
      wake_.wait(lock, [this] { return stopped_ || !waiting_.empty(); });
      --idle_;
      if (waiting_.empty()) {
        return;
      }
      Accepted accepted = std::move(waiting_.front());
      waiting_.pop_front();
      if (waiting_.empty()) {
        hurry_.lower();
      }
      lock.unlock();
      busy_.fetch_add(1, std::memory_order_relaxed);
      serve_(std::move(accepted));
      busy_.fetch_sub(1, std::memory_order_relaxed);
      lock.lock();
    }
  }

  const std::size_t max_threads_, max_waiting_;
  WakeEvent& hurry_;
  const std::function<void(Accepted)> serve_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Accepted> waiting_;
  std::vector<std::thread> threads_;
  std::size_t idle_ = 0;
  bool stopped_ = false;
  std::atomic<std::size_t> busy_{0};
};

void fill_response(HttpResponse&& from, httplib::Response& to) {
  to.status = from.status;
  for (auto& [name, value] : from.headers) {
    to.set_header(name, value);
  }
  if (from.binary && !from.binary->empty()) {
    to.set_content_provider(from.binary->size(), from.content_type,
                            [data = from.binary](size_t offset, size_t length, httplib::DataSink& sink) {
                              return sink.write(reinterpret_cast<const char*>(data->data()) + offset,
                                                std::min(length, kPieceBytes));
                            });
  } else if (!from.text.empty()) {
    to.set_content(from.text, from.content_type);
  }
}

/// cpp-httplib's parser and writer, driven by our own connections.
class Engine final : public httplib::Server {
 public:
  Engine(HttpServer::Handlers handlers, const HttpOptions& options, ConnectionSignals& signals)
      : handlers_(std::move(handlers)), options_(options), signals_(signals) {
    // Content providers of the library stop when it believes that its listening socket is closed.
    svr_sock_ = 0;
    set_keep_alive_timeout(std::chrono::duration_cast<std::chrono::seconds>(options.idle_timeout).count());
    set_keep_alive_max_count(kMaxRequestsPerConnection);
    set_pre_routing_handler([this](const httplib::Request&, httplib::Response& response) {
      route(response);
      return HandlerResponse::Handled;
    });
    set_exception_handler([this](const httplib::Request&, httplib::Response& response, std::exception_ptr) {
      fill_response(handlers_.reject(500), response);
    });
    set_error_handler(HandlerWithResponse(
        [this](const httplib::Request&, httplib::Response& response) { return complete_error(response); }));
    set_post_routing_handler([this](const httplib::Request&, httplib::Response& response) {
      const bool last = !current_->reusable() || stopping_;
      response.headers.erase("Keep-Alive");
      response.headers.erase("Connection");
      response.set_header("Connection", last ? "close" : "keep-alive");
      if (response.status == 204) {
        response.headers.erase("Content-Length");
      }
    });
  }

  void serve(std::unique_ptr<SocketTransport> transport) {
    Connection connection(std::move(transport), options_, signals_);
    if (!connection.handshake()) {
      return;
    }
    current_ = &connection;
    for (unsigned served = 0; served < kMaxRequestsPerConnection && connection.wait_for_request(); ++served) {
      connection.begin_request();
      bool closed = false;
      const bool answered = process_request(connection, stopping_, closed, [&](httplib::Request& request) {
        connection.head_complete(request);
      });
      if (!answered && connection.problem() != 0 && !connection.answered()) {
        reject_plainly(connection);
      }
      if (!answered || !connection.reusable() || stopping_) {
        break;
      }
    }
    connection.finish();
    current_ = nullptr;
  }

  void stop_soon() { stopping_ = true; }

 private:
  void route(httplib::Response& response) {
    const int problem = current_->problem();
    fill_response(problem != 0 ? handlers_.reject(problem) : handlers_.handle(current_->request()), response);
  }

  /// Answers that the library makes by itself have no body yet.
  HandlerResponse complete_error(httplib::Response& response) {
    if (!response.body.empty() || response.content_provider_) {
      return HandlerResponse::Unhandled;
    }
    const int problem = current_->problem();
    fill_response(handlers_.reject(problem != 0 ? problem : response.status), response);
    return HandlerResponse::Handled;
  }

  /// The request line never ended, so the library says nothing.
  void reject_plainly(Connection& connection) {
    const HttpResponse answer = handlers_.reject(connection.problem());
    std::string text = "HTTP/1.1 " + std::to_string(answer.status) +
                       " Rejected\r\nConnection: close\r\nContent-Type: " + answer.content_type +
                       "\r\nContent-Length: " + std::to_string(answer.text.size()) + "\r\n";
    for (const auto& [name, value] : answer.headers) {
      text += name + ": " + value + "\r\n";
    }
    text += "\r\n" + answer.text;
    connection.write(text.data(), text.size());
  }

  static thread_local Connection* current_;

  const HttpServer::Handlers handlers_;
  const HttpOptions& options_;
  ConnectionSignals& signals_;
  std::atomic<bool> stopping_{false};
};

thread_local Connection* Engine::current_ = nullptr;

FileDescriptor listen_on(const HttpOptions& options) {
  const std::string where = options.host + ":" + std::to_string(options.port);
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const int looked_up = ::getaddrinfo(options.host.empty() ? nullptr : options.host.c_str(),
                                      std::to_string(options.port).c_str(), &hints, &found);
  if (looked_up != 0) {
    throw IoError("server.bind", "Cannot listen on " + where + ": " + ::gai_strerror(looked_up));
  }
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> addresses(found, ::freeaddrinfo);
  int last_error = 0;
  for (const addrinfo* address = found; address != nullptr; address = address->ai_next) {
    FileDescriptor socket(
        ::socket(address->ai_family, address->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    const int yes = 1;
    // Not SO_REUSEPORT: two servers on one port would share its connections without a word.
    ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (socket.get() >= 0 && ::bind(socket.get(), address->ai_addr, address->ai_addrlen) == 0 &&
        ::listen(socket.get(), kBacklog) == 0) {
      return socket;
    }
    last_error = errno;
  }
  throw IoError("server.bind", "Cannot listen on " + where + ": " + std::strerror(last_error));
}

std::uint16_t port_of(int socket) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  ::getsockname(socket, reinterpret_cast<sockaddr*>(&address), &size);
  return ntohs(address.ss_family == AF_INET6 ? reinterpret_cast<const sockaddr_in6&>(address).sin6_port
                                             : reinterpret_cast<const sockaddr_in&>(address).sin_port);
}

}  // namespace

struct HttpServer::State {
  State(HttpOptions given, Handlers handlers)
      : options(std::move(given)),
        engine(std::move(handlers), options, signals),
        pool(options.threads, options.max_waiting, signals.hurry, [this](Accepted accepted) {
          const AddressCounts::Slot slot = std::move(accepted.slot);
          serve(std::move(accepted.socket));
        }) {}

  void serve(FileDescriptor socket) {
    TlsContext context;
    {
      const std::lock_guard lock(tls_mutex);
      context = tls;
    }
    auto transport =
        context ? make_tls_transport(std::move(socket), context) : make_plain_transport(std::move(socket));
    if (transport) {
      engine.serve(std::move(transport));
    }
  }

  /// All threads and the queue are taken, or the address's share of them: one short answer, no thread.
  void refuse(const FileDescriptor& socket) const {
    constexpr std::string_view kBusy =
        "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 1\r\nContent-Length: "
        "0\r\n\r\n";
    if (options.tls.certificate_file.empty()) {
      [[maybe_unused]] const auto sent =
          ::send(socket.get(), kBusy.data(), kBusy.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    }
  }

  void accept_one() {
    sockaddr_storage peer{};
    socklen_t peer_size = sizeof peer;
    FileDescriptor socket(::accept4(listener.get(), reinterpret_cast<sockaddr*>(&peer), &peer_size,
                                    SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (socket.get() < 0) {
      if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
        // Out of descriptors: the pending connection keeps poll() ready, so wait for some to be closed.
        wait_for(signals.stop.fd(), POLLIN, Clock::now() + std::chrono::milliseconds(50));
      }
      return;
    }
    const int yes = 1;
    ::setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    auto slot = addresses.enter(address_group(address_of(peer).first), options.max_connections_per_address);
    if (!slot) {
      refuse(socket);
      return;
    }
    Accepted accepted{std::move(socket), std::move(*slot)};
    if (!pool.submit(accepted)) {
      refuse(accepted.socket);
    }
  }

  const HttpOptions options;
  ConnectionSignals signals;
  std::mutex tls_mutex;
  TlsContext tls;
  FileDescriptor listener;
  std::atomic<bool> stopped{false};
  Engine engine;
  AddressCounts addresses;
  ConnectionPool pool;
};

HttpServer::HttpServer(HttpOptions options, Handlers handlers)
    : state_(std::make_unique<State>(std::move(options), std::move(handlers))) {
  reload_tls();
}

HttpServer::~HttpServer() {
  stop();
  state_->pool.shutdown();
}

std::uint16_t HttpServer::bind() {
  state_->listener = listen_on(state_->options);
  return port_of(state_->listener.get());
}

void HttpServer::run() {
  while (!state_->stopped) {
    const WaitResult waited = wait_for(state_->listener.get(), POLLIN, Clock::now() + std::chrono::hours(1),
                                       state_->signals.stop.fd());
    if (waited == WaitResult::ready) {
      state_->accept_one();
    }
  }
  state_->listener.reset();
  state_->pool.shutdown();
}

void HttpServer::serve(int socket) {
  state_->serve(FileDescriptor(socket));
}

void HttpServer::stop() {
  state_->stopped = true;
  state_->engine.stop_soon();
  state_->signals.stop.raise();
}

void HttpServer::reload_tls() {
  if (state_->options.tls.certificate_file.empty()) {
    return;
  }
  TlsContext fresh = make_tls_context(state_->options.tls);
  const std::lock_guard lock(state_->tls_mutex);
  state_->tls = std::move(fresh);
}

std::size_t HttpServer::connections() const noexcept {
  return state_->pool.busy();
}

}  // namespace popcorn::service
