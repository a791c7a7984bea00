#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <filesystem>

#include "base/file.h"
#include "tests/cli/command_line.h"
#include "tests/cli/small_network.h"

namespace popcorn::test {

namespace {

/// Exit code 3 or what was expected, one line that starts as all errors do, and nothing on standard output.
void check_error(const ProcessResult& result, int exit_code, const std::string& named) {
  INFO(result.err);
  CHECK(result.exit_code == exit_code);
  CHECK(result.out.empty());
  CHECK_THAT(result.err, Catch::Contains("popcorn: error: ") && Catch::Contains(named));
}

std::vector<std::string> infer(const std::string& image, const std::string& url = "http://127.0.0.1:9") {
  return with_test_key({"infer", "--server", url, "--model", "small", image});
}

}  // namespace

TEST_CASE("A model that is neither a file nor shipped is named, with those that are", "[command_line]") {
  check_error(popcorn({"inspect", "mnist-conv9"}), 3, "mnist-conv9");
  check_error(popcorn({"serve", "mnist-conv9"}), 3, "mnist-conv9");
  check_error(popcorn({"demo", "--model", "mnist-conv9"}), 3, "mnist-conv9");
  check_error(popcorn({"inspect", "/nonexistent/x.popcorn"}), 4, "/nonexistent/x.popcorn");
}

TEST_CASE("A damaged model file is refused by every command that reads one", "[command_line]") {
  const TemporaryFolder folder;
  const std::string path = write_small_network(folder.path("small.popcorn"));
  const Bytes whole = read_file(path);
  Bytes changed = whole;
  changed[20] ^= 0x7f;
  const Bytes cut(whole.begin(), whole.end() - 7);
  for (const Bytes& damaged : {changed, cut, Bytes{}, Bytes(100, 0xff)}) {
    write_file(path, damaged);
    for (const char* subcommand : {"inspect", "verify", "serve"})
      check_error(popcorn({subcommand, path}), 3, path);
    check_error(popcorn({"evaluate", path, "--data", folder.path("")}), 3, path);
    check_error(popcorn({"demo", "--model", path}), 3, path);
  }
}

TEST_CASE("Damaged and absent pictures are named before the server is asked", "[command_line]") {
  const TemporaryFolder folder;
  check_error(popcorn(infer(folder.path("absent.png"))), 4, "absent.png");
  write_file(folder.path("text.png"), as_bytes("this is no picture"));
  check_error(popcorn(infer(folder.path("text.png"))), 3, "text.png");
  Bytes cut = read_file("models/samples/3_1.png");
  cut.resize(cut.size() - 40);
  write_file(folder.path("cut.png"), cut);
  check_error(popcorn(infer(folder.path("cut.png"))), 3, "cut.png");
  check_error(popcorn(infer(folder.path(""))), 4, folder.path(""));
}

TEST_CASE("Damaged, foreign and exposed keys are refused", "[command_line]") {
  const TemporaryFolder folder;
  const std::string key = folder.path("key.json");
  const std::string public_key = folder.path("public.json");
  REQUIRE(popcorn(with_test_key({"keygen", "-o", key, "--public-out", public_key})).exit_code == 0);
  const auto infer_with_key = [](const std::string& file) {
    return popcorn({"infer", "--server", "http://127.0.0.1:9", "--model", "small", "--insecure-test-key",
                    "--key", file, "models/samples/3_1.png"});
  };
  check_error(infer_with_key(folder.path("absent.json")), 4, "absent.json");

  constexpr unsigned kOwnerOnly = 0600;
  const auto refused = [&](const std::string& content) {
    const std::string path = folder.path("bad.json");
    write_file(path, as_bytes(content), kOwnerOnly);
    check_error(infer_with_key(path), 3, "");
  };
  const std::string whole = read_text_file(key);
  refused("");
  refused("{}");
  refused("not JSON");
  refused(whole.substr(0, whole.size() / 2));
  refused(read_text_file(public_key));
  refused(R"({"kty":"RSA","n":"AQAB","e":"AQAB","d":"AQAB"})");
  nlohmann::json mixed = nlohmann::json::parse(whole);
  mixed["p"] = mixed["q"];
  refused(mixed.dump());

  REQUIRE(::chmod(key.c_str(), 0644) == 0);
  check_error(infer_with_key(key), 3, "");
  // Without the opt-in the small key is refused too.
  REQUIRE(::chmod(key.c_str(), kOwnerOnly) == 0);
  check_error(popcorn({"infer", "--server", "http://127.0.0.1:9", "--model", "small", "--key", key,
                       "models/samples/3_1.png"}),
              3, "");
}

TEST_CASE("A server that is not there is a network error; an address that is none, a usage error",
          "[command_line]") {
  check_error(popcorn(infer("models/samples/3_1.png")), 5, "127.0.0.1");
  check_error(popcorn(infer("models/samples/3_1.png", "not an address")), 2, "");
}

TEST_CASE("Test sets that are damaged or absent are refused", "[command_line]") {
  const TemporaryFolder folder;
  const std::string model = write_small_network(folder.path("small.popcorn"));
  check_error(popcorn({"evaluate", model, "--data", folder.path("absent")}), 4, "absent");
  check_error(popcorn({"evaluate", model, "--data", folder.path("")}), 4, "t10k-images");
  write_file(folder.path("t10k-images-idx3-ubyte"), Bytes(1000, 1));
  write_file(folder.path("t10k-labels-idx1-ubyte"), Bytes(1000, 1));
  check_error(popcorn({"evaluate", model, "--data", folder.path("")}), 3, "t10k-images");
}

TEST_CASE("A port that is taken is an I/O error", "[command_line]") {
  const TemporaryFolder folder;
  const std::string model = write_small_network(folder.path("small.popcorn"));
  const RunningServer server(model);
  const std::string port = server.url().substr(server.url().rfind(':') + 1);
  check_error(popcorn({"serve", model, "--port", port}), 4, port);
}

}  // namespace popcorn::test
