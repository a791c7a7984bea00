// Remarks on standard error that are no errors: which key is used, what was read, what is being done.
#pragma once

#include <iosfwd>

namespace CLI {
class App;
}

namespace popcorn::cli {

/// Standard error, or a stream that drops everything after silence_notes().
std::ostream& notes();
/// For the rest of the process: no notes and no progress. Warnings and errors are no notes.
void silence_notes();
bool notes_are_silenced();

/// -q, --quiet of a command.
void add_quiet_option(CLI::App& command);

}  // namespace popcorn::cli
