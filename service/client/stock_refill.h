// Makes what a stock of preparations lacks for one model of one server, once or in the background.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "service/client/rest_client.h"
#include "service/client/stock.h"

namespace popcorn::service {

/// Not thread-safe.
class StockRefill {
 public:
  struct Count {
    std::size_t ready = 0;    ///< for the model as the server has it now
    std::size_t made = 0;     ///< by this object
    std::size_t dropped = 0;  ///< removed as of no more use
    std::uint64_t bytes_up = 0, bytes_down = 0;
  };

  /// @param client and stock outlive this
  StockRefill(Client& client, const Stock& stock, std::shared_ptr<const paillier::KeyOwner> owner,
              std::string model);

  /// Makes preparations until `wanted` are ready, or `stop` says so. After an exception count() has what was
  /// made. @param progress of the one that is made @param made called after each
  /// @throws as Client::prepare(); IoError when the stock's disk takes no more: what was being made is
  /// deleted at the server
  void fill(
      std::size_t wanted, const Progress& progress = {},
      const std::function<void(const PreparationFacts&)>& made = {},
      const std::function<bool()>& stop = [] { return false; });
  const Count& count() const noexcept { return count_; }

 private:
  Client& client_;
  const Stock& stock_;
  const std::shared_ptr<const paillier::KeyOwner> owner_;
  const std::string model_;
  Count count_;
  bool has_looked_ = false;
};

/// Keeps so many ready, in a thread and on a connection of its own, until it goes away. Thread-safe.
class StockKeeper {
 public:
  struct Options {
    std::string url, model;
    ClientOptions connection;  ///< `cancel` is set here
    std::filesystem::path folder;
    std::size_t count = 1;
    std::chrono::milliseconds look{2000};        ///< how often it looks at the stock
    std::chrono::milliseconds patience{30'000};  ///< after a server was busy or away, or a disk full
  };
  /// @throws as Stock and Client
  StockKeeper(Options options, std::shared_ptr<const paillier::KeyOwner> owner);
  /// Within a second; what was being made is deleted at the server.
  ~StockKeeper();
  StockKeeper(const StockKeeper&) = delete;
  StockKeeper& operator=(const StockKeeper&) = delete;

  StockRefill::Count count() const;
  /// Why the last attempt made nothing; empty when it did.
  std::string problem() const;

 private:
  void run();
  void look();

  const Options options_;
  std::atomic<bool> stop_{false};
  const Stock stock_;
  Client client_;
  StockRefill refill_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  StockRefill::Count count_;
  std::string problem_;
  std::thread thread_;
};

}  // namespace popcorn::service
