#include "cli/compress_module/report_table.h"

#include <algorithm>
#include <cmath>
#include <ostream>

#include "cli/terminal/output.h"

namespace popcorn::cli {

namespace {

std::string decibels(double db) {
  return std::isfinite(db) ? fixed(db, 1) + " dB" : "exact";
}

void print_layers(std::ostream& out, const compress::CompressionReport& report) {
  using Align = Table::Align;
  Table table({{"layer", Align::left},
               {"kind", Align::left},
               {"shape"},
               {"weights"},
               {"non-zero"},
               {"density"},
               {"bits"},
               {"magnitudes"},
               {"bound"},
               {"signal/noise"},
               {"multiplications"},
               {"before"}});
  for (const compress::LayerReport& layer : report.layers) {
    const bool weighted = layer.weights > 0;
    const auto of = [&](const std::string& text) { return weighted ? text : std::string(); };
    table.add_row(
        {layer.name, layer.kind, layer.shape, of(grouped(layer.weights)), of(grouped(layer.nonzeros)),
         of(human_percent(layer.density, 1)), of(std::to_string(layer.bits)),
         of(std::to_string(layer.magnitudes)), std::to_string(layer.bound_bits) + " bits",
         layer.signal_to_noise_db ? decibels(*layer.signal_to_noise_db) : std::string(),
         layer.cost.multiplications > 0 ? grouped(layer.cost.multiplications) : std::string(),
         layer.cost_before.multiplications > 0 ? grouped(layer.cost_before.multiplications) : std::string()});
  }
  table.add_row({"all", "", "", grouped(report.weights), grouped(report.nonzeros),
                 human_percent(report.density, 1), std::to_string(report.weight_bits), "", "", "",
                 grouped(report.cost.multiplications), grouped(report.cost_before.multiplications)});
  table.print(out);
}

void print_share_layers(std::ostream& out, const compress::CompressionReport& report) {
  using Align = Table::Align;
  Table table({{"layer", Align::left},
               {"kind", Align::left},
               {"density"},
               {"bits"},
               {"w"},
               {"kept"},
               {"slot"},
               {"largest"},
               {"range used"},
               {"signal/noise"},
               {"multiplications"},
               {"ciphertexts"},
               {"transfers"},
               {"bytes"}});
  const auto count = [](std::uint64_t n) { return n > 0 ? grouped(n) : std::string(); };
  for (const compress::LayerReport& layer : report.layers) {
    const compress::ShareReport& s = layer.shares.value();
    const bool weighted = layer.weights > 0;
    table.add_row({layer.name, layer.kind, weighted ? human_percent(layer.density, 1) : std::string(),
                   weighted ? std::to_string(layer.bits) : std::string(), count(s.ring_bits),
                   count(s.kept_bits), count(s.slot_bits), count(static_cast<std::uint64_t>(s.largest_value)),
                   human_percent(s.range_used, 0),
                   layer.signal_to_noise_db ? decibels(*layer.signal_to_noise_db) : std::string(),
                   count(s.multiplications), count(s.ciphertexts), count(s.transfers),
                   human_bytes(s.ciphertext_bytes + s.step_bytes)});
  }
  table.print(out);
  out << "w: bits of a value's ring; kept: of a rescaled one; slot: of a packed one; largest: on the test "
         "pictures\n";
}

/// One inference on shares, predicted.
void print_shares(std::ostream& out, const compress::CompressionReport& report) {
  const compress::ShareReport& all = report.shares.value();
  out << "The float network's answer on " << human_percent(report.same_answers) << " of them; "
      << grouped(report.beyond_range) << " of " << grouped(report.range_values)
      << " values beyond their range\nPer inference on shares with a " << report.settings.key_bits
      << "-bit key, by formula: " << grouped(all.multiplications) << " modular multiplications, "
      << grouped(all.ciphertexts) << " ciphertexts, " << grouped(all.transfers) << " transfers, "
      << human_bytes(all.ciphertext_bytes + all.step_bytes) << " (" << human_bytes(report.fast_bytes)
      << " with fast rounding)\n";
}

/// What figures like these most likely come from.
void print_warnings(std::ostream& out, const compress::CompressionReport& report) {
  constexpr double kHardlyBetter = 0.05;
  constexpr std::size_t kEnoughImages = 100;
  const double guessed = 1 / static_cast<double>(std::max<std::size_t>(report.classes, 1));
  if (report.test_images >= kEnoughImages && report.float_accuracy < guessed + kHardlyBetter) {
    out << "Warning: the float network hardly does better than guessing. Is this its data, and are --mean, "
           "--std, --color, --input-shape and --label as in its training?\n";
  }
  if (report.beyond_range > 0) {
    out << "Warning: values beyond their range are wrong. Calibrate on more pictures, or on others "
           "(--calibration-images)\n";
  }
}

}  // namespace

void print_report(std::ostream& out, const compress::CompressionReport& report) {
  report.shares ? print_share_layers(out, report) : print_layers(out, report);
  if (report.equalised)
    out << "\nChannels far apart in scale were equalised across layers first; the float function is the "
           "same.\n";
  for (const compress::LayerReport& layer : report.layers) {
    if (layer.cut_channels == 0) continue;
    out << "Warning: layer " << layer.name << ": " << layer.cut_channels
        << (layer.cut_channels == 1 ? " channel has" : " channels have")
        << " weights far below the others' and a quantisation step coarser than they want\n";
  }
  out << "\nAccuracy on " << grouped(report.test_images) << " test images: float "
      << human_percent(report.float_accuracy) << ", pruned " << human_percent(report.pruned_accuracy)
      << ", integer " << human_percent(report.integer_accuracy) << '\n';
  if (report.shares) {
    print_shares(out, report);
  } else if (report.cost_problem.empty()) {
    out << "Per inference with a " << report.settings.key_bits << "-bit key and the "
        << report.settings.sign_test << " sign test: " << grouped(report.cost.multiplications)
        << " modular multiplications, " << human_bytes(report.cost.bytes_up) << " up, "
        << human_bytes(report.cost.bytes_down) << " down\n";
  } else {
    out << "Linear layers: " << grouped(report.cost.multiplications)
        << " modular multiplications. No inference is possible with a " << report.settings.key_bits
        << "-bit key: " << report.cost_problem << '\n';
  }
  print_warnings(out, report);
  out << "File: " << human_bytes(report.file_bytes) << "\n";
}

}  // namespace popcorn::cli
