// A real server on a free loopback port, a small network and small keys: what the tests of the service run
// on.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/error.h"
#include "models/network/integer_network.h"
#include "paillier/keys/key_owner.h"
#include "protocols/session/session.h"
#include "service/client/rest_client.h"
#include "service/server.h"
#include "tests/support/seeded_rng.h"

namespace popcorn::test {

/// A random network with two or more non-linear steps, made ready to serve under the given name.
std::shared_ptr<const protocols::ServedModel> small_model(const std::string& name, std::uint64_t seed = 1);
/// A random requantised network, served on shares, and an input whose values keep to its rings.
struct SmallShares {
  std::shared_ptr<const protocols::ServedModel> model;
  WideVector input;
};
SmallShares small_shares(const std::string& name, std::uint64_t seed = 1);
/// A breakable key that fits every small_model(), made once for a variant.
std::shared_ptr<const paillier::KeyOwner> small_key(unsigned variant = 0);
/// What the encrypted inference must give, bit for bit.
WideVector plaintext_logits(const protocols::ServedModel& model, const WideVector& input);

/// Options for a server of small_model("tiny") that takes small keys.
service::ServerOptions small_server_options();

class RunningServer {
 public:
  explicit RunningServer(service::ServerOptions options = small_server_options());
  ~RunningServer();
  void stop();
  std::uint16_t port() const { return port_; }
  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }
  service::Server& server() { return *server_; }
  std::vector<std::string> log_lines() const;

 private:
  mutable std::mutex log_mutex_;
  std::vector<std::string> log_;
  std::unique_ptr<service::Server> server_;
  std::uint16_t port_ = 0;
  std::thread thread_;
};

struct RawAnswer {
  int status = 0;  ///< 0: the connection ended without an answer
  std::string head, body;
  std::string header(const std::string& lower_case_name) const;
};

/// A socket that sends exactly the bytes it is given: for requests that no HTTP library would make. It may
/// come from any address of 127.0.0.0/8.
class RawConnection {
 public:
  explicit RawConnection(std::uint16_t port, const std::string& from = "");
  ~RawConnection();
  RawConnection(const RawConnection&) = delete;
  RawConnection& operator=(const RawConnection&) = delete;

  /// False when the other side has closed.
  bool send(const std::string& bytes);
  RawAnswer receive();
  /// True when the other side closes within the limit instead of sending more.
  bool closed(int limit_milliseconds = 5000);

 private:
  int fd_ = -1;
  std::string received_;
};

/// One request over a connection of its own.
RawAnswer ask(std::uint16_t port, const std::string& method, const std::string& path,
              const std::string& body = "", const std::string& content_type = "application/json",
              const std::vector<std::pair<std::string, std::string>>& headers = {},
              const std::string& from = "");

/// What the server calls the configuration of its model.
std::string config_id(std::uint16_t port, const std::string& model = "tiny",
                      const std::vector<std::pair<std::string, std::string>>& headers = {});
/// Registers small_key(variant) and gives its id.
std::string register_key(const RunningServer& server, unsigned variant = 0);
/// Opens a session on small_model(model) and gives its id.
std::string open_session(const RunningServer& server, const protocols::ServedModel& model,
                         unsigned variant = 0);
RawAnswer send_round(const RunningServer& server, const std::string& session, std::uint64_t round,
                     ByteView body);

/// A client whose messages are sent by hand, so that it can cheat.
class ClientByHand {
 public:
  /// Registers small_key() and opens a session with the model's first engine; `set_up` of an earlier one, or
  /// nothing.
  ClientByHand(const RunningServer& server, const protocols::ServedModel& model, const WideVector& input,
               const std::shared_ptr<const protocols::ot::KeptSetUp>& set_up = nullptr);
  const std::string& session() const { return id_; }
  /// Whether the server has the set-up too.
  bool resumed() const { return resumed_; }
  bool finished() const { return client_.finished(); }
  std::shared_ptr<const protocols::ot::KeptSetUp> set_up() const { return client_.transfer_set_up(); }
  /// Sends the next message, on request with corrections that are not made of codewords, and takes the
  /// answer. Gives the error's code, empty when there is none.
  std::string send(const RunningServer& server, bool with_wrong_correction = false);
  WideVector finish(const RunningServer& server);
  /// The message of the round that is due, and the client's state machine.
  const Bytes& message() const { return message_; }
  std::uint64_t round() const { return round_; }
  const protocols::ClientSession& client() const { return client_; }
  /// Takes an answer to it that came some other way.
  void take(ByteView answer);

 private:
  std::string id_;
  bool resumed_ = false;
  protocols::ClientSession client_;
  Bytes message_;
  std::uint64_t round_ = 0;
};

std::string as_text(ByteView bytes);
Bytes body_of(const RawAnswer& answer);
/// The field "code" of an error.
std::string error_code(const RawAnswer& answer);

}  // namespace popcorn::test
