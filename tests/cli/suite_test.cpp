// The suite's plan, its kept results, its tables and its report, without measuring anything.
#include <algorithm>
#include <catch2/catch.hpp>
#include <set>

#include "base/error.h"
#include "base/file.h"
#include "cli/bench/network_profile.h"
#include "cli/bench/suite/cell_store.h"
#include "cli/bench/suite/marked_tables.h"
#include "cli/bench/suite/suite_document.h"
#include "cli/bench/suite/suite_plan.h"
#include "cli/bench/suite/suite_report.h"
#include "cli/bench/suite/suite_tables.h"
#include "cli/random_weights.h"
#include "cli/shipped_files.h"
#include "tests/support/process.h"
#include "tests/support/xml_reader.h"

using namespace popcorn;
using namespace popcorn::cli;
using Json = nlohmann::ordered_json;

namespace {

Json inference(const std::string& network, const std::string& engine, double seconds) {
  return {{"id", "inference/" + network + "/" + engine},
          {"group", "inference"},
          {"facts", {{"network", network}, {"engine", engine}}},
          {"busy_elsewhere", 0.01},
          {"report",
           {{"seconds", seconds},
            {"seconds_min", seconds},
            {"seconds_max", 2 * seconds},
            {"cpu_seconds_client", seconds},
            {"cpu_seconds_server", seconds / 2},
            {"bytes_up", 40'000'000},
            {"bytes_down", 10'000'000},
            {"rounds", 10},
            {"online_seconds", seconds / 4},
            {"preparation_seconds", seconds / 2},
            {"online_bytes", 5'000'000},
            {"online_rounds", 8},
            {"phases", {{"encrypt", 0.1}, {"upload", 0.2}, {"linear", 0.3}, {"step_server", 0.1}}}}}};
}

Json accuracy(const std::string& network, const std::string& rounding, double share) {
  return {{"id", "accuracy/" + network + "/" + rounding},
          {"group", "accuracy"},
          {"facts", {{"network", network}, {"rounding", rounding}}},
          {"report", {{"images", 10'000}, {"accuracy", share}}}};
}

Json grown(double nonzeros) {
  Json cell = inference("synthetic:cifar10-conv7,density=0.5", "shares", 1 + nonzeros / 1000);
  cell["id"] = "growth/weights/shares/" + std::to_string(static_cast<int>(nonzeros));
  cell["facts"]["nonzeros"] = nonzeros;
  return cell;
}

Json small_document() {
  Json layers = Json::array();
  layers.push_back({{"layer", "<conv>"}, {"encrypt_seconds", 0.5}, {"evaluate_seconds", 0.25}});
  Json packed = {{"id", "layers/mnist-mlp/shares"},
                 {"group", "packed"},
                 {"facts", {{"network", "mnist-mlp"}}},
                 {"report", {{"layers", layers}}}};
  Json cells = Json::array();
  for (Json cell : {accuracy("mnist-mlp", "nearest", 0.98), accuracy("mnist-mlp", "exact", 0.97),
                    inference("mnist-mlp", "ciphertext", 0.5), inference("mnist-mlp", "shares", 0.25), packed,
                    grown(1000), grown(2000), grown(4000)}) {
    cells.push_back(std::move(cell));
  }
  return {{"command", "popcorn bench suite"}, {"version", "1"}, {"machine", "a <machine>"}, {"cells", cells}};
}

std::set<std::string> ids(const std::vector<SuiteCell>& cells) {
  std::set<std::string> names;
  for (const SuiteCell& cell : cells) names.insert(cell.id);
  return names;
}

}  // namespace

TEST_CASE("the suite has every network, engine and rounding, each cell once", "[suite]") {
  SuiteOptions options;
  options.data = "somewhere";
  std::set<std::string> before;
  for (const auto extent :
       {SuiteOptions::Extent::quick, SuiteOptions::Extent::standard, SuiteOptions::Extent::all}) {
    options.extent = extent;
    const std::vector<SuiteCell> cells = plan_suite(options);
    const std::set<std::string> names = ids(cells);
    CHECK(names.size() == cells.size());
    for (const std::string network : {"mnist-mlp", "mnist-lenet", "mnist-bnn", "cifar10-conv7"}) {
      for (const char* engine : {"ciphertext", "shares", "shares-fast"}) {
        CHECK(names.count("inference/" + network + "/" + engine) == 1);
      }
      for (const char* rounding : {"exact", "nearest", "fast"}) {
        CHECK(names.count("accuracy/" + network + "/" + rounding) == 1);
      }
    }
    CHECK(std::ranges::includes(names, before));
    before = names;
  }
  options.only = "accuracy/mnist";
  CHECK(plan_suite(options).size() == 15);
  options.data.clear();
  CHECK(plan_suite(options).empty());
}

TEST_CASE("networks are emulated by runs of their own where that is permitted", "[suite]") {
  SuiteOptions options;
  options.only = "links/";
  CHECK(plan_suite(options).empty());
  options.emulates_networks = true;
  const std::vector<SuiteCell> cells = plan_suite(options);
  REQUIRE(!cells.empty());
  for (const SuiteCell& cell : cells) {
    CHECK(std::ranges::count(cell.arguments, "--network") == 1);
    CHECK(std::ranges::count(cell.arguments, cell.facts.at("link").get<std::string>()) == 1);
  }
}

TEST_CASE("a result is kept for the same program, machine and arguments alone", "[suite]") {
  const test::TemporaryFolder folder;
  const SuiteConditions here{"1.0", "abc", "a machine"};
  const CellStore store(folder.path("cells"), here);
  SuiteCell cell{
      "inference/a/b", "inference", {{"network", "a"}}, {"bench", "network", "/some/where/a.popcorn"}, {}, 0};
  cell.environment = {"POPCORN_DATA=/some/where"};
  CHECK(!store.find(cell));
  Json result = store.head_of(cell);
  CHECK(result.dump().find("/some") == std::string::npos);
  result["report"] = {{"seconds", 1.5}};
  store.write(cell, result);
  REQUIRE(store.find(cell));
  CHECK(*store.find(cell) == result);

  SuiteCell other = cell;
  other.arguments.emplace_back("--runs");
  CHECK(!store.find(other));
  other = cell;
  other.environment.emplace_back("POPCORN_KERNEL=portable");
  CHECK(!store.find(other));
  other = cell;
  other.cores = 1;
  CHECK(!store.find(other));
  for (const SuiteConditions& there :
       {SuiteConditions{"1.1", "abc", "a machine"}, SuiteConditions{"1.0", "abd", "a machine"},
        SuiteConditions{"1.0", "abc", "another machine"}}) {
    CHECK(!CellStore(folder.path("cells"), there).find(cell));
  }
  write_file(folder.path("cells") + "/inference/a/b.json", as_bytes(result.dump().substr(0, 40)));
  CHECK(!store.find(cell));
}

TEST_CASE("times over networks are computed from rounds and bytes unless they were measured", "[suite]") {
  Json json = small_document();
  {
    const SuiteDocument suite(json);
    const auto wan = time_over(suite, *suite.find("inference/mnist-mlp/shares"), "wan");
    REQUIRE(wan);
    CHECK(wan->computed);
    CHECK(wan->seconds == Approx(0.25 + 10 * 0.04 + 8 * 50e6 / 400e6));
    CHECK(*wan->online_seconds == Approx(0.0625 + 8 * 0.04 + 8 * 5e6 / 400e6));
    const auto lan = time_over(suite, *suite.find("inference/mnist-mlp/shares"), "lan");
    CHECK(lan->seconds == Approx(0.25 + 10 * 0.0003 + 8 * 50e6 / 3e9));
  }
  Json measured = inference("mnist-mlp", "shares", 3);
  measured["id"] = "links/mnist-mlp/shares/wan";
  measured["report"]["network"] = {{"how", "emulated"}, {"seconds", 3.5}};
  json["cells"].push_back(measured);
  const SuiteDocument suite(json);
  const auto wan = time_over(suite, *suite.find("inference/mnist-mlp/shares"), "wan");
  CHECK(!wan->computed);
  CHECK(wan->seconds == 3.5);
  CHECK(time_over(suite, *suite.find("inference/mnist-mlp/shares"), "lan")->computed);
}

TEST_CASE("a straight line is found through points on one", "[suite]") {
  const auto law = linear_law({{1, 5}, {2, 7}, {4, 11}});
  REQUIRE(law);
  CHECK(law->constant == Approx(3));
  CHECK(law->slope == Approx(2));
  CHECK(law->r_squared == Approx(1));
  CHECK(linear_law({{0, 1}, {1, 0}, {2, 1}})->r_squared == Approx(0).margin(1e-9));
  CHECK(!linear_law({{1, 5}, {2, 7}}));
  CHECK(!linear_law({{1, 5}, {1, 7}, {1, 9}}));
}

TEST_CASE("the report of a suite is well-formed and needs nothing from outside", "[suite]") {
  const SuiteDocument suite(small_document());
  const std::string html = suite_report_html(suite);
  CHECK(test::plots_of_self_contained_page(html) >= 8);
  const test::XmlReader page(html);
  CHECK_THAT(page.text,
             Catch::Contains("<conv>") && Catch::Contains("a <machine>") && Catch::Contains("computed"));
  // Whatever is missing is left out.
  Json cells = small_document().at("cells");
  for (std::size_t kept = 0; kept < cells.size(); ++kept) {
    const SuiteDocument one(Json{{"cells", Json::array({cells[kept]})}});
    test::plots_of_self_contained_page(suite_report_html(one));
    suite_markdown(one);
  }
  const SuiteDocument none(Json{{"cells", Json::array()}});
  CHECK(test::plots_of_self_contained_page(suite_report_html(none)) == 0);
  CHECK(suite_tables(none).empty());
  CHECK_THROWS_AS(SuiteDocument(Json::array()), InputError);
  CHECK_THROWS_AS(SuiteDocument(Json{{"cells", Json::array({1})}}), InputError);
}

TEST_CASE("tables of a document are written anew between their marks", "[suite]") {
  SuiteTable table{"one", "", "", {"network", "b"}, 1, {{"x", "2 *"}}};
  const std::string fresh = "| network | b |\n| --- | ---: |\n| `x` | 2 \\* |\n";
  CHECK(table.markdown() == fresh);
  const std::string document = "before\n<!-- table one -->\nold\n<!-- end of table -->\nafter\n";
  const MarkedDocument made = with_tables(document, {table});
  CHECK(made.text == "before\n<!-- table one -->\n" + fresh + "<!-- end of table -->\nafter\n");
  CHECK(made.changed == std::vector<std::string>{"one"});
  const MarkedDocument again = with_tables(made.text, {table});
  CHECK(again.text == made.text);
  CHECK(again.changed.empty());
  CHECK(with_tables("no table", {table}).text == "no table");
  CHECK_THROWS_AS(with_tables("<!-- table two -->\n<!-- end of table -->", {table}), InputError);
  CHECK_THROWS_AS(with_tables("<!-- table one -->\n| a |", {table}), InputError);
}

TEST_CASE("network profiles are the literature's", "[suite]") {
  CHECK(network_profile("lan").description() == "3 Gbit/s, 0.3 ms");
  CHECK(network_profile("wan").description() == "400 Mbit/s, 40 ms");
  CHECK_THROWS_AS(network_profile("moon"), UsageError);
}

TEST_CASE("networks of the zoo are varied in density, size and depth", "[suite]") {
  const auto network = [](const std::string& variation) { return load_model("synthetic:" + variation); };
  const models::IntegerNetwork plain = network("cifar10-conv7,density=0.25,size=16");
  CHECK(plain.name == "cifar10-conv7-25percent-16px-synthetic");
  CHECK(plain.input().shape == models::Shape{3, 16, 16});
  CHECK(static_cast<double>(plain.nonzeros()) ==
        Approx(0.25 * static_cast<double>(plain.weights())).epsilon(0.05));
  const models::IntegerNetwork deep = network("cifar10-conv7,density=0.25,size=16,repeat=3");
  const auto weighted = [](const models::IntegerNetwork& n) {
    return std::ranges::count_if(n.nodes, [](const models::Node& node) { return !node.weights.empty(); });
  };
  CHECK(weighted(plain) == 8);
  CHECK(weighted(deep) == 8 + 2 * 5);
  CHECK(load_requantised_model("synthetic:cifar10-conv7,size=8").is_requantised());
  for (const char* wrong : {"cifar10-conv7,density=2", "cifar10-conv7,density=", "cifar10-conv7,size=3.5",
                            "cifar10-conv7,size=16x", "cifar10-conv7,colour=red", "cifar10-conv7,repeat=0",
                            "cifar10-resnet20,repeat=2", "cifar10-conv7,", "nothing,size=8"}) {
    INFO(wrong);
    CHECK_THROWS_AS(network(wrong), UsageError);
  }
}
