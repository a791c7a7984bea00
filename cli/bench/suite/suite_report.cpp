#include "cli/bench/suite/suite_report.h"

#include <algorithm>
#include <cmath>

#include "cli/bench/commands/bench_commands.h"
#include "cli/bench/suite/suite_tables.h"
#include "cli/report/html_page.h"
#include "cli/report/svg_marks.h"
#include "cli/terminal/output.h"

namespace popcorn::cli {

namespace {

const std::vector<std::string> kEngines = {"ciphertext", "shares", "shares-fast"};

/// Colours: the engines are series 2, 1 and 3 wherever they stand side by side.
int series_of(const std::string& engine) {
  if (engine == "ciphertext") return 2;
  return engine == "shares" ? 1 : 3;
}

std::string engine_legend() {
  std::string html = "<div class=\"legend\">";
  for (const std::string& engine : kEngines) {
    html += "<span><i class=\"l" + std::to_string(series_of(engine)) + "\"></i>" + engine + "</span>";
  }
  return html + "</div>\n";
}

// Ticks are round numbers: as few digits as they need.
std::string plain_number(double value) {
  for (int decimals = 0; decimals < 3; ++decimals) {
    if (std::abs(value * std::pow(10, decimals) - std::round(value * std::pow(10, decimals))) < 1e-6) {
      return fixed(value, decimals);
    }
  }
  return fixed(value, 3);
}

std::string unit_text(double value, const std::vector<const char*>& units) {
  std::size_t unit = 0;
  while (std::abs(value) >= 999.95 && unit + 1 < units.size()) value /= 1000, ++unit;
  return plain_number(std::round(value * 1000) / 1000) + units[unit];
}

std::string seconds_tick(double seconds) {
  if (seconds == 0) return "0 s";
  if (std::abs(seconds) < 0.9995e-3) return plain_number(seconds * 1e6) + " µs";
  if (std::abs(seconds) < 0.9995) return plain_number(seconds * 1e3) + " ms";
  return plain_number(seconds) + " s";
}

std::string bytes_tick(double bytes) {
  return unit_text(bytes, {" B", " kB", " MB", " GB", " TB"});
}

std::string count_tick(double count) {
  return unit_text(count, {"", " k", " M", " G"});
}

std::string percent_tick(double share) {
  return plain_number(std::round(share * 1e4) / 1e2) + " %";
}

std::string short_name(const std::string& network) {
  const std::size_t dash = network.find('-');
  return dash == std::string::npos ? network : network.substr(dash + 1);
}

// Time and traffic against accuracy ------------------------------------------------------------------

std::string accuracy_plot(const SuiteDocument& suite, const std::string& dataset, const NumberAxis& axis,
                          std::optional<double> (*amount)(const CellResult&),
                          const std::string& description) {
  std::vector<SvgMark> marks;
  for (const CellResult& cell : suite.below("inference/")) {
    const auto accuracy = suite.accuracy(cell.network(), cell.engine());
    const auto value = amount(cell);
    if (!accuracy || !value || !cell.network().starts_with(dataset)) continue;
    marks.push_back(
        {*value, *accuracy, series_of(cell.engine()),
         cell.network() + " on " + cell.engine() + ": " + axis.tick(*value) + ", " + human_percent(*accuracy),
         cell.engine() == "shares" ? short_name(cell.network()) : std::string()});
  }
  if (marks.empty()) return "";
  return mark_plot(marks, {}, axis, {"", false, 0.02, percent_tick}, description) + engine_legend();
}

std::string against_accuracy(const SuiteDocument& suite) {
  const NumberAxis time{"wall time of an inference, loopback", true, 0, seconds_tick};
  const NumberAxis traffic{"bytes of an inference, both directions", true, 0, bytes_tick};
  std::string html;
  for (const auto& [dataset, title] : {std::pair("mnist-", "MNIST"), std::pair("cifar10-", "CIFAR-10")}) {
    const std::string seconds = accuracy_plot(
        suite, dataset, time, [](const CellResult& c) { return c.number("seconds"); },
        std::string("Accuracy against time, ") + title);
    const std::string bytes = accuracy_plot(
        suite, dataset, traffic, [](const CellResult& c) { return c.bytes(); },
        std::string("Accuracy against traffic, ") + title);
    if (seconds.empty()) continue;
    html +=
        section(std::string(title) + ": accuracy against time",
                "Up and to the left is better. Median wall time; the axis of time is logarithmic.", seconds);
    html += section(std::string(title) + ": accuracy against traffic",
                    "Likewise; the axis of bytes is logarithmic.", bytes);
  }
  return html.empty() ? "" : "<div class=\"plots pairs\">\n" + html + "</div>\n";
}

// Where the time goes --------------------------------------------------------------------------------

const std::vector<std::string> kPhases = {"HTTP and waiting", "client", "server: linear layers",
                                          "server: steps", "server: reading, output"};

std::string phase_plot(const SuiteDocument& suite, const std::string& engine) {
  std::vector<ShareRow> rows;
  for (const CellResult& cell : suite.below("inference/")) {
    if (cell.engine() != engine || !cell.report().contains("phases")) continue;
    const auto seconds = [&](const char* phase) {
      return cell.number("phases/" + std::string(phase)).value_or(0);
    };
    rows.push_back({short_name(cell.network()),
                    {seconds("upload"), seconds("encrypt") + seconds("step_client") + seconds("decrypt"),
                     seconds("linear"), seconds("step_server"), seconds("parse") + seconds("output")},
                    short_seconds(cell.number("seconds").value_or(0))});
  }
  if (rows.empty()) return "";
  return section(
      "Where the time goes: " + engine,
      "Shares of an inference's wall time, which stands at the right (median).",
      share_rows(rows, kPhases, seconds_tick, "Phases of an inference on " + engine) + legend(kPhases));
}

std::string online_plot(const SuiteDocument& suite) {
  const std::vector<std::string> parts = {"", "preparation", "online"};
  std::vector<ShareRow> rows;
  for (const CellResult& cell : suite.below("inference/")) {
    const auto preparation = cell.number("preparation_seconds"), online = cell.number("online_seconds");
    if (cell.engine() != "shares" || !preparation || !online) continue;
    rows.push_back({short_name(cell.network()), {0, *preparation, *online}, short_seconds(*online)});
  }
  if (rows.empty()) return "";
  return section(
      "What waits for the input",
      "On shares: the online phase, whose time stands at the right, and what can be prepared before.",
      share_rows(rows, parts, seconds_tick, "Preparation and online phase") +
          "<div class=\"legend\"><span><i class=\"l1\"></i>preparation</span><span><i "
          "class=\"l2\"></i>online</span></div>\n");
}

// Networks, cores ------------------------------------------------------------------------------------

std::string link_plot(const SuiteDocument& suite, const std::string& engine) {
  const std::vector<std::string> links = {"loopback", "LAN", "WAN"};
  std::vector<MarkRow> rows;
  bool computed = false;
  for (const CellResult& cell : suite.below("inference/")) {
    if (cell.engine() != engine) continue;
    const auto lan = time_over(suite, cell, "lan"), wan = time_over(suite, cell, "wan");
    if (!lan || !wan) continue;
    computed = computed || lan->computed || wan->computed;
    rows.push_back({short_name(cell.network()), {cell.number("seconds"), lan->seconds, wan->seconds}});
  }
  if (rows.empty()) return "";
  return section(
      "Over networks: " + engine,
      std::string("Wall time of an inference; logarithmic. LAN 3 Gbit/s and 0.3 ms, WAN 400 Mbit/s and 40 ms "
                  "there and back") +
          (computed ? ", both computed from rounds and bytes." : ", both emulated."),
      mark_rows(rows, links, {"", true, 0, seconds_tick}, "Time over networks, " + engine) + legend(links));
}

std::string layer_plot(const CellResult& cell) {
  const std::vector<std::string> parts = {"client: encrypt", "server: evaluate", "client: decrypt"};
  std::vector<MarkRow> rows;
  for (const auto& layer : cell.report().value("layers", nlohmann::ordered_json::array())) {
    const auto seconds = [&](const char* name) {
      return layer.contains(name) ? std::optional(layer.at(name).get<double>()) : std::nullopt;
    };
    rows.push_back({layer.value("layer", ""),
                    {seconds("encrypt_seconds"), seconds("evaluate_seconds"), seconds("decrypt_seconds")}});
  }
  if (rows.empty()) return "";
  return section(
      "Layers of " + escape_html(cell.network()) + " on shares",
      "Preparation of each weighted layer, both parties on all cores; logarithmic.",
      mark_rows(rows, parts, {"", true, 0, seconds_tick}, "Layers of " + cell.network()) + legend(parts));
}

std::string linear_plot(const CellResult& cell) {
  const std::vector<std::string> parts = {"textbook: a power a weight", "", "popcorn"};
  std::vector<MarkRow> rows;
  for (const auto& layer : cell.report().value("layers", nlohmann::ordered_json::array())) {
    const auto seconds = [&](const char* name) {
      return layer.contains(name) ? std::optional(layer.at(name).get<double>()) : std::nullopt;
    };
    rows.push_back(
        {layer.value("layer", ""), {seconds("textbook_seconds"), std::nullopt, seconds("seconds")}});
  }
  if (rows.empty()) return "";
  return section(
      "Layers of " + escape_html(cell.network()) + " on ciphertexts",
      "Processor time of one core; logarithmic.",
      mark_rows(rows, parts, {"", true, 0, seconds_tick}, "Linear layers of " + cell.network()) +
          "<div class=\"legend\"><span><i class=\"l0\"></i>textbook, a power a weight</span><span><i "
          "class=\"l2\"></i>popcorn</span></div>\n");
}

std::string layer_plots(const SuiteDocument& suite) {
  std::string html;
  for (const CellResult& cell : suite.below("layers/")) {
    html += cell.group() == "linear" ? linear_plot(cell) : layer_plot(cell);
  }
  return html;
}

// How costs grow -------------------------------------------------------------------------------------

struct GrowthPlot {
  const char* law;
  const char* engine;
  const char* fact;
  const char* title;
  const char* label;
  bool squared;
};

/// What is drawn over it.
struct GrowthQuantity {
  const char* title;
  std::optional<double> (*of)(const CellResult&);
  std::string (*tick)(double);
};

const GrowthQuantity kTime = {"Processor time", [](const CellResult& c) { return c.processor_seconds(); },
                              seconds_tick};
const GrowthQuantity kTraffic = {"Traffic", [](const CellResult& c) { return c.bytes(); }, bytes_tick};
const GrowthQuantity kWork = {"Multiplications modulo N²",
                              [](const CellResult& c) { return c.number("multiplications"); }, count_tick};

std::string growth_plot(const SuiteDocument& suite, const GrowthPlot& plot, const GrowthQuantity& quantity) {
  std::vector<SvgMark> marks;
  std::vector<std::pair<double, double>> points;
  for (const CellResult& cell : suite.below("growth/" + std::string(plot.law) + "/" + plot.engine + "/")) {
    const auto fact = cell.fact_number(plot.fact), value = quantity.of(cell);
    if (!fact || !value) continue;
    const double x = plot.squared ? *fact * *fact : *fact;
    points.emplace_back(x, *value);
    marks.push_back({x, *value, series_of(plot.engine), cell.network() + ": " + quantity.tick(*value), ""});
  }
  if (marks.empty()) return "";
  std::vector<SvgCurve> curves;
  std::string story = "Measured points.";
  if (const auto law = linear_law(points)) {
    const auto [first, last] = std::ranges::minmax(points);
    curves.push_back({{{first.first, (*law)(first.first)}, {last.first, (*law)(last.first)}}, 0});
    story = "Measured points and the straight line through them, R² " + fixed(law->r_squared, 3) + ".";
  }
  return section(
      std::string(quantity.title) + " against " + plot.title + ": " + plot.engine, story,
      mark_plot(marks, curves, {plot.label, false, 0, count_tick, true}, {"", false, 0, quantity.tick, true},
                std::string(quantity.title) + " against " + plot.title));
}

std::string growth_plots(const SuiteDocument& suite) {
  std::string html;
  const GrowthPlot shares{"weights", "shares", "nonzeros", "weights", "weights that are not zero", false};
  const GrowthPlot ciphertext{"weights", "ciphertext", "nonzeros", "weights", "weights that are not zero",
                              false};
  const GrowthPlot picture{"picture", "shares", "side", "the picture's size", "pixels", true};
  const GrowthPlot depth{"depth", "shares", "weighted_layers", "depth", "layers with weights", false};
  html += growth_plot(suite, shares, kTime) + growth_plot(suite, shares, kWork);
  html += growth_plot(suite, ciphertext, kTime) + growth_plot(suite, ciphertext, kWork);
  for (const GrowthPlot& plot : {picture, depth}) {
    html += growth_plot(suite, plot, kTime) + growth_plot(suite, plot, kTraffic);
  }
  std::vector<std::string> counts;
  std::vector<MarkRow> rows;
  for (const CellResult& cell : suite.below("cores/")) {
    const std::string name = short_name(cell.network()) + ", " + cell.engine();
    if (rows.empty() || rows.back().name != name) {
      const auto base = suite.find("inference/" + cell.network() + "/" + cell.engine());
      rows.push_back({name, {base ? base->number("seconds") : std::nullopt}});
    }
    rows.back().values.push_back(cell.number("seconds"));
    const std::string count = cell.fact("cores") + (cell.fact("cores") == "1" ? " core" : " cores");
    if (std::ranges::find(counts, count) == counts.end()) counts.push_back(count);
  }
  if (!rows.empty()) {
    counts.insert(counts.begin(), "all cores");
    html +=
        section("Cores", "Wall time of an inference, both processes on so many cores together; logarithmic.",
                mark_rows(rows, counts, {"", true, 0, seconds_tick}, "Time by cores") + legend(counts));
  }
  return html;
}

std::string best_ratio(const SuiteDocument& suite) {
  double best = 0;
  for (const CellResult& cell : suite.below("inference/")) {
    const auto textbook = cell.number("textbook_seconds");
    const auto shares = suite.find("inference/" + cell.network() + "/shares");
    const auto seconds = shares ? shares->number("seconds") : std::nullopt;
    if (textbook && seconds && *seconds > 0) best = std::max(best, *textbook / *seconds);
  }
  return best > 0 ? ratio_text(best) : "";
}

std::string tiles(const SuiteDocument& suite) {
  std::string html = "<div class=\"tiles\">\n";
  for (const char* network : {"mnist-conv2", "cifar10-conv7"}) {
    const auto cell = suite.find("inference/" + std::string(network) + "/shares");
    if (!cell || !cell->number("seconds")) continue;
    const auto online = cell->number("online_seconds"), bytes = cell->bytes();
    html += tile(std::string(network) + " on shares", short_seconds(*cell->number("seconds")),
                 (online ? short_seconds(*online) + " online, " : std::string()) +
                     (bytes ? human_bytes(static_cast<std::uint64_t>(*bytes)) : std::string()));
  }
  const std::string ratio = best_ratio(suite);
  if (!ratio.empty()) html += tile("against the textbook", ratio, "largest ratio, shares");
  double busiest = 0;
  for (const CellResult& cell : suite.cells()) busiest = std::max(busiest, cell.busy_elsewhere());
  html += tile("measurements", std::to_string(suite.cells().size()), "each in processes of its own");
  html += tile("other programs", human_percent(busiest, 0), "of the machine's time, at most");
  return html + "</div>\n";
}

std::string grid(const std::string& cards) {
  return cards.empty() ? "" : "<div class=\"plots pairs\">\n" + cards + "</div>\n";
}

}  // namespace

std::string suite_report_html(const SuiteDocument& suite) {
  std::string body = tiles(suite) + against_accuracy(suite);
  std::string phases, links;
  for (const std::string& engine : kEngines) {
    phases += phase_plot(suite, engine);
    links += link_plot(suite, engine);
  }
  body +=
      grid(phases + online_plot(suite)) + grid(links) + grid(layer_plots(suite)) + grid(growth_plots(suite));
  for (const SuiteTable& table : suite_tables(suite)) {
    body += section(escape_html(table.title), escape_html(table.note), table.html());
  }
  return html_page("popcorn bench suite", "Popcorn, measured",
                   suite.text("command") + " · version " + suite.text("version") + " · " +
                       suite.text("machine") + " · " + suite.text("finished"),
                   body);
}

}  // namespace popcorn::cli
