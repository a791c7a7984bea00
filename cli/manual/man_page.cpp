#include "cli/manual/man_page.h"

#include <CLI/CLI.hpp>
#include <sstream>
#include <vector>

#include "cli/manual/option_value.h"

namespace popcorn::cli {

namespace {

/// Text as roff prints it: no character is an instruction, and a minus is one that can be copied.
std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '\\':
        out += "\\e";
        break;
      case '-':
        out += "\\-";
        break;
      case '\'':
        out += "\\(aq";
        break;
      case '`':
        out += "\\(ga";
        break;
      case '^':
        out += "\\(ha";
        break;
      case '~':
        out += "\\(ti";
        break;
      default:
        out += c;
    }
  }
  if (out.starts_with('.')) out.insert(0, "\\&");
  return out;
}

std::string bold(const std::string& text) {
  return "\\fB" + escaped(text) + "\\fR";
}

std::string italic(const std::string& text) {
  return "\\fI" + escaped(text) + "\\fR";
}

std::string sentence(std::string text) {
  if (!text.empty() && std::string_view(".:?!").find(text.back()) == std::string_view::npos) text += '.';
  return text;
}

std::vector<const CLI::App*> path_to(const CLI::App& command) {
  std::vector<const CLI::App*> path;
  for (const CLI::App* at = &command; at != nullptr; at = at->get_parent()) path.insert(path.begin(), at);
  return path;
}

std::string names_joined(const CLI::App& command, const char* separator) {
  std::string name;
  for (const CLI::App* at : path_to(command)) name += (name.empty() ? "" : separator) + at->get_name();
  return name;
}

std::vector<const CLI::App*> commands_of(const CLI::App& command) {
  return command.get_subcommands([](const CLI::App* below) { return is_listed(*below); });
}

std::vector<const CLI::Option*> options_of(const CLI::App& command, bool positional) {
  return command.get_options([positional](const CLI::Option* option) {
    return !option->get_group().empty() && is_positional(*option) == positional;
  });
}

/// What help prints below the options, by its parts.
struct Footer {
  std::vector<std::string> prose;
  std::string exit_status;
  std::string environment;
  std::vector<std::string> examples;
};

constexpr std::string_view kEnvironment = "Environment: ";

Footer parts_of(const std::string& footer) {
  Footer parts;
  std::string paragraph;
  bool in_examples = false;
  const auto end_paragraph = [&] {
    if (paragraph.starts_with("Exit code")) {
      parts.exit_status = paragraph;
    } else if (paragraph.starts_with(kEnvironment)) {
      parts.environment = paragraph.substr(kEnvironment.size());
    } else if (!paragraph.empty()) {
      parts.prose.push_back(paragraph);
    }
    paragraph.clear();
  };
  std::istringstream lines(footer);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("Example")) {
      end_paragraph();
      in_examples = true;
    } else if (in_examples && line.starts_with("  ")) {
      parts.examples.push_back(line.substr(2));
    } else if (line.empty()) {
      end_paragraph();
    } else {
      in_examples = false;
      paragraph += (paragraph.empty() ? "" : " ") + line;
    }
  }
  end_paragraph();
  return parts;
}

/// One line without the name of the program and a full stop, as whatis(1) wants it.
std::string summary(const CLI::App& command) {
  constexpr std::string_view kOwnName = "Popcorn: ";
  std::string line = command.get_description();
  line.resize(std::min(line.size(), line.find('\n')));
  if (line.starts_with(kOwnName)) line.erase(0, kOwnName.size());
  if (line.ends_with('.')) line.pop_back();
  return line;
}

std::string argument_text(const CLI::Option& option) {
  const OptionValue value = value_of(option);
  return italic(value.name) + (value.repeats ? "..." : "");
}

void synopsis(std::ostream& out, const CLI::App& command) {
  out << ".SH SYNOPSIS\n" << bold(names_joined(command, " ")) << '\n';
  if (!commands_of(command).empty()) {
    out << italic("COMMAND") << " [" << italic("OPTION") << "]...\n";
    return;
  }
  for (const CLI::Option* option : options_of(command, false)) {
    if (option->get_required()) out << bold(shown_name(*option)) << ' ' << argument_text(*option) << '\n';
  }
  out << '[' << italic("OPTION") << "]...\n";
  for (const CLI::Option* option : options_of(command, true)) {
    const std::string text = argument_text(*option);
    out << (option->get_required() ? text : "[" + text + "]") << '\n';
  }
}

void paragraphs(std::ostream& out, const std::string& text) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) out << escaped(line) << '\n';
}

void description(std::ostream& out, const CLI::App& command, const Footer& footer) {
  out << ".SH DESCRIPTION\n";
  paragraphs(out, sentence(command.get_description()));
  for (const std::string& paragraph : footer.prose) {
    out << ".PP\n";
    paragraphs(out, paragraph);
  }
}

void commands(std::ostream& out, const CLI::App& command) {
  const std::vector<const CLI::App*> all = commands_of(command);
  if (all.empty()) return;
  out << ".SH COMMANDS\n";
  for (const CLI::App* below : all)
    out << ".TP\n" << bold(below->get_name()) << '\n' << escaped(sentence(summary(*below))) << '\n';
}

/// "-o, --out FILE"
std::string heading(const CLI::Option& option) {
  std::string text;
  const auto add = [&](const std::string& name) { text += (text.empty() ? "" : ", ") + bold(name); };
  for (const std::string& name : option.get_snames()) add("-" + name);
  for (const std::string& name : option.get_lnames()) add("--" + name);
  const OptionValue value = value_of(option);
  if (!value.name.empty()) text += (text.empty() ? "" : " ") + argument_text(option);
  return text + (option.get_required() ? " (required)" : "");
}

/// What checks, defaults and the environment add to the text of an option.
std::string additions(const CLI::Option& option) {
  const OptionValue value = value_of(option);
  std::string text;
  const bool named = !value.choices.empty() && value.name.find('|') == std::string::npos;
  for (std::size_t i = 0; named && i < value.choices.size(); ++i)
    text += (i == 0 ? " One of " : ", ") + value.choices[i];
  if (named && !value.choices.empty()) text += '.';
  if (!value.least.empty()) text += " From " + value.least + " to " + value.most + ".";
  if (!option.get_default_str().empty()) text += " Default: " + option.get_default_str() + ".";
  if (!option.get_envname().empty())
    text += " Also from the environment variable " + option.get_envname() + ".";
  return text;
}

void option_list(std::ostream& out, const char* title, const std::vector<const CLI::Option*>& options) {
  if (options.empty()) return;
  out << ".SH " << title << '\n';
  for (const CLI::Option* option : options) {
    out << ".TP\n"
        << heading(*option) << '\n'
        << escaped(sentence(option->get_description()) + additions(*option)) << '\n';
  }
}

void section(std::ostream& out, const char* title, const std::string& text) {
  if (!text.empty()) out << ".SH " << title << '\n' << escaped(text) << '\n';
}

void examples(std::ostream& out, const std::vector<std::string>& lines) {
  if (lines.empty()) return;
  out << ".SH EXAMPLES\n.EX\n";
  for (const std::string& line : lines) out << escaped(line) << '\n';
  out << ".EE\n";
}

void see_also(std::ostream& out, const CLI::App& command) {
  std::vector<std::string> pages;
  if (command.get_parent() != nullptr) pages.push_back(man_page_name(*command.get_parent()));
  for (const CLI::App* below : commands_of(command)) pages.push_back(man_page_name(*below));
  if (pages.empty()) return;
  out << ".SH SEE ALSO\n";
  for (std::size_t i = 0; i < pages.size(); ++i)
    out << bold(pages[i]) << "(1)" << (i + 1 < pages.size() ? "," : "") << '\n';
}

}  // namespace

bool is_listed(const CLI::App& command) {
  return !command.get_name().empty() && !command.get_group().empty();
}

std::string man_page_name(const CLI::App& command) {
  return names_joined(command, "-");
}

std::string man_page(const CLI::App& command, const std::string& version) {
  const Footer footer = parts_of(command.get_footer());
  std::ostringstream out;
  out << ".\\\" Made by popcorn man from the command line's own description.\n"
      << ".TH \"" << escaped(man_page_name(command)) << "\" 1 \"\" \"Popcorn " << escaped(version)
      << "\" \"Popcorn\"\n"
      << ".nh\n.ad l\n"  // options are not hyphenated, lines not stretched
      << ".SH NAME\n"
      << escaped(man_page_name(command)) << " \\- " << escaped(summary(command)) << '\n';
  synopsis(out, command);
  description(out, command, footer);
  commands(out, command);
  option_list(out, "ARGUMENTS", options_of(command, true));
  option_list(out, "OPTIONS", options_of(command, false));
  section(out, "EXIT STATUS", footer.exit_status);
  section(out, "ENVIRONMENT", footer.environment);
  examples(out, footer.examples);
  see_also(out, command);
  return out.str();
}

}  // namespace popcorn::cli
