// The client library: against a real server, and as somebody else's program finds it after an installation.
#include <catch2/catch.hpp>

#include "base/file.h"
#include "models/datasets/image_reading.h"
#include "models/evaluation/plaintext_evaluator.h"
#include "service/client/client.h"
#include "tests/cli/command_line.h"
#include "tests/cli/small_network.h"
#include "tests/support/eventually.h"

namespace popcorn::test {

namespace {

const std::string kSample = "models/samples/3_1.png";
constexpr std::chrono::seconds kLong{120};  // a preparation at 2048 bits on a machine that is busy

client::Picture picture_of(const std::string& path) {
  const models::Image image = datasets::read_image(path);
  return {image.width, image.height, image.channels, image.samples};
}

/// The first channel as a binary PGM.
std::string write_pgm(const std::string& path, const client::Picture& picture) {
  std::string text =
      "P5\n" + std::to_string(picture.width) + " " + std::to_string(picture.height) + "\n255\n";
  for (std::size_t i = 0; i < picture.samples.size(); i += static_cast<std::size_t>(picture.channels))
    text += static_cast<char>(picture.samples[i]);
  write_file(path, as_bytes(text));
  return path;
}

void must_run(const std::vector<std::string>& argv) {
  const ProcessResult result = run_process(argv);
  INFO(result.out);
  INFO(result.err);
  REQUIRE(result.exit_code == 0);
}

}  // namespace

TEST_CASE("The library classifies as the plaintext network does", "[client_library]") {
  const TemporaryFolder folder;
  const RunningServer server(write_small_network(folder.path("small.popcorn")));
  client::Client client(server.url());
  CHECK(client.models() == std::vector<std::string>{"small", "small.label"});
  const client::Model model = client.model("small");
  CHECK((model.channels() == 1 && model.height() == 28 && model.width() == 28));
  const client::Key key = client::Key::generate(2048);
  CHECK(key.bits() == 2048);
  CHECK(key.fingerprint().size() == 64);

  const models::IntegerNetwork network = small_network();
  const WideVector input = models::encode_image(network.encoding, datasets::read_image(kSample));
  const WideVector expected = models::evaluate(network, input);
  const client::Answer answer = client.classify(model, key, picture_of(kSample));
  REQUIRE(answer.logits.size() == expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i) CHECK(answer.logits[i] == expected.to_decimal(i));
  CHECK(answer.rounds > 1);

  std::vector<std::int64_t> integers;
  for (std::size_t i = 0; i < input.size(); ++i) integers.push_back(input.to_int64(i));
  CHECK(client.classify(model, key, integers).logits == answer.logits);
  const client::Answer label = client.classify(client.model("small.label"), key, picture_of(kSample));
  CHECK(label.logits.empty());
  CHECK(label.index == answer.index);

  integers.pop_back();
  CHECK_THROWS_AS(client.classify(model, key, integers), InputError);
  CHECK_THROWS_AS(client.model("other"), RefusedError);
  CHECK_THROWS_AS(client::Client("ftp://x"), UsageError);
  CHECK_THROWS_AS(client::Key::generate(1024), UsageError);
  CHECK_THROWS_AS(client::Key::read(folder.path("missing.json")), IoError);
}

TEST_CASE("The library keeps a stock in the background, and answers come from it",
          "[client_library][stock]") {
  const TemporaryFolder folder;
  const RunningServer server("mnist-conv2", {"--engine", "shares"});
  const client::Key key = client::Key::generate(2048);
  client::Options options;
  options.engine = "shares";
  client::Client without(server.url(), options);
  options.stock_folder = folder.path("stock");
  client::StockKeeper keeper(server.url(), "mnist-conv2", key, 2, options);
  REQUIRE(eventually([&] { return keeper.ready() == 2; }, kLong));
  CHECK(keeper.problem().empty());
  client::Client with(server.url(), options);
  const client::Model model = with.model("mnist-conv2");
  const client::Answer expected = without.classify(without.model("mnist-conv2"), key, picture_of(kSample));
  CHECK_FALSE(expected.from_stock);
  for (int i = 0; i < 2; ++i) {
    const client::Answer answer = with.classify(model, key, picture_of(kSample));
    CHECK(answer.from_stock);
    CHECK(answer.logits == expected.logits);
    CHECK(answer.rounds < expected.rounds);
  }
  CHECK(eventually([&] { return keeper.ready() == 2; }, kLong));  // refilled

  const client::StockKeeper missing(server.url(), "mnist-none", key, 1, options);
  CHECK(eventually([&] { return missing.problem().find("There is no model") != std::string::npos; }, kLong));
  options.stock_folder.clear();
  CHECK_THROWS_AS(client::StockKeeper(server.url(), "mnist-conv2", key, 1, options), UsageError);
}

TEST_CASE("The example builds against an installed copy and says the label", "[client_library]") {
  const TemporaryFolder folder;
  const std::string prefix = folder.path("installed");
  const std::string build = folder.path("build");
  must_run(
      {CMAKE_EXECUTABLE, "--install", POPCORN_BUILD_FOLDER, "--component", "client", "--prefix", prefix});
  must_run({CMAKE_EXECUTABLE, "-S", "examples/classify", "-B", build,
            std::string("-DCMAKE_CXX_COMPILER=") + CXX_COMPILER, "-DCMAKE_PREFIX_PATH=" + prefix,
            std::string("-DCMAKE_CXX_FLAGS=") + SANITIZER_FLAGS});
  must_run({CMAKE_EXECUTABLE, "--build", build});

  const RunningServer server(write_small_network(folder.path("small.popcorn")));
  const client::Picture picture = picture_of(kSample);
  const std::string pgm = write_pgm(folder.path("digit.pgm"), picture);
  const ProcessResult result = run_process({build + "/classify", server.url(), "small", pgm});
  INFO(result.err);
  REQUIRE(result.exit_code == 0);
  const models::IntegerNetwork network = small_network();
  const WideVector logits =
      models::evaluate(network, models::encode_image(network.encoding, datasets::read_image(pgm)));
  std::size_t best = 0;
  for (std::size_t i = 1; i < logits.size(); ++i) {
    if (WideVector::compare(logits, i, logits, best) > 0) best = i;
  }
  CHECK(result.out == std::to_string(best) + "\n");

  const ProcessResult failed = run_process({build + "/classify", "http://127.0.0.1:1", "small", pgm});
  CHECK(failed.exit_code == 5);
  CHECK_THAT(failed.err, Catch::Contains("[network.unreachable]"));
}

}  // namespace popcorn::test
