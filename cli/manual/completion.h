// What may stand at the end of an unfinished command line, from the commands' own descriptions.
#pragma once

#include <iosfwd>
#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace popcorn::cli {

struct Completion {
  struct Candidate {
    std::string word;
    std::string description;  ///< one line; may be empty
  };
  enum class Paths { none, files, folders };

  std::vector<Candidate> candidates;  ///< all begin with what is there of the word
  Paths paths = Paths::none;          ///< what else may stand there
};

/// @param words those after the program's name; the last one is unfinished, and empty when nothing is there
/// of it yet. Pieces around = and :, which bash makes words of their own, are put together again.
/// @param models names offered where a model is wanted
Completion complete(const CLI::App& program, std::vector<std::string> words,
                    const std::vector<std::string>& models);

/// As the shells' scripts read it: "WORD\tDESCRIPTION" a line, then ":words", ":files" or ":folders".
void print(std::ostream& out, const Completion& completion);

}  // namespace popcorn::cli
