// The inputs that fuzzing has found interesting, through the same functions as in the fuzzers: what they
// require holds in every build, the sanitizers' among them.
#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/file.h"

namespace fs = std::filesystem;

using RunInput = int(const std::uint8_t* data, std::size_t size);

// Each target's LLVMFuzzerTestOneInput under a name of its own (see CMakeLists.txt).
extern "C" {
RunInput fuzz_popcorn_file, fuzz_input_encoding, fuzz_public_key, fuzz_key_json, fuzz_message,
    fuzz_client_bundle, fuzz_http_request, fuzz_session, fuzz_share_facts, fuzz_transfers;
#ifdef POPCORN_FUZZ_KEPT_STATE
RunInput fuzz_kept_state;
#endif
#ifdef POPCORN_FUZZ_ONNX
RunInput fuzz_onnx;
#endif

/// libFuzzer's; the targets' mutators are linked but never called.
std::size_t LLVMFuzzerMutate(std::uint8_t*, std::size_t size, std::size_t) {
  return size;
}
}

namespace {

struct Target {
  const char* name;
  RunInput* run;
};

constexpr std::array kTargets = {
    Target{"popcorn_file", fuzz_popcorn_file},
    Target{"input_encoding", fuzz_input_encoding},
    Target{"public_key", fuzz_public_key},
    Target{"key_json", fuzz_key_json},
    Target{"message", fuzz_message},
    Target{"client_bundle", fuzz_client_bundle},
    Target{"http_request", fuzz_http_request},
    Target{"session", fuzz_session},
    Target{"share_facts", fuzz_share_facts},
    Target{"transfers", fuzz_transfers},
#ifdef POPCORN_FUZZ_KEPT_STATE
    Target{"kept_state", fuzz_kept_state},
#endif
#ifdef POPCORN_FUZZ_ONNX
    Target{"onnx", fuzz_onnx},
#endif
};

}  // namespace

TEST_CASE("Every input of the fuzzers' corpora is refused or handled consistently", "[fuzz]") {
  for (const Target& target : kTargets) {
    std::vector<fs::path> files;
    for (const auto& entry : fs::directory_iterator(fs::path("tests/fuzz/corpus") / target.name)) {
      files.push_back(entry.path());
    }
    CHECK_FALSE(files.empty());
    std::ranges::sort(files);
    for (const fs::path& file : files) {
      INFO(file);  // shown when the target aborts
      const popcorn::Bytes bytes = popcorn::read_file(file);
      CHECK(target.run(bytes.data(), bytes.size()) == 0);
    }
  }
}
