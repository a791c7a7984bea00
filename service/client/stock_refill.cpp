#include "service/client/stock_refill.h"

#include "base/error.h"

namespace popcorn::service {

namespace {

ClientOptions with_cancel(ClientOptions connection, const std::atomic<bool>& flag) {
  connection.cancel = &flag;
  return connection;
}

}  // namespace

StockRefill::StockRefill(Client& client, const Stock& stock, std::shared_ptr<const paillier::KeyOwner> owner,
                         std::string model)
    : client_(client), stock_(stock), owner_(std::move(owner)), model_(std::move(model)) {}

void StockRefill::fill(std::size_t wanted, const Progress& progress,
                       const std::function<void(const PreparationFacts&)>& made,
                       const std::function<bool()>& stop) {
  const protocols::ClientBundle bundle = client_.bundle(model_);
  count_.dropped += stock_.prune(!has_looked_) + stock_.forget_other(client_.url(), model_, bundle.config_id);
  has_looked_ = true;  // at what the files hold: a daemon does not read them all every two seconds
  count_.ready = stock_.count(client_.url(), bundle.config_id);
  while (count_.ready < wanted && !stop()) {
    const Preparation preparation = client_.prepare(bundle, owner_, progress);
    try {
      stock_.add(preparation);
    } catch (const IoError&) {
      client_.forget(preparation.facts);
      throw;
    }
    ++count_.ready;
    ++count_.made;
    count_.bytes_up += preparation.facts.bytes_up;
    count_.bytes_down += preparation.facts.bytes_down;
    if (made) made(preparation.facts);
  }
}

StockKeeper::StockKeeper(Options options, std::shared_ptr<const paillier::KeyOwner> owner)
    : options_(std::move(options)),
      stock_(options_.folder, *owner),
      client_(options_.url, with_cancel(options_.connection, stop_)),
      refill_(client_, stock_, std::move(owner), options_.model),
      thread_([this] { run(); }) {}

StockKeeper::~StockKeeper() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

StockRefill::Count StockKeeper::count() const {
  const std::lock_guard lock(mutex_);
  return count_;
}

std::string StockKeeper::problem() const {
  const std::lock_guard lock(mutex_);
  return problem_;
}

void StockKeeper::look() {
  std::string problem;
  try {
    refill_.fill(
        options_.count, {},
        [this](const PreparationFacts&) {
          const std::lock_guard lock(mutex_);
          count_ = refill_.count();
        },
        [this] { return stop_.load(); });
  } catch (const Error& error) {
    problem = error.what();
  }
  const std::lock_guard lock(mutex_);
  count_ = refill_.count();
  problem_ = std::move(problem);
}

void StockKeeper::run() {
  std::unique_lock lock(mutex_);
  while (!stop_) {
    lock.unlock();
    look();
    lock.lock();
    const auto pause = problem_.empty() ? options_.look : options_.patience;
    wake_.wait_for(lock, pause, [this] { return stop_.load(); });
  }
}

}  // namespace popcorn::service
