#include "cli/manual/completion.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <optional>
#include <ostream>

#include "cli/manual/man_page.h"
#include "cli/manual/option_value.h"

namespace popcorn::cli {

namespace {

std::string first_line(const std::string& text) {
  return text.substr(0, text.find('\n'));
}

std::vector<std::string> rejoined(const std::vector<std::string>& words) {
  std::vector<std::string> whole;
  bool glue = false;
  for (const std::string& word : words) {
    const bool breaks = word == "=" || word == ":";
    if (!whole.empty() && (breaks || glue)) {
      whole.back() += word;
    } else {
      whole.push_back(word);
    }
    glue = breaks;
  }
  return whole;
}

const CLI::Option* option_named(const CLI::App& command, const std::string& word) {
  if (word.size() < 2 || word.front() != '-') return nullptr;
  return command.get_option_no_throw(word);
}

bool takes_value(const CLI::Option* option) {
  return option != nullptr && option->get_items_expected_max() > 0;
}

/// Where the words before the last one lead.
struct Place {
  const CLI::App* command;
  const CLI::Option* awaiting = nullptr;  ///< the option whose value comes next
  std::size_t arguments = 0;              ///< that stand by themselves so far
};

Place place_after(const CLI::App& program, const std::vector<std::string>& words) {
  Place place{&program};
  for (const std::string& word : words) {
    if (place.awaiting != nullptr) {
      place.awaiting = nullptr;
    } else if (word.starts_with('-') && word.size() > 1) {
      const CLI::Option* option = option_named(*place.command, word);
      if (takes_value(option)) place.awaiting = option;
    } else {
      const auto below = place.command->get_subcommands(
          [&](const CLI::App* command) { return is_listed(*command) && command->get_name() == word; });
      if (below.empty()) {
        ++place.arguments;
      } else {
        place = {below.front()};
      }
    }
  }
  return place;
}

/// The argument that would take the next word standing by itself.
const CLI::Option* positional_at(const CLI::App& command, std::size_t index) {
  for (const CLI::Option* option : command.get_options()) {
    if (!is_positional(*option)) continue;
    const auto most = static_cast<std::size_t>(option->get_items_expected_max());
    if (index < most) return option;
    index -= most;
  }
  return nullptr;
}

class Collector {
 public:
  Collector(std::string begun, const std::vector<std::string>& models)
      : begun_(std::move(begun)), models_(models) {}

  void add(const std::string& word, const std::string& description) {
    if (word.starts_with(begun_)) found_.candidates.push_back({word, first_line(description)});
  }

  /// @param before what stands before the value in the same word: "--engine="
  void add_values(const CLI::Option& option, const std::string& before) {
    const OptionValue value = value_of(option);
    for (const std::string& choice : value.choices) add(before + choice, "");
    const std::string name = shown_name(option);
    if (value.name == "MODEL" || name == "--model") {
      for (const std::string& model : models_) add(before + model, "shipped model");
      if (value.name == "MODEL") found_.paths = Completion::Paths::files;
    } else if (value.name == "DIR" || value.name == "FOLDER") {
      found_.paths = Completion::Paths::files;  // data sets may be one file as well
      if (value.name == "FOLDER") found_.paths = Completion::Paths::folders;
    } else if (value.name == "FILE" || value.name == "IMAGE" ||
               (value.choices.empty() && value.name == "TEXT")) {
      found_.paths = Completion::Paths::files;
    }
  }

  void add_options(const CLI::App& command) {
    for (const CLI::Option* option : command.get_options()) {
      if (option->get_group().empty()) continue;
      for (const std::string& name : option->get_lnames()) add("--" + name, option->get_description());
    }
  }

  void add_commands(const CLI::App& command) {
    for (const CLI::App* below : command.get_subcommands([](const CLI::App* one) { return is_listed(*one); }))
      add(below->get_name(), below->get_description());
  }

  Completion take() { return std::move(found_); }

 private:
  const std::string begun_;
  const std::vector<std::string>& models_;
  Completion found_;
};

}  // namespace

Completion complete(const CLI::App& program, std::vector<std::string> words,
                    const std::vector<std::string>& models) {
  words = rejoined(words);
  if (words.empty()) words.emplace_back();
  const std::string begun = words.back();
  words.pop_back();
  const Place place = place_after(program, words);
  Collector collector(begun, models);
  const std::size_t equals = begun.find('=');
  if (place.awaiting != nullptr) {
    collector.add_values(*place.awaiting, "");
  } else if (begun.starts_with("--") && equals != std::string::npos) {
    const CLI::Option* option = option_named(*place.command, begun.substr(0, equals));
    if (takes_value(option)) collector.add_values(*option, begun.substr(0, equals + 1));
  } else if (begun.starts_with('-')) {
    collector.add_options(*place.command);
  } else {
    collector.add_commands(*place.command);
    const CLI::Option* argument = positional_at(*place.command, place.arguments);
    if (argument != nullptr) collector.add_values(*argument, "");
  }
  return collector.take();
}

void print(std::ostream& out, const Completion& completion) {
  for (const Completion::Candidate& candidate : completion.candidates)
    out << candidate.word << '\t' << candidate.description << '\n';
  switch (completion.paths) {
    case Completion::Paths::none:
      out << ":words\n";
      break;
    case Completion::Paths::files:
      out << ":files\n";
      break;
    case Completion::Paths::folders:
      out << ":folders\n";
      break;
  }
}

}  // namespace popcorn::cli
