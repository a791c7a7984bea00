// What `cmake --install` puts into a folder, used from there: the command, the libraries by other people's
// programs, the bill of materials.
#include <catch2/catch.hpp>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <sstream>

#include "base/file.h"
#include "tests/cli/command_line.h"

namespace popcorn::test {

namespace {

namespace fs = std::filesystem;

void must_run(const std::vector<std::string>& argv) {
  const ProcessResult result = run_process(argv);
  INFO(result.out);
  INFO(result.err);
  REQUIRE(result.exit_code == 0);
}

/// @param component empty = all
void install(const std::string& prefix, const std::string& component = {}) {
  std::vector<std::string> argv = {CMAKE_EXECUTABLE, "--install", POPCORN_BUILD_FOLDER, "--prefix", prefix};
  if (!component.empty()) argv.insert(argv.end(), {"--component", component});
  must_run(argv);
}

std::set<std::string> files_below(const std::string& folder) {
  std::set<std::string> files;
  if (!fs::exists(folder)) return files;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (!entry.is_directory()) files.insert(fs::relative(entry.path(), folder).string());
  }
  return files;
}

bool any_matches(const std::set<std::string>& files, const std::string& pattern) {
  const std::regex expression(pattern);
  return std::ranges::any_of(files,
                             [&](const std::string& file) { return std::regex_match(file, expression); });
}

bool has_module() {
  return json_of(popcorn({"version", "--json"})).at("compression").get<bool>();
}

/// The sonames that an executable or a library asks for.
std::set<std::string> needed_by(const std::string& file) {
  std::set<std::string> names;
  std::istringstream lines(run_process({"/usr/bin/env", "objdump", "-p", file}).out);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string kind, name;
    words >> kind >> name;
    if (kind == "NEEDED") names.insert(name);
  }
  return names;
}

}  // namespace

TEST_CASE("The components share no file, and each has what it is for", "[installation]") {
  const TemporaryFolder folder;
  std::map<std::string, std::string> owner;
  std::map<std::string, std::set<std::string>> files;
  std::vector<std::string> components = {"runtime", "server", "development"};
  if (has_module()) components.emplace_back("tools");
  for (const std::string& component : components) {
    install(folder.path(component), component);
    files[component] = files_below(folder.path(component));
    CHECK_FALSE(files[component].empty());
    for (const std::string& file : files[component]) {
      INFO(file << " of " << component << " is in " << owner[file]);
      CHECK(owner[file].empty());
      owner[file] = component;
    }
  }
  const auto& runtime = files["runtime"];
  for (const char* wanted :
       {"bin/popcorn", ".*/libpopcorn_client\\.so\\.0\\.[0-9.]+",
        "share/popcorn/models/mnist-conv2\\.popcorn",
        "share/popcorn/models/requantised/mnist-conv2\\.popcorn", "share/popcorn/models/samples/7_1\\.png",
        "share/man/man1/popcorn-infer\\.1", "share/bash-completion/completions/popcorn",
        "share/zsh/vendor-completions/_popcorn", "share/fish/vendor_completions.d/popcorn\\.fish",
        "share/doc/popcorn/popcorn\\.spdx\\.json"}) {
    INFO(wanted);
    CHECK(any_matches(runtime, wanted));
  }
  CHECK_FALSE(any_matches(runtime, ".*\\.(h|a|cmake|cpp)"));
  CHECK_FALSE(any_matches(runtime, ".*popcorn-(train|compress|export)\\.1"));
  for (const char* wanted : {"lib/systemd/system/popcorn\\.service", "lib/sysusers.d/popcorn\\.conf",
                             "etc/popcorn/serve\\.json"}) {
    INFO(wanted);
    CHECK(any_matches(files["server"], wanted));
  }
  for (const char* wanted : {"include/popcorn/client\\.h", "include/popcorn/paillier/evaluator\\.h",
                             ".*/libpopcorn_service\\.a", ".*/cmake/popcorn/popcornConfig\\.cmake"}) {
    INFO(wanted);
    CHECK(any_matches(files["development"], wanted));
  }
  if (has_module()) {
    CHECK(any_matches(files["tools"], ".*/popcorn/libpopcorn_compress_module\\.so"));
    CHECK(any_matches(files["tools"], "share/popcorn/recipes/mnist-conv2\\.json"));
    CHECK(any_matches(files["tools"], "share/man/man1/popcorn-compress\\.1"));
  }
}

TEST_CASE("An installed copy runs the demo and takes its own settings", "[installation]") {
  const TemporaryFolder folder;
  const std::string prefix = folder.path("installed");
  install(prefix, "runtime");
  install(prefix, "server");
  const std::string executable = prefix + "/bin/popcorn";
  std::vector<std::string> demo = {executable, "demo", "--model", "mnist-mlp", "--images", "2", "--json"};
  demo.insert(demo.end(), kTestKey.begin(), kTestKey.end());
  const nlohmann::json report = json_of(run_process(demo));
  CHECK(report.at("ok").get<bool>());
  CHECK(report.at("results").size() == 2);
  const ProcessResult settings = run_process(
      {executable, "serve", "--config", prefix + "/etc/popcorn/serve.json", "--print-config", "--json"});
  INFO(settings.err);
  CHECK(settings.exit_code == 0);
  if (has_module()) {
    CHECK(run_process({executable, "train", "--help"}).exit_code == 1);  // not in these components
    install(prefix, "tools");
    CHECK(run_process({executable, "train", "--help"}).exit_code == 0);
  }
}

TEST_CASE("The examples build against an installed copy, and do what they say", "[installation]") {
  const TemporaryFolder folder;
  const std::string prefix = folder.path("installed");
  const std::string build = folder.path("build");
  install(prefix);
  must_run({CMAKE_EXECUTABLE, "-S", "examples", "-B", build,
            std::string("-DCMAKE_CXX_COMPILER=") + CXX_COMPILER, "-DCMAKE_PREFIX_PATH=" + prefix,
            std::string("-DCMAKE_CXX_FLAGS=") + SANITIZER_FLAGS});
  must_run({CMAKE_EXECUTABLE, "--build", build, "--parallel", "2"});

  const ProcessResult sums = run_process({build + "/encrypt_and_add/encrypt_and_add"});
  INFO(sums.err);
  CHECK(sums.exit_code == 0);
  CHECK_THAT(sums.out, Catch::Contains("1 + 10 * 4 + 1 = 42\n"));
  const ProcessResult layer = run_process({build + "/packed_layer/packed_layer"});
  INFO(layer.err);
  CHECK(layer.exit_code == 0);
  CHECK_THAT(layer.out,
             Catch::Contains("make 65529\n") && Catch::Contains("make 8\n") && Catch::Contains("make 23\n"));

  Process server(
      {build + "/serve_model/serve_model", prefix + "/share/popcorn/models/mnist-mlp.popcorn", "0"});
  const std::string url = server.read_line();
  std::ofstream(folder.path("white.pgm"), std::ios::binary) << "P5\n28 28\n255\n"
                                                            << std::string(28 * 28, '\xff');
  const ProcessResult label =
      run_process({build + "/classify/classify", url, "mnist-mlp", folder.path("white.pgm")});
  INFO(label.err);
  CHECK(label.exit_code == 0);
  CHECK(std::regex_match(label.out, std::regex("[0-9]\n")));
  server.send_signal(SIGTERM);
  const ProcessResult ended = server.wait();
  CHECK(ended.exit_code == 0);
  CHECK_THAT(ended.out, Catch::Contains("1 inferences"));
}

TEST_CASE("A component that is not installed is named", "[installation]") {
  const TemporaryFolder folder;
  install(folder.path("installed"), "client");
  const std::string source = folder.path("user");
  fs::create_directories(source);
  std::ofstream(source + "/CMakeLists.txt")
      << "cmake_minimum_required(VERSION 3.16)\nproject(user LANGUAGES CXX)\n"
         "find_package(popcorn 0.1 REQUIRED COMPONENTS client)\nfind_package(popcorn 0.1 REQUIRED COMPONENTS "
         "paillier)\n";
  const ProcessResult result = run_process({CMAKE_EXECUTABLE, "-S", source, "-B", folder.path("build"),
                                            "-DCMAKE_PREFIX_PATH=" + folder.path("installed")});
  CHECK(result.exit_code != 0);
  CHECK_THAT(result.err, Catch::Contains("paillier"));
}

TEST_CASE("The bill of materials has the fields that SPDX 2.3 requires, and names all that is linked",
          "[installation]") {
  const auto document =
      nlohmann::json::parse(read_text_file(std::string(POPCORN_BUILD_FOLDER) + "/popcorn.spdx.json"));
  CHECK(document.at("spdxVersion") == "SPDX-2.3");
  CHECK(document.at("dataLicense") == "CC0-1.0");
  CHECK(document.at("SPDXID") == "SPDXRef-DOCUMENT");
  CHECK_FALSE(document.at("name").get<std::string>().empty());
  CHECK(std::regex_match(document.at("documentNamespace").get<std::string>(),
                         std::regex("urn:uuid:[0-9a-f-]{36}")));
  const auto& creation = document.at("creationInfo");
  CHECK(std::regex_match(creation.at("created").get<std::string>(),
                         std::regex("[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")));
  CHECK(std::regex_match(creation.at("creators").at(0).get<std::string>(), std::regex("Tool: \\S+-\\S+")));

  std::set<std::string> ids = {"SPDXRef-DOCUMENT"};
  std::map<std::string, std::string> versions;
  for (const auto& package : document.at("packages")) {
    const auto id = package.at("SPDXID").get<std::string>();
    INFO(id);
    CHECK(std::regex_match(id, std::regex("SPDXRef-[A-Za-z0-9.-]+")));
    CHECK(ids.insert(id).second);
    versions[package.at("name").get<std::string>()] = package.value("versionInfo", "");
    CHECK(package.at("downloadLocation").is_string());
    CHECK(package.at("filesAnalyzed") == false);
    CHECK(package.at("licenseDeclared").is_string());
  }
  CHECK(versions.at("popcorn") == json_of(popcorn({"version", "--json"})).at("version"));
  for (const auto& [name, version] : versions) {
    INFO(name);
    if (name != "valijson") CHECK(std::regex_match(version, std::regex("[0-9]+(\\.[0-9a-z]+)+")));
  }
  for (const auto& relation : document.at("relationships")) {
    CHECK(ids.count(relation.at("spdxElementId").get<std::string>()) == 1);
    CHECK(ids.count(relation.at("relatedSpdxElement").get<std::string>()) == 1);
  }

  // By what the file names of the libraries begin with.
  const std::map<std::string, std::string> packages = {{"libgmp.", "gmp"},
                                                       {"libntl.", "ntl"},
                                                       {"libssl.", "openssl"},
                                                       {"libcrypto.", "openssl"},
                                                       {"libsodium.", "libsodium"},
                                                       {"libtbb.", "onetbb"},
                                                       {"libcpp-httplib.", "cpp-httplib"},
                                                       {"libjpeg.", "libjpeg-turbo"},
                                                       {"libpng16.", "libpng"},
                                                       {"libz.", "zlib"},
                                                       {"liblzma.", "liblzma"},
                                                       {"libhiredis.", "hiredis"},
                                                       {"libtorch_cpu.", "libtorch"},
                                                       {"libtorch.", "libtorch"},
                                                       {"libc10.", "libtorch"},
                                                       {"libonnx_proto.", "onnx"},
                                                       {"libprotobuf.", "protobuf"}};
  const std::set<std::string> of_compilers = {"libstdc++.",       "libm.",    "libgcc_s.", "libc.",
                                              "ld-linux-x86-64.", "libasan.", "libubsan.", "libtsan."};
  std::set<std::string> linked = needed_by(POPCORN_EXECUTABLE);
  if (has_module())
    linked.merge(needed_by(std::string(POPCORN_BUILD_FOLDER) + "/libpopcorn_compress_module.so"));
  CHECK(linked.size() >= 10);
  for (const std::string& soname : linked) {
    const std::string beginning = soname.substr(0, soname.find(".so") + 1);
    INFO(soname);
    if (of_compilers.count(beginning) > 0) continue;
    REQUIRE(packages.count(beginning) == 1);
    CHECK(versions.count(packages.at(beginning)) == 1);
  }
}

}  // namespace popcorn::test
