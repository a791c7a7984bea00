// Preparations of a stock through a real server: made once, claimed once, used once.
#include <sys/resource.h>
#include <sys/stat.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/file.h"
#include "models/evaluation/plaintext_evaluator.h"
#include "models/file/popcorn_file.h"
#include "service/client/stock.h"
#include "tests/service/service_fixture.h"
#include "tests/support/free_port.h"
#include "tests/support/random_network.h"

using namespace popcorn;
using namespace popcorn::test;

namespace {

namespace fs = std::filesystem;

class Folder {
 public:
  Folder() {
    std::string name = (fs::temp_directory_path() / "popcorn-stock-XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path = name;
  }
  ~Folder() { fs::remove_all(path); }
  fs::path path;
};

std::shared_ptr<const protocols::ServedModel> digits() {
  static const auto model =
      protocols::ServedModel::create(models::read_network("models/requantised/mnist-conv2.popcorn"));
  return model;
}

service::ServerOptions digits_server() {
  service::ServerOptions options = small_server_options();
  options.models = {digits()};
  return options;
}

constexpr const char* kModel = "mnist-conv2";

std::string code_of(const auto& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.code();
  }
  return "";
}

/// A client with a stock, a server that serves one model on shares.
struct Case {
  explicit Case(service::ServerOptions options = digits_server())
      : server(std::move(options)),
        owner(small_key()),
        stock(std::make_shared<const service::Stock>(folder.path / "stock", *owner)) {}

  service::Client client(bool with_stock) {
    service::ClientOptions options;
    options.retry_seconds = 0;
    if (with_stock) options.stock = stock;
    options.note = [this](const std::string& sentence) { notes.push_back(sentence); };
    return service::Client(server.url(), options);
  }

  Folder folder;
  RunningServer server;
  std::shared_ptr<const paillier::KeyOwner> owner;
  std::shared_ptr<const service::Stock> stock;
  std::vector<std::string> notes;
  SeededRng rng{811};
};

std::string ask_claim(const RunningServer& server, const std::string& id, const std::string& name) {
  const RawAnswer answer =
      ask(server.port(), "POST", "/v2/preparations/" + id + "/claim", nlohmann::json{{"claim", name}}.dump());
  return answer.status == 200 ? "" : error_code(answer);
}

/// No file of this process may grow beyond `bytes`: what a full disk looks like to who writes.
class FullDisk {
 public:
  explicit FullDisk(rlim_t bytes) : handler_(std::signal(SIGXFSZ, SIG_IGN)) {
    REQUIRE(::getrlimit(RLIMIT_FSIZE, &before_) == 0);
    const rlimit full{bytes, before_.rlim_max};
    REQUIRE(::setrlimit(RLIMIT_FSIZE, &full) == 0);
  }
  ~FullDisk() {
    ::setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, handler_);
  }
  FullDisk(const FullDisk&) = delete;
  FullDisk& operator=(const FullDisk&) = delete;

 private:
  rlimit before_{};
  void (*handler_)(int);
};

std::string sentence_of(const auto& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

}  // namespace

TEST_CASE("Answers from a stock are those of a session, and each preparation gives one", "[stock]") {
  Case made;
  service::Client client = made.client(true);
  const protocols::ClientBundle bundle = client.bundle(kModel);
  for (int i = 0; i < 2; ++i) made.stock->add(client.prepare(bundle, made.owner));
  CHECK(made.stock->count(client.url(), bundle.config_id) == 2);
  CHECK(nlohmann::json::parse(ask(made.server.port(), "GET", "/v2/preparations").body).at("prepared") == 2);
  for (int i = 0; i < 3; ++i) {
    CAPTURE(i);
    const WideVector input = random_input(made.rng, digits()->network());
    const service::InferenceResult result = client.infer(bundle, made.owner, input);
    CHECK(result.from_stock == (i < 2));
    CHECK(result.logits == models::evaluate(digits()->network(), input));
  }
  CHECK(made.stock->list().empty());
  CHECK(fs::is_empty(made.stock->folder()));
  REQUIRE(made.notes.size() == 1);
  CHECK(made.notes[0].find("no preparation") != std::string::npos);
  CHECK(nlohmann::json::parse(ask(made.server.port(), "GET", "/v2/preparations").body).at("prepared") == 0);
}

TEST_CASE("A preparation takes no input before its claim, and one claimer alone", "[stock]") {
  Case made;
  service::Client client = made.client(false);
  const protocols::ClientBundle bundle = client.bundle(kModel);
  const service::Preparation prepared = client.prepare(bundle, made.owner);
  const std::string& id = prepared.facts.id;
  const std::string path = "/v2/preparations/" + id;
  const auto told = nlohmann::json::parse(ask(made.server.port(), "GET", path).body);
  CHECK(told.at("state") == "prepared");
  CHECK(told.at("claimed") == false);
  const std::uint64_t next = told.at("next_round");
  CHECK(told.at("preparation_rounds") == next);

  const auto session = protocols::ClientSession::restore(bundle, made.owner, prepared.session);
  const WideVector input = random_input(made.rng, digits()->network());
  const ByteView first = session->provide(input);
  CHECK(error_code(send_round(made.server, id, next, first)) == "preparation.unclaimed");
  CHECK(ask_claim(made.server, id, "short") == "preparation.name");
  const std::string mine(32, 'a');
  CHECK(ask_claim(made.server, id, mine).empty());
  CHECK(ask_claim(made.server, id, mine).empty());  // the answer was lost
  CHECK(ask_claim(made.server, id, std::string(32, 'b')) == "preparation.used");
  std::optional<ByteView> message = first;
  while (message) {
    const RawAnswer answer = send_round(made.server, id, session->round(), *message);
    REQUIRE(answer.status == 200);
    message = session->handle(body_of(answer));
  }
  CHECK(session->logits() == models::evaluate(digits()->network(), input));
  CHECK(ask_claim(made.server, id, mine).empty());
  CHECK(error_code(send_round(made.server, id, next, first)) == "round.out_of_order");
}

TEST_CASE("A copied stock gives nothing a second time", "[stock]") {
  Case made;
  service::Client client = made.client(true);
  const protocols::ClientBundle bundle = client.bundle(kModel);
  made.stock->add(client.prepare(bundle, made.owner));
  const fs::path copy = made.folder.path / "copy";
  fs::copy(made.stock->folder(), copy, fs::copy_options::recursive);
  const WideVector input = random_input(made.rng, digits()->network());
  CHECK(client.infer(bundle, made.owner, input).from_stock);
  for (const auto& entry : fs::directory_iterator(copy))
    fs::copy(entry.path(), made.stock->folder() / entry.path().filename());
  const WideVector other = random_input(made.rng, digits()->network());
  const service::InferenceResult result = client.infer(bundle, made.owner, other);
  CHECK_FALSE(result.from_stock);
  CHECK(result.logits == models::evaluate(digits()->network(), other));
  REQUIRE(made.notes.size() == 2);
  CHECK(made.notes[0].find("dropped") != std::string::npos);
}

TEST_CASE("What a server does not know any more is dropped with a sentence, and a session begins",
          "[stock]") {
  Case made;
  service::Client client = made.client(true);
  const protocols::ClientBundle bundle = client.bundle(kModel);
  const service::Preparation prepared = client.prepare(bundle, made.owner);
  made.stock->add(prepared);
  CHECK(ask(made.server.port(), "DELETE", "/v2/preparations/" + prepared.facts.id).status == 204);
  const WideVector input = random_input(made.rng, digits()->network());
  const service::InferenceResult result = client.infer(bundle, made.owner, input);
  CHECK_FALSE(result.from_stock);
  CHECK(result.logits == models::evaluate(digits()->network(), input));
  REQUIRE(made.notes.size() == 2);
  CHECK(made.notes[0].find("dropped") != std::string::npos);
  CHECK(made.stock->list().empty());
}

TEST_CASE("Preparations have limits of their own, and sessions are not among them", "[stock]") {
  service::ServerOptions options = digits_server();
  options.preparations_per_token = 1;
  options.max_sessions = 2;
  Case made(options);
  service::Client client = made.client(false);
  const protocols::ClientBundle bundle = client.bundle(kModel);
  const service::Preparation first = client.prepare(bundle, made.owner);
  CHECK(code_of([&] { client.prepare(bundle, made.owner); }) == "caller.preparations");
  const WideVector input = random_input(made.rng, digits()->network());
  CHECK(client.infer(bundle, made.owner, input).logits == models::evaluate(digits()->network(), input));
  CHECK(ask(made.server.port(), "DELETE", "/v2/preparations/" + first.facts.id).status == 204);
  client.prepare(bundle, made.owner);

  service::ServerOptions none = digits_server();
  none.max_preparations = 0;
  Case refused(none);
  CHECK(code_of([&] { refused.client(false).prepare(bundle, made.owner); }) == "config.gone");
  service::Client other = refused.client(false);
  CHECK(code_of([&] { other.prepare(other.bundle(kModel), made.owner); }) == "server.preparations");
}

TEST_CASE("A preparation that nobody uses ends, and counts no more", "[stock]") {
  service::ServerOptions options = digits_server();
  options.preparation_lifetime_seconds = 1;
  options.preparations_per_token = 1;
  Case made(options);
  service::Client client = made.client(true);
  const protocols::ClientBundle bundle = client.bundle(kModel);
  const service::Preparation first = client.prepare(bundle, made.owner);
  made.stock->add(first);
  std::string code;
  for (int i = 0; i < 100 && code != "session.gone"; ++i) {  // a second, and the sweep
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    const RawAnswer answer = ask(made.server.port(), "GET", "/v2/preparations/" + first.facts.id);
    code = answer.status == 200 ? "" : error_code(answer);
  }
  CHECK(code == "session.gone");
  CHECK(ask_claim(made.server, first.facts.id, std::string(32, 'c')) == "session.gone");
  CHECK(made.stock->list().at(0).problem == "expired");
  CHECK(made.stock->prune() == 0);  // within a day it may be the clock
  const service::Stock tomorrow(made.stock->folder(), *made.owner,
                                [] { return std::chrono::system_clock::now() + std::chrono::hours(25); });
  CHECK(tomorrow.prune() == 1);
  client.prepare(bundle, made.owner);
}

TEST_CASE("An engine that needs the input first makes no preparations", "[stock]") {
  const RunningServer server;
  service::Client client(server.url());
  CHECK(code_of([&] { client.prepare(client.bundle("tiny"), small_key()); }) == "session.preparation");
  register_key(server, 0);
  const nlohmann::json wanted = {{"key_id", to_hex(small_key()->public_key().fingerprint())},
                                 {"config_id", config_id(server.port())}};
  const RawAnswer answer = ask(server.port(), "POST", "/v2/models/tiny/preparations", wanted.dump());
  CHECK(answer.status == 422);
  CHECK(error_code(answer) == "session.preparation");
}

TEST_CASE("A stock's files are sealed, for one key pair, and damage is told", "[stock]") {
  const Folder folder;
  const service::Stock stock(folder.path / "s", *small_key());
  const auto in_an_hour =
      std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now()) + std::chrono::hours(1);
  const std::string secret = "shares and seeds that nobody else may read";
  const auto make = [&](const std::string& id) {
    service::Preparation one{{"http://a", "m", "c", "shares", id, in_an_hour, 3, 4, 5}, {}};
    one.session.assign(secret.begin(), secret.end());
    return one;
  };
  stock.add(make("01"));
  const fs::path file = folder.path / "s" / "01.preparation";
  CHECK(as_text(read_file(file)).find("nobody else") == std::string::npos);
  CHECK((fs::status(file).permissions() & fs::perms::mask) ==
        (fs::perms::owner_read | fs::perms::owner_write));
  CHECK((fs::status(folder.path / "s").permissions() & fs::perms::mask) == fs::perms::owner_all);
  CHECK(stock.list(true).at(0).problem.empty());
  CHECK(stock.count("http://a", "c") == 1);
  CHECK(stock.count("http://b", "c") == 0);
  CHECK(stock.count("http://a", "d") == 0);
  CHECK(service::Stock(folder.path / "s", *small_key(1)).list(true).at(0).problem.find("another key pair") !=
        std::string::npos);
  CHECK_FALSE(stock.take("http://b", "c"));

  const Bytes whole = read_file(file);
  SeededRng rng(5);
  for (int trial = 0; trial < 60; ++trial) {
    Bytes damaged = whole;
    if (trial % 3 == 0) {
      damaged.resize(rng.below(damaged.size()));
    } else {
      damaged[rng.below(damaged.size())] ^= static_cast<std::uint8_t>(1U << rng.below(8));
    }
    write_file(file, damaged, 0600);
    CAPTURE(trial);
    CHECK_FALSE(stock.list(true).at(0).problem.empty());
    CHECK_FALSE(service::Stock(folder.path / "s", *small_key()).take("http://a", "c"));
    fs::remove(folder.path / "s" / "01.used");
    fs::remove(file);
  }
  // Of many takers each preparation has one.
  for (int i = 10; i < 40; ++i) stock.add(make(std::to_string(i)));
  std::atomic<int> taken{0};
  std::vector<std::thread> takers;
  for (int t = 0; t < 4; ++t) {
    takers.emplace_back([&] {
      const service::Stock mine(folder.path / "s", *small_key());
      while (const auto one = mine.take("http://a", "c")) {
        taken += as_text(one->session) == secret ? 1 : 1000;
        mine.forget(one->facts);
      }
    });
  }
  for (std::thread& taker : takers) taker.join();
  CHECK(taken == 30);
  CHECK(fs::is_empty(folder.path / "s"));

  // A restored backup under the name of one that is in use is not taken.
  stock.add(make("50"));
  fs::copy(folder.path / "s" / "50.preparation", folder.path / "backup");
  CHECK(stock.take("http://a", "c"));
  fs::copy(folder.path / "backup", folder.path / "s" / "50.preparation");
  CHECK_FALSE(stock.take("http://a", "c"));

  // A clock that jumped: what has expired is not taken, and is there again when the clock is right.
  const service::Stock later(folder.path / "l", *small_key(),
                             [] { return std::chrono::system_clock::now() + std::chrono::hours(2); });
  later.add(make("60"));
  CHECK(later.list().at(0).problem == "expired");
  CHECK_FALSE(later.take("http://a", "c"));
  CHECK(later.prune() == 0);
  CHECK(service::Stock(folder.path / "l", *small_key()).take("http://a", "c"));

  // What a process was killed over is removed when nobody can be at it any more.
  const fs::path half = folder.path / "l" / "70.preparation.AbCdEf";
  write_file(half, as_bytes(secret), 0600);
  CHECK(later.prune() == 0);
  fs::last_write_time(half, fs::file_time_type::clock::now() - std::chrono::hours(25));
  CHECK(later.prune() == 1);
  CHECK_FALSE(fs::exists(half));

  REQUIRE(::chmod((folder.path / "l").c_str(), 0755) == 0);
  CHECK(code_of([&] { service::Stock(folder.path / "l", *small_key()); }) == "stock.permissions");
}

TEST_CASE("A server with a preparation store that is started again answers from the stock", "[stock]") {
  Folder folder;
  service::ServerOptions options = digits_server();
  options.port = free_port();
  options.preparation_store = (folder.path / "store").string();
  const auto stock = std::make_shared<const service::Stock>(folder.path / "stock", *small_key());
  std::vector<std::string> notes;
  service::ClientOptions connection;
  connection.stock = stock;
  connection.note = [&](const std::string& sentence) { notes.push_back(sentence); };
  auto server = std::make_unique<RunningServer>(options);
  service::Client client(server->url(), connection);
  const protocols::ClientBundle bundle = client.bundle(kModel);
  SeededRng rng(17);
  const auto answer = [&](bool from_stock) {
    const WideVector input = random_input(rng, digits()->network());
    const service::InferenceResult result = client.infer(bundle, small_key(), input);
    CHECK(result.from_stock == from_stock);
    CHECK(result.logits == models::evaluate(digits()->network(), input));
  };
  const auto prepared = [&] {
    return nlohmann::json::parse(ask(options.port, "GET", "/v2/preparations").body).at("prepared").get<int>();
  };
  for (int i = 0; i < 3; ++i) stock->add(client.prepare(bundle, small_key()));
  answer(true);
  CHECK(prepared() == 2);
  fs::copy(folder.path / "store", folder.path / "backup", fs::copy_options::recursive);
  server.reset();
  server = std::make_unique<RunningServer>(options);
  CHECK(prepared() == 2);
  CHECK(client.bundle(kModel).config_id == bundle.config_id);
  answer(true);
  CHECK(notes.empty());
  // A backup of the server's store, and one of the client's stock, bring back nothing.
  fs::copy(folder.path / "stock", folder.path / "stock-backup", fs::copy_options::recursive);
  answer(true);
  server.reset();
  fs::copy(folder.path / "backup", folder.path / "store",
           fs::copy_options::recursive | fs::copy_options::overwrite_existing);
  fs::copy(folder.path / "stock-backup", folder.path / "stock", fs::copy_options::recursive);
  server = std::make_unique<RunningServer>(options);
  CHECK(prepared() == 0);
  answer(false);
  REQUIRE(notes.size() == 2);
  CHECK(notes[0].find("dropped") != std::string::npos);

  service::ServerOptions both = options;
  both.session_store = "redis://127.0.0.1:1/0";
  CHECK(code_of([&] { const service::Server refused(both); }) == "server.preparation_store");
  service::ServerOptions log = options;
  log.claim_log = (folder.path / "claims").string();
  CHECK(code_of([&] { const service::Server refused(log); }) == "server.claim_log");
}

TEST_CASE("A full disk of the client or the server is one sentence, and nothing is lost or used twice",
          "[stock]") {
  Folder folder;
  service::ServerOptions options = digits_server();
  options.preparation_store = (folder.path / "store").string();
  Case made(options);
  service::Client client = made.client(true);
  const protocols::ClientBundle bundle = client.bundle(kModel);
  made.stock->add(client.prepare(bundle, made.owner));
  const auto files = [](const fs::path& of) {
    return std::distance(fs::directory_iterator(of), fs::directory_iterator());
  };
  {
    const FullDisk full(1000);
    const std::string sentence = sentence_of([&] { client.prepare(bundle, made.owner); });
    CHECK(sentence.find("its disk takes no more; prepare again later") != std::string::npos);
    CHECK(files(folder.path / "store") == 2);  // the key and what was prepared before
  }
  CHECK(nlohmann::json::parse(ask(made.server.port(), "GET", "/v2/preparations").body).at("prepared") == 1);
  const service::Preparation another = client.prepare(bundle, made.owner);
  {
    const FullDisk full(1000);
    CHECK(sentence_of([&] { made.stock->add(another); }).find("cannot write") != std::string::npos);
    CHECK(files(made.stock->folder()) == 1);
  }
  // What is in the stock needs no place on the disk.
  const WideVector input = random_input(made.rng, digits()->network());
  {
    const FullDisk full(0);
    const service::InferenceResult result = client.infer(bundle, made.owner, input);
    CHECK(result.from_stock);
    CHECK(result.logits == models::evaluate(digits()->network(), input));
  }
  made.stock->add(another);
  CHECK(client.infer(bundle, made.owner, input).from_stock);
  CHECK(files(made.stock->folder()) == 0);
  CHECK(files(folder.path / "store") == 1);
}

TEST_CASE("A stock of another version of the program is told from damage, and left alone", "[stock]") {
  Case made;
  service::Client client = made.client(true);
  const protocols::ClientBundle bundle = client.bundle(kModel);
  const service::Preparation prepared = client.prepare(bundle, made.owner);
  made.stock->add(prepared);
  const fs::path file = made.stock->folder() / (prepared.facts.id + ".preparation");
  Bytes older = read_file(file);
  older[4] ^= 0x7f;  // the version, after the four bytes that say what it is
  write_file(file, older, 0600);
  CHECK(made.stock->list().at(0).problem == "another version of popcorn made it; prepare anew with this one");
  CHECK(made.stock->count(client.url(), bundle.config_id) == 0);
  const WideVector input = random_input(made.rng, digits()->network());
  CHECK_FALSE(client.infer(bundle, made.owner, input).from_stock);
  REQUIRE(made.notes.size() == 1);
  CHECK(made.notes[0].find("1 of its files cannot be used (another version of popcorn made it") !=
        std::string::npos);
  CHECK(fs::exists(file));
  CHECK(made.stock->prune() == 1);
}
