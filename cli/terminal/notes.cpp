#include "cli/terminal/notes.h"

#include <CLI/CLI.hpp>
#include <atomic>
#include <iostream>

namespace popcorn::cli {

namespace {

std::atomic<bool> silenced = false;

}  // namespace

std::ostream& notes() {
  static std::ostream nowhere(nullptr);
  return silenced ? nowhere : std::cerr;
}

void silence_notes() {
  silenced = true;
}

bool notes_are_silenced() {
  return silenced;
}

void add_quiet_option(CLI::App& command) {
  command.add_flag_callback("-q,--quiet", silence_notes,
                            "No notes and no progress on standard error; warnings and errors stay");
}

}  // namespace popcorn::cli
