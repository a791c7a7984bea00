#include "cli/compress_module/training_progress.h"

#include <unistd.h>

#include <iostream>

#include "cli/terminal/notes.h"
#include "cli/terminal/output.h"

namespace popcorn::cli {

std::function<void(const compress::EpochReport&)> training_progress(bool always) {
  if (notes_are_silenced() || (!always && ::isatty(STDERR_FILENO) == 0)) return {};
  return [](const compress::EpochReport& report) {
    std::cerr << report.phase << "  epoch " << report.epoch << "/" << report.epochs << "  loss "
              << fixed(report.loss, 4);
    if (report.test_accuracy >= 0) std::cerr << "  test accuracy " << human_percent(report.test_accuracy);
    if (report.epoch < report.epochs) std::cerr << "  " << human_seconds(report.seconds_left) << " left";
    std::cerr << '\n';
  };
}

}  // namespace popcorn::cli
