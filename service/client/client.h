// The Popcorn client as a library: classify a picture on a server that does not see it. This header needs
// nothing but the standard library; link popcorn::client.
//
// Everything throws popcorn::Error or a class derived from it (base/error.h): NetworkError, AuthError,
// RefusedError (busy, over a limit, not served), InputError (bad key, picture or answer), UsageError,
// IoError.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"

#define POPCORN_CLIENT_API __attribute__((visibility("default")))

namespace popcorn::client {

struct Options {
  std::string token;    ///< sent as "Authorization: Bearer"; empty = none
  std::string ca_file;  ///< PEM of the authorities to trust for https; empty = the system's
  std::string client_certificate_file, client_key_file;  ///< PEM, for servers that ask for a certificate
  unsigned connect_timeout_seconds = 10;
  unsigned round_timeout_seconds = 600;
  std::string sign_test;  ///< "oblivious", "blinded"; empty = the server's preference
  std::string engine;     ///< "ciphertext", "shares", "shares-fast"; empty = the server's preference
  /// Folder of preparations, for its owner alone, that classify() takes from; a StockKeeper fills it. Empty =
  /// none. With an engine that prepares ("shares", "shares-fast").
  std::string stock_folder;
  const std::atomic<bool>* cancel = nullptr;  ///< set it to end an inference from another thread or a signal
};

/// A Paillier key pair: who holds it can read what is encrypted under it. Cheap to copy, thread-safe.
class POPCORN_CLIENT_API Key {
 public:
  /// A fresh pair in memory; takes about a second. @param bits 2048, 3072 or 4096. @throws UsageError
  /// "key.bits"
  static Key generate(unsigned bits = 3072);
  /// Reads a file of `popcorn keygen`. @throws IoError, InputError "key.*"
  static Key read(const std::string& file);
  /// Writes such a file, for its owner alone (0600). @throws IoError
  void write(const std::string& file) const;
  /// From the JSON of such a file or python-paillier's private key in JSON. @throws InputError "key.*"
  static Key from_json(const std::string& json);
  /// The secret key in that form.
  std::string to_json() const;

  unsigned bits() const noexcept;
  /// SHA-256 of the public key, 64 hexadecimal digits.
  std::string fingerprint() const;

  struct Parts;
  explicit Key(std::shared_ptr<const Parts> parts) : parts_(std::move(parts)) {}
  const Parts& parts() const noexcept { return *parts_; }

 private:
  std::shared_ptr<const Parts> parts_;
};

/// Rows from top to bottom; each pixel has `channels` samples: 1 grey, 3 red, green, blue.
struct Picture {
  std::int64_t width = 0, height = 0, channels = 1;
  std::vector<std::uint8_t> samples;
};

struct Answer {
  std::size_t index = 0;
  std::string label;  ///< class name, or the index when the model has none
  std::optional<double> probability;
  std::vector<std::string>
      logits;  ///< exact integers in decimal; empty when the server gives the label alone
  double seconds = 0;
  std::uint64_t bytes_up = 0, bytes_down = 0, rounds = 0;
  bool from_stock = false;  ///< figures are those of the online phase then
};

/// A model on a server: what has to be known to encrypt for it. Never its weights. Cheap to copy.
class POPCORN_CLIENT_API Model {
 public:
  const std::string& name() const noexcept;
  const std::vector<std::string>& labels() const noexcept;
  /// The input as the network takes it.
  std::int64_t channels() const noexcept;
  std::int64_t height() const noexcept;
  std::int64_t width() const noexcept;

  struct Parts;
  explicit Model(std::shared_ptr<const Parts> parts) : parts_(std::move(parts)) {}
  const Parts& parts() const noexcept { return *parts_; }

 private:
  std::shared_ptr<const Parts> parts_;
};

/// Called before each round of an inference: rounds done, rounds in all, and what the next is about. An
/// exception from it ends the inference.
using Progress = std::function<void(std::uint64_t done, std::uint64_t rounds, const std::string& step)>;

/// A connection to one server. One thread at a time.
class POPCORN_CLIENT_API Client {
 public:
  /// @param url "http://host:port" or "https://host[:port]". @throws UsageError "client.url"
  explicit Client(const std::string& url, Options options = {});
  ~Client();
  Client(Client&&) noexcept;
  Client& operator=(Client&&) noexcept;

  /// Names of the models that the server has.
  std::vector<std::string> models();
  /// @throws RefusedError "model.not_found" that lists what is served
  Model model(const std::string& name);
  /// One inference: encrypts here, computes there, decrypts here. The picture is resized and its colours are
  /// adapted as the model wants them.
  Answer classify(const Model& model, const Key& key, const Picture& picture, const Progress& progress = {});
  /// The same for an input that is encoded already: channels·height·width integers in the model's range.
  Answer classify(const Model& model, const Key& key, const std::vector<std::int64_t>& input,
                  const Progress& progress = {});

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Keeps preparations for one model ready while it lives, in a thread and on a connection of its own, so that
/// answers take their online phase alone. Each is used once, by whoever takes it first.
class POPCORN_CLIENT_API StockKeeper {
 public:
  /// @param model its name on the server
  /// @param key of the clients that will take; the folder's files open with it alone
  /// @param count to keep ready
  /// @param options engine and stock_folder must be given. @throws UsageError "client.stock"; InputError
  /// "stock.permissions", IoError for the folder
  StockKeeper(const std::string& url, const std::string& model, const Key& key, std::size_t count,
              Options options);
  /// Within about a second.
  ~StockKeeper();
  StockKeeper(StockKeeper&&) noexcept;
  StockKeeper& operator=(StockKeeper&&) noexcept;

  /// How many were ready when it looked last: every other second.
  std::size_t ready() const;
  /// Why it could make none when it tried last, a server that is busy or away for instance; it goes on
  /// trying. Empty = all is well.
  std::string problem() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace popcorn::client
