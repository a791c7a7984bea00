#include "cli/compress_module/html_report.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "cli/report/html_page.h"
#include "cli/report/svg_chart.h"
#include "cli/terminal/output.h"

namespace popcorn::cli {

namespace {

using compress::CompressionReport;
using compress::Cost;
using compress::LayerReport;
using compress::VisitedPoint;

/// How a number is written in JSON, so that a reader finds the same text here and there.
template <typename Number>
std::string plain(Number value) {
  return nlohmann::json(value).dump();
}

std::uint64_t traffic(const Cost& cost) {
  return cost.bytes_up + cost.bytes_down;
}

std::string tiles(const CompressionReport& r) {
  std::string html = "<div class=\"tiles\">\n";
  html += tile("accuracy, integer network", human_percent(r.integer_accuracy),
               "float " + human_percent(r.float_accuracy) + ", " + grouped(r.test_images) + " images");
  html += tile("weights that are zero", human_percent(1 - r.density, 1),
               grouped(r.nonzeros) + " of " + grouped(r.weights) + " stay");
  html += tile("bits of a weight", std::to_string(r.weight_bits), "at most, with its sign");
  if (r.shares) {
    html += tile("the float network's answer", human_percent(r.same_answers), "of the test pictures");
    html += tile("modular multiplications", grouped(r.shares->multiplications), "on shares, by formula");
    html += tile("traffic of an inference", human_bytes(r.shares->ciphertext_bytes + r.shares->step_bytes),
                 human_bytes(r.fast_bytes) + " with fast rounding");
  } else {
    html += tile("modular multiplications", grouped(r.cost.multiplications),
                 "before " + grouped(r.cost_before.multiplications));
    html += tile("traffic of an inference", human_bytes(traffic(r.cost)),
                 "before " + human_bytes(traffic(r.cost_before)));
  }
  html += tile("model file", human_bytes(r.file_bytes), "weights, graph and encoding");
  return html + "</div>\n";
}

int series_of(const std::string& phase) {
  if (phase == "float") return 0;
  if (phase == "prune" || phase == "pruned") return 1;
  return phase == "quantise" ? 2 : 3;
}

std::string bits_text(int bits) {
  return bits >= 32 ? "float" : std::to_string(bits) + " bits";
}

std::string note(const VisitedPoint& p) {
  return p.phase + (p.epoch > 0 ? " epoch " + std::to_string(p.epoch) : std::string()) + ": " +
         human_percent(p.accuracy) + ", " + human_percent(p.density, 1) + " of the weights, " +
         bits_text(p.bits);
}

std::string accuracy_plots(const CompressionReport& r) {
  std::vector<PlotPoint> by_density, by_bits;
  std::set<int> widths;
  for (const VisitedPoint& p : r.points) widths.insert(p.bits);
  std::map<int, double> place;
  PlotAxis bits_axis;
  for (const int bits : widths) {
    place[bits] = static_cast<double>(place.size());
    bits_axis.ticks.emplace_back(place[bits], bits_text(bits));
  }
  bits_axis.low = -0.5;
  bits_axis.high = static_cast<double>(widths.size()) - 0.5;
  for (const VisitedPoint& p : r.points) {
    by_density.push_back({p.density, p.accuracy, series_of(p.phase), note(p)});
    by_bits.push_back({place[p.bits], p.accuracy, series_of(p.phase), note(p)});
  }
  PlotAxis density_axis;
  density_axis.low = -0.02;
  density_axis.high = 1.02;
  for (int k = 0; k <= 5; ++k) density_axis.ticks.emplace_back(0.2 * k, std::to_string(20 * k) + " %");
  const std::string legend =
      "<div class=\"legend\"><span><i class=\"l0\"></i>float</span><span><i class=\"l1\"></i>pruning</span>"
      "<span><i class=\"l2\"></i>quantised, tuning</span><span><i class=\"l3\"></i>integer "
      "network</span></div>\n";
  return "<div class=\"plots\">\n" +
         section("Accuracy against density", "Test accuracy of the networks that this run visited.",
                 xy_plot(by_density, density_axis, "weights that are not zero", "Accuracy against density") +
                     legend) +
         section("Accuracy against bits", "The same networks by the width of their largest weight.",
                 xy_plot(by_bits, bits_axis, "bits of a weight", "Accuracy against bits") + legend) +
         "</div>\n";
}

std::string cost_plots(const CompressionReport& r) {
  std::vector<BeforeAfter> work, bytes;
  for (const LayerReport& layer : r.layers) {
    if (layer.cost_before.multiplications > 0)
      work.push_back({layer.name, layer.cost_before.multiplications, layer.cost.multiplications});
    if (traffic(layer.cost_before) > 0)
      bytes.push_back({layer.name, traffic(layer.cost_before), traffic(layer.cost)});
  }
  const std::string legend =
      "<div class=\"legend\"><span><i class=\"ring\"></i>all weights kept, 8 bits</span>"
      "<span><i class=\"l3\"></i>after</span></div>\n";
  return "<div class=\"plots\">\n" +
         section(
             "Modular multiplications", "Of each layer for one inference; logarithmic.",
             before_after_plot(work, "Modular multiplications of each layer, before and after") + legend) +
         section("Bytes on the wire",
                 "Both directions, with a " + std::to_string(r.settings.key_bits) + "-bit key and the " +
                     r.settings.sign_test + " sign test; logarithmic.",
                 before_after_plot(bytes, "Bytes of each layer, before and after") + legend) +
         "</div>\n";
}

std::string histograms(const CompressionReport& r) {
  std::string html = "<div class=\"small\">\n";
  for (const LayerReport& layer : r.layers) {
    if (layer.weights == 0) continue;
    html += "<div><h3>" + escape_html(layer.name) + "</h3>\n" +
            histogram_plot(layer.histogram, "Weights of " + layer.name) + "<p>" +
            human_percent(1 - layer.density, 1) + " zeros, not drawn</p></div>\n";
  }
  return section("Weights", "How often each whole number occurs in a layer.", html + "</div>\n");
}

/// Rows of cells whose exact values stand in data-value.
class HtmlTable {
 public:
  /// @param words how many columns at the left hold words
  HtmlTable(const std::vector<std::string>& heads, std::size_t words) {
    for (std::size_t k = 0; k < heads.size(); ++k)
      html_ += (k < words ? "<th class=\"left\">" : "<th>") + heads[k] + "</th>";
    html_ = "<div class=\"scroll\"><table>\n<thead><tr>" + html_ + "</tr></thead>\n<tbody>\n";
  }
  void start_row(const char* style = "") {
    html_ += style[0] == '\0' ? std::string("<tr>") : std::string("<tr class=\"") + style + "\">";
  }
  void words(const std::string& value) { html_ += "<td class=\"left\">" + escape_html(value) + "</td>"; }
  template <typename Number>
  void number(const char* key, Number value, const std::string& shown) {
    html_ +=
        std::string("<td data-key=\"") + key + "\" data-value=\"" + plain(value) + "\">" + shown + "</td>";
  }
  void count(const char* key, std::uint64_t value) { number(key, value, grouped(value)); }
  void end_row() { html_ += "</tr>\n"; }
  void empty(int cells) {
    for (int k = 0; k < cells; ++k) html_ += "<td></td>";
  }
  std::string done() { return html_ + "</tbody></table></div>\n"; }

 private:
  std::string html_;
};

void bytes_cell(HtmlTable& table, const char* key, std::uint64_t bytes) {
  table.number(key, bytes, human_bytes(bytes));
}

void cost_cells(HtmlTable& table, const Cost& cost, const Cost& before) {
  table.count("multiplications_before", before.multiplications);
  table.count("multiplications", cost.multiplications);
  table.count("ciphertexts_up_before", before.ciphertexts_up);
  table.count("ciphertexts_up", cost.ciphertexts_up);
  table.count("ciphertexts_down_before", before.ciphertexts_down);
  table.count("ciphertexts_down", cost.ciphertexts_down);
  bytes_cell(table, "bytes_up_before", before.bytes_up);
  bytes_cell(table, "bytes_up", cost.bytes_up);
  bytes_cell(table, "bytes_down_before", before.bytes_down);
  bytes_cell(table, "bytes_down", cost.bytes_down);
}

void share_cells(HtmlTable& table, const compress::ShareReport& shares) {
  table.count("multiplications", shares.multiplications);
  table.count("ciphertexts", shares.ciphertexts);
  table.count("transfers", shares.transfers);
  bytes_cell(table, "ciphertext_bytes", shares.ciphertext_bytes);
  bytes_cell(table, "step_bytes", shares.step_bytes);
}

std::string layer_table(const CompressionReport& r) {
  HtmlTable table({"layer",
                   "kind",
                   "shape",
                   "weights",
                   "non-zero",
                   "density",
                   "bits",
                   "magnitudes",
                   "bound, bits",
                   "signal to noise, dB",
                   "multiplications before",
                   "multiplications",
                   "ciphertexts up before",
                   "ciphertexts up",
                   "ciphertexts down before",
                   "ciphertexts down",
                   "bytes up before",
                   "bytes up",
                   "bytes down before",
                   "bytes down"},
                  3);
  for (const LayerReport& layer : r.layers) {
    table.start_row();
    table.words(layer.name);
    table.words(layer.kind);
    table.words(layer.shape);
    if (layer.weights > 0) {
      table.count("weights", layer.weights);
      table.count("nonzeros", layer.nonzeros);
      table.number("density", layer.density, human_percent(layer.density, 1));
      table.count("bits", layer.bits);
      table.count("magnitudes", layer.magnitudes);
    } else {
      table.empty(5);
    }
    table.count("bound_bits", layer.bound_bits);
    if (layer.signal_to_noise_db && std::isfinite(*layer.signal_to_noise_db)) {
      table.number("signal_to_noise_db", *layer.signal_to_noise_db, fixed(*layer.signal_to_noise_db, 1));
    } else {
      table.empty(1);
    }
    cost_cells(table, layer.cost, layer.cost_before);
    table.end_row();
  }
  table.start_row("sum");
  table.words("all");
  table.empty(2);
  table.count("weights", r.weights);
  table.count("nonzeros", r.nonzeros);
  table.number("density", r.density, human_percent(r.density, 1));
  table.count("weight_bits", r.weight_bits);
  table.empty(3);
  cost_cells(table, r.cost, r.cost_before);
  table.end_row();
  return section(
      "Layers",
      "Before: all weights kept and rounded to 8 bits. Costs are exact, for one inference with a " +
          std::to_string(r.settings.key_bits) + "-bit key and the " + r.settings.sign_test + " sign test" +
          (r.cost_problem.empty()
               ? std::string(".")
               : "; of linear layers only, since no inference is possible: " + escape_html(r.cost_problem)),
      table.done());
}

std::string share_table(const CompressionReport& r) {
  HtmlTable table({"layer", "kind", "weights", "non-zero", "bits", "w", "kept, bits", "slot, bits",
                   "largest value", "range used", "signal to noise, dB", "multiplications", "ciphertexts",
                   "transfers", "bytes of ciphertexts", "bytes of steps"},
                  2);
  for (const LayerReport& layer : r.layers) {
    const compress::ShareReport& s = layer.shares.value();
    table.start_row();
    table.words(layer.name);
    table.words(layer.kind);
    table.count("weights", layer.weights);
    table.count("nonzeros", layer.nonzeros);
    table.count("bits", layer.bits);
    table.count("ring_bits", s.ring_bits);
    table.count("kept_bits", s.kept_bits);
    table.count("slot_bits", s.slot_bits);
    table.count("largest_value", static_cast<std::uint64_t>(s.largest_value));
    table.number("range_used", s.range_used, human_percent(s.range_used, 0));
    if (layer.signal_to_noise_db && std::isfinite(*layer.signal_to_noise_db)) {
      table.number("signal_to_noise_db", *layer.signal_to_noise_db, fixed(*layer.signal_to_noise_db, 1));
    } else {
      table.empty(1);
    }
    share_cells(table, s);
    table.end_row();
  }
  table.start_row("sum");
  table.words("all");
  table.empty(1);
  table.count("weights", r.weights);
  table.count("nonzeros", r.nonzeros);
  table.count("weight_bits", r.weight_bits);
  table.empty(6);
  share_cells(table, r.shares.value());
  table.end_row();
  return section("Layers",
                 "Costs of one inference on shares by formula, with a " +
                     std::to_string(r.settings.key_bits) +
                     "-bit key and rounding to nearest; with fast rounding " + human_bytes(r.fast_bytes) +
                     " in all. w: bits of a value's ring; kept: of a rescaled one; slot: of a packed one. "
                     "Largest values are the test pictures'; " +
                     grouped(r.beyond_range) + " of " + grouped(r.range_values) + " were beyond their range.",
                 table.done());
}

std::string point_table(const CompressionReport& r) {
  HtmlTable table({"network", "epoch", "weights not zero", "bits", "accuracy"}, 1);
  for (const VisitedPoint& p : r.points) {
    table.start_row();
    table.words(p.phase);
    table.number("epoch", p.epoch, p.epoch > 0 ? std::to_string(p.epoch) : std::string());
    table.number("density", p.density, human_percent(p.density, 1));
    table.number("bits", p.bits, p.bits >= 32 ? "float" : std::to_string(p.bits));
    table.number("accuracy", p.accuracy, human_percent(p.accuracy));
    table.end_row();
  }
  return section("Visited networks", "The marks of the first two plots.", table.done());
}

}  // namespace

std::string report_html(const CompressionReport& r) {
  return html_page(r.name + ": compression report", r.name,
                   "From a float network to exact small integers: what popcorn compress did.",
                   tiles(r) + accuracy_plots(r) + (r.shares ? std::string() : cost_plots(r)) + histograms(r) +
                       (r.shares ? share_table(r) : layer_table(r)) + point_table(r));
}

}  // namespace popcorn::cli
