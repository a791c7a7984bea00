#include "cli/bench/suite/suite_tables.h"

#include <algorithm>
#include <cmath>
#include <functional>

#include "cli/bench/commands/bench_commands.h"
#include "cli/bench/network_profile.h"
#include "cli/report/html_page.h"
#include "cli/terminal/output.h"

namespace popcorn::cli {

namespace {

using Number = std::optional<double>;

constexpr const char* kNone = "–";

std::string seconds_text(const Number& value) {
  return value ? short_seconds(*value) : kNone;
}

std::string bytes_text(const Number& value) {
  return value ? human_bytes(static_cast<std::uint64_t>(*value)) : kNone;
}

std::string count_text(const Number& value) {
  return value ? grouped(static_cast<std::uint64_t>(*value)) : kNone;
}

/// Of what can be none: transfers on ciphertexts, which are not counted.
std::string positive_count(const Number& value) {
  return value && *value > 0 ? count_text(value) : kNone;
}

std::string ratio_or_none(const Number& above, const Number& below) {
  return above && below && *below > 0 ? ratio_text(*above / *below) : kNone;
}

std::string percent_text(const Number& share) {
  return share ? human_percent(*share) : kNone;
}

std::string wall_text(const CellResult& cell) {
  if (!cell.number("seconds")) return kNone;
  return seconds_text(cell.number("seconds")) + " (" + seconds_text(cell.number("seconds_min")) + " … " +
         seconds_text(cell.number("seconds_max")) + ")";
}

SuiteTable condition_table(const SuiteDocument& suite) {
  SuiteTable table{"conditions",
                   "Conditions",
                   "Wall times are worth as much as the machine was idle; counts do not depend on it.",
                   {"what", "value"},
                   2,
                   {}};
  std::vector<double> busy;
  for (const CellResult& cell : suite.cells()) busy.push_back(cell.busy_elsewhere());
  if (busy.empty()) return table;
  const bool is_idle = std::ranges::max(busy) < 0.05;
  table.rows = {{"command", suite.text("command")},
                {"version, build", suite.text("version") + ", " + suite.text("build")},
                {"machine", suite.text("machine")},
                {"finished", suite.text("finished")},
                {"measurements", std::to_string(busy.size())},
                {"other programs took", human_percent(median(busy), 0) + " of the machine's time (median), " +
                                            human_percent(std::ranges::max(busy), 0) + " at most" +
                                            (is_idle ? "" : ": wall times are too long")}};
  return table;
}

SuiteTable accuracy_table(const SuiteDocument& suite) {
  SuiteTable table{
      "accuracy",
      "Accuracy",
      "Of the plaintext integer networks, which the encrypted answers equal: exact integers (engine "
      "ciphertext), rounded to nearest (shares), rounded at random as with fast rounding (shares-fast; mean "
      "over the seeds).",
      {"network", "test images", "ciphertext", "shares", "shares-fast"},
      1,
      {}};
  std::vector<std::string> names;
  for (const CellResult& cell : suite.below("accuracy/")) {
    if (std::ranges::find(names, cell.network()) == names.end()) names.push_back(cell.network());
  }
  for (const std::string& name : names) {
    const std::vector<CellResult> cells = suite.below("accuracy/" + name + "/");
    table.rows.push_back(
        {name, count_text(cells.front().number("images")), percent_text(suite.accuracy(name, "ciphertext")),
         percent_text(suite.accuracy(name, "shares")), percent_text(suite.accuracy(name, "shares-fast"))});
  }
  return table;
}

SuiteTable inference_table(const SuiteDocument& suite) {
  SuiteTable table{
      "inference",
      "Inferences",
      "2048-bit ordinary key, client and server in two processes over loopback HTTP. Wall: median (fastest "
      "… slowest). Online: what depends on the input. Client, server: processor time. Bytes, rounds and "
      "transfers of the first inference of a key, multiplications of the server. Memory: peak of either "
      "process.",
      {"network", "engine", "wall", "of it online", "client", "server", "up", "down", "rounds",
       "multiplications", "transfers", "memory, client", "server"},
      2,
      {}};
  for (const CellResult& cell : suite.below("inference/")) {
    table.rows.push_back(
        {cell.network(), cell.engine(), wall_text(cell), seconds_text(cell.number("online_seconds")),
         seconds_text(cell.number("cpu_seconds_client")), seconds_text(cell.number("cpu_seconds_server")),
         bytes_text(cell.number("bytes_up")), bytes_text(cell.number("bytes_down")),
         count_text(cell.number("rounds")), count_text(cell.number("multiplications")),
         positive_count(cell.number("transfers")), bytes_text(cell.number("peak_memory_client")),
         bytes_text(cell.number("peak_memory_server"))});
  }
  return table;
}

SuiteTable link_table(const SuiteDocument& suite) {
  SuiteTable table{
      "links",
      "Over networks",
      "",
      {"network", "engine", "loopback", "LAN", "WAN", "online, loopback", "online, LAN", "online, WAN"},
      2,
      {}};
  bool computed = false;
  for (const CellResult& cell : suite.below("inference/")) {
    const auto lan = time_over(suite, cell, "lan"), wan = time_over(suite, cell, "wan");
    if (!lan || !wan) continue;
    const auto shown = [&](const LinkTime& time) {
      computed = computed || time.computed;
      return short_seconds(time.seconds) + (time.computed ? " *" : "");
    };
    const auto online = [](const LinkTime& time) {
      return time.online_seconds ? short_seconds(*time.online_seconds) + (time.computed ? " *" : "")
                                 : std::string(kNone);
    };
    table.rows.push_back({cell.network(), cell.engine(), seconds_text(cell.number("seconds")), shown(*lan),
                          shown(*wan), seconds_text(cell.number("online_seconds")), online(*lan),
                          online(*wan)});
  }
  table.note = "LAN: " + network_profile("lan").description() +
               "; WAN: " + network_profile("wan").description() + " there and back.";
  table.note +=
      computed ? " * computed, since the machine that measured cannot emulate a network: time on loopback, "
                 "plus a round trip for each round, plus the bytes at the line's rate."
               : " Emulated with netem.";
  return table;
}

SuiteTable key_table(const SuiteDocument& suite) {
  SuiteTable table{
      "keys",
      "Keys",
      "The same inference under other keys.",
      {"network", "engine", "key", "wall", "of it online", "processor time", "up + down", "multiplications"},
      3,
      {}};
  std::vector<std::string> seen;
  const auto add = [&](const CellResult& cell, const std::string& key) {
    table.rows.push_back({cell.network(), cell.engine(), key, wall_text(cell),
                          seconds_text(cell.number("online_seconds")), seconds_text(cell.processor_seconds()),
                          bytes_text(cell.bytes()), count_text(cell.number("multiplications"))});
  };
  for (const CellResult& cell : suite.below("keys/")) {
    const std::string pair = cell.network() + "/" + cell.engine();
    if (std::ranges::find(seen, pair) != seen.end()) continue;
    seen.push_back(pair);
    if (const auto base = suite.find("inference/" + pair)) add(*base, "2048, ordinary");
    for (const CellResult& other : suite.below("keys/" + pair + "/")) {
      add(other, other.fact("bits") + ", " + other.fact("kind"));
    }
  }
  return table;
}

SuiteTable kernel_table(const SuiteDocument& suite) {
  SuiteTable table{
      "kernels",
      "Kernels",
      "The fastest arithmetic that the processor has, and the portable one (POPCORN_KERNEL=portable).",
      {"network", "engine", "kernel", "wall", "portable, wall", "processor time", "portable", "ratio"},
      3,
      {}};
  for (const CellResult& cell : suite.below("kernels/")) {
    const auto base = suite.find("inference/" + cell.network() + "/" + cell.engine());
    if (!base) continue;
    table.rows.push_back({cell.network(), cell.engine(), base->text("kernel"),
                          seconds_text(base->number("seconds")), seconds_text(cell.number("seconds")),
                          seconds_text(base->processor_seconds()), seconds_text(cell.processor_seconds()),
                          ratio_or_none(cell.processor_seconds(), base->processor_seconds())});
  }
  return table;
}

SuiteTable core_table(const SuiteDocument& suite) {
  SuiteTable table{"cores",
                   "Cores",
                   "Both processes together on so many cores.",
                   {"network", "engine", "cores", "wall", "against all"},
                   2,
                   {}};
  for (const CellResult& cell : suite.below("cores/")) {
    const auto base = suite.find("inference/" + cell.network() + "/" + cell.engine());
    table.rows.push_back({cell.network(), cell.engine(), cell.fact("cores"), wall_text(cell),
                          base ? ratio_or_none(cell.number("seconds"), base->number("seconds")) : kNone});
  }
  return table;
}

SuiteTable textbook_table(const SuiteDocument& suite) {
  SuiteTable table{
      "textbook",
      "Against the textbook",
      "The textbook: r^N encryption, one power a weight, one value a ciphertext both ways, GMP only; its "
      "operations are counted exactly, timed on samples and spread evenly over all cores.",
      {"network", "textbook", "ciphertext", "ratio", "shares", "ratio", "shares-fast", "ratio"},
      1,
      {}};
  for (const CellResult& cell : suite.below("inference/")) {
    const Number textbook = cell.number("textbook_seconds");
    if (!textbook || *textbook <= 0) continue;
    std::vector<std::string> row = {cell.network(), seconds_text(textbook)};
    for (const char* engine : {"ciphertext", "shares", "shares-fast"}) {
      const auto other = suite.find("inference/" + cell.network() + "/" + engine);
      const Number seconds = other ? other->number("seconds") : std::nullopt;
      row.push_back(seconds_text(seconds));
      row.push_back(ratio_or_none(textbook, seconds));
    }
    table.rows.push_back(std::move(row));
  }
  return table;
}

SuiteTable packed_table(const SuiteDocument& suite) {
  SuiteTable table{"packed",
                   "Layers on shares",
                   "The preparation of each weighted layer, both parties on all cores, medians.",
                   {"network", "layer", "slots", "ciphertexts up", "down", "multiplications",
                    "client: encrypt", "server: evaluate", "client: decrypt"},
                   2,
                   {}};
  for (const CellResult& cell : suite.cells()) {
    if (cell.group() != "packed" || !cell.report().contains("layers")) continue;
    for (const auto& json : cell.report().at("layers")) {
      const auto number = [&](const char* name) {
        return json.contains(name) ? Number(json.at(name).get<double>()) : std::nullopt;
      };
      table.rows.push_back({cell.network(), json.value("layer", ""), count_text(number("slots")),
                            count_text(number("ciphertexts_up")), count_text(number("ciphertexts_down")),
                            count_text(number("multiplications")), seconds_text(number("encrypt_seconds")),
                            seconds_text(number("evaluate_seconds")),
                            seconds_text(number("decrypt_seconds"))});
    }
  }
  return table;
}

SuiteTable linear_table(const SuiteDocument& suite) {
  SuiteTable table{
      "linear",
      "Layers on ciphertexts",
      "Linear layers on one core, medians of processor time. Weights: non-zero ones at every position. The "
      "textbook takes one power a weight.",
      {"network", "layer", "weights", "time", "a weight", "multiplications", "textbook", "ratio"},
      2,
      {}};
  for (const CellResult& cell : suite.cells()) {
    if (cell.group() != "linear" || !cell.report().contains("layers")) continue;
    for (const auto& json : cell.report().at("layers")) {
      const auto number = [&](const char* name) {
        return json.contains(name) ? Number(json.at(name).get<double>()) : std::nullopt;
      };
      table.rows.push_back({cell.network(), json.value("layer", ""), count_text(number("weights")),
                            seconds_text(number("seconds")), seconds_text(number("seconds_per_weight")),
                            count_text(number("multiplications")), seconds_text(number("textbook_seconds")),
                            ratio_or_none(number("textbook_seconds"), number("seconds"))});
    }
  }
  return table;
}

/// What grows, by the fact that says how far.
struct Growth {
  const char* law;
  const char* engine;
  const char* fact;
  const char* unit;
  double (*size)(double fact);
};

const std::vector<Growth>& growths() {
  static const std::vector<Growth> all = {
      {"weights", "shares", "nonzeros", "non-zero weights", [](double n) { return n; }},
      {"weights", "ciphertext", "nonzeros", "non-zero weights", [](double n) { return n; }},
      {"picture", "shares", "side", "pixels", [](double side) { return side * side; }},
      {"depth", "shares", "weighted_layers", "weighted layers", [](double n) { return n; }}};
  return all;
}

SuiteTable growth_table(const SuiteDocument& suite) {
  SuiteTable table{"growth",
                   "How costs grow",
                   "Random weights of 5 bits. On shares cifar10-conv7, on ciphertexts mnist-conv2.",
                   {"grows", "engine", "network", "size", "wall", "processor time", "up + down", "rounds",
                    "multiplications"},
                   3,
                   {}};
  for (const Growth& growth : growths()) {
    for (const CellResult& cell :
         suite.below("growth/" + std::string(growth.law) + "/" + growth.engine + "/")) {
      const Number fact = cell.fact_number(growth.fact);
      table.rows.push_back({growth.unit, cell.engine(), cell.network(),
                            fact ? grouped(static_cast<std::uint64_t>(growth.size(*fact))) : kNone,
                            wall_text(cell), seconds_text(cell.processor_seconds()), bytes_text(cell.bytes()),
                            count_text(cell.number("rounds")), count_text(cell.number("multiplications"))});
    }
  }
  return table;
}

SuiteTable law_table(const SuiteDocument& suite) {
  SuiteTable table{"laws",
                   "Laws",
                   "y = a + b·x by least squares through the points above; R² is the share of the scatter "
                   "that it explains.",
                   {"x", "engine", "y", "a", "b", "R²"},
                   3,
                   {}};
  struct Quantity {
    const char* name;
    std::function<Number(const CellResult&)> of;
    std::function<std::string(double)> text;
  };
  const auto signed_text = [](const std::function<std::string(double)>& text) {
    return [text](double value) { return (value < 0 ? "−" : "") + text(std::abs(value)); };
  };
  const std::vector<Quantity> quantities = {
      {"processor time", [](const CellResult& c) { return c.processor_seconds(); },
       signed_text(short_seconds)},
      {"up + down", [](const CellResult& c) { return c.bytes(); }, signed_text([](double v) {
         return v < 10 ? fixed(v, 1) + " B" : human_bytes(static_cast<std::uint64_t>(v));
       })},
      {"rounds", [](const CellResult& c) { return c.number("rounds"); },
       signed_text([](double v) { return fixed(v, v < 10 ? 2 : 0); })},
      {"multiplications", [](const CellResult& c) { return c.number("multiplications"); },
       signed_text([](double v) { return v < 100 ? fixed(v, 2) : grouped(static_cast<std::uint64_t>(v)); })}};
  for (const Growth& growth : growths()) {
    for (const Quantity& quantity : quantities) {
      std::vector<std::pair<double, double>> points;
      for (const CellResult& cell :
           suite.below("growth/" + std::string(growth.law) + "/" + growth.engine + "/")) {
        const Number fact = cell.fact_number(growth.fact), value = quantity.of(cell);
        if (fact && value) points.emplace_back(growth.size(*fact), *value);
      }
      const auto law = linear_law(points);
      if (!law) continue;
      table.rows.push_back({growth.unit, growth.engine, quantity.name, quantity.text(law->constant),
                            quantity.text(law->slope), fixed(law->r_squared, 3)});
    }
  }
  return table;
}

}  // namespace

std::string SuiteTable::markdown() const {
  std::string text = "|";
  for (const std::string& head : heads) text += " " + head + " |";
  text += "\n|";
  for (std::size_t k = 0; k < heads.size(); ++k) text += k < words ? " --- |" : " ---: |";
  text += "\n";
  for (const auto& row : rows) {
    text += "|";
    for (std::size_t k = 0; k < row.size(); ++k) {
      const bool is_name = k == 0 && heads.front() == "network";
      std::string cell = is_name ? "`" + row[k] + "`" : row[k];
      for (std::size_t at = cell.find('*'); at != std::string::npos; at = cell.find('*', at + 2))
        cell.insert(at, "\\");
      text += " " + cell + " |";
    }
    text += "\n";
  }
  return text;
}

std::string SuiteTable::html() const {
  std::string html = "<div class=\"scroll\"><table>\n<thead><tr>";
  const auto cell = [&](const char* element, std::size_t column, const std::string& content) {
    return std::string("<") + element + (column < words ? " class=\"left\">" : ">") + escape_html(content) +
           "</" + element + ">";
  };
  for (std::size_t k = 0; k < heads.size(); ++k) html += cell("th", k, heads[k]);
  html += "</tr></thead>\n<tbody>\n";
  for (const auto& row : rows) {
    html += "<tr>";
    for (std::size_t k = 0; k < row.size(); ++k) html += cell("td", k, row[k]);
    html += "</tr>\n";
  }
  return html + "</tbody></table></div>\n";
}

std::vector<SuiteTable> suite_tables(const SuiteDocument& suite) {
  std::vector<SuiteTable> tables = {condition_table(suite), accuracy_table(suite), inference_table(suite),
                                    textbook_table(suite),  link_table(suite),     key_table(suite),
                                    kernel_table(suite),    core_table(suite),     packed_table(suite),
                                    linear_table(suite),    growth_table(suite),   law_table(suite)};
  std::erase_if(tables, [](const SuiteTable& table) { return table.rows.empty(); });
  return tables;
}

std::string suite_markdown(const SuiteDocument& suite) {
  std::string text = "# popcorn bench suite\n\n`" + suite.text("command") + "`, version " +
                     suite.text("version") + ", " + suite.text("machine") + ", " + suite.text("finished") +
                     "\n";
  for (const SuiteTable& table : suite_tables(suite)) {
    text += "\n## " + table.title + "\n" + table.note + "\n\n" + table.markdown();
  }
  return text;
}

}  // namespace popcorn::cli
