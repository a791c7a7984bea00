// Manual pages and completion: of a small command line in this process, and of the real one in real shells.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>
#include <iostream>
#include <memory>

#include "base/error.h"
#include "base/file.h"
#include "cli/manual/completion.h"
#include "cli/manual/completion_scripts.h"
#include "cli/manual/man_page.h"
#include "cli/manual/option_value.h"
#include "tests/support/process.h"

namespace popcorn::test {

namespace {

using cli::Completion;

/// A program with a command of each kind.
struct Program {
  CLI::App app{"Popcorn: pictures of things.\nIn several lines.", "popcorn"};
  std::string model, kind, file, folder, hidden;
  std::vector<std::string> pictures;
  int number = 7;
  bool json = false;

  Program() {
    CLI::App* show = app.add_subcommand("show", "Show a model's facts");
    show->add_option("model", model, "The model")->required()->type_name("MODEL");
    show->add_option("pictures", pictures, "Its pictures")->type_name("IMAGE");
    show->add_option("-k,--kind", kind, "What kind: one's own, or - as with .TH - another")
        ->check(CLI::IsMember({"plain", "fancy"}));
    show->add_option("--out", file, "Where to")->type_name("FILE")->envname("SHOW_OUT");
    show->add_option("--folder", folder, "Where to")->type_name("FOLDER");
    show->add_option("--number", number, "How many")->check(CLI::Range(1, 9))->capture_default_str();
    show->add_option("--secret-option", hidden, "")->group("");
    show->add_flag("--json", json, "As JSON");
    show->footer(
        "More about it.\n\nExit code 8 when wrong.\n\nExamples:\n  popcorn show -k plain m.popcorn\n");
    CLI::App* make = app.add_subcommand("make", "Make things");
    make->add_subcommand("cake", "Make a cake");
    make->add_subcommand("tea", "Make tea");
    app.add_subcommand("hidden", "Not for people")->group("");
  }
  const CLI::Option& option(const std::string& name) { return *app.get_subcommand("show")->get_option(name); }
};

std::vector<std::string> words_of(const Completion& completion) {
  std::vector<std::string> words;
  for (const Completion::Candidate& candidate : completion.candidates) words.push_back(candidate.word);
  return words;
}

std::vector<std::string> completed(const std::vector<std::string>& words) {
  const Program program;
  return words_of(cli::complete(program.app, words, {"mnist-mlp", "mnist-conv1", "cifar"}));
}

Completion::Paths paths_after(const std::vector<std::string>& words) {
  const Program program;
  return cli::complete(program.app, words, {}).paths;
}

using Words = std::vector<std::string>;

bool is_installed(const std::string& program) {
  if (run_process({"/usr/bin/env", "sh", "-c", "command -v " + program}).exit_code == 0) return true;
  std::cerr << "\n*** SKIPPED: " << program << " is not installed ***\n";
  return false;
}

std::string folder_of_popcorn() {
  return std::filesystem::path(POPCORN_EXECUTABLE).parent_path().string();
}

/// What a bash that has sourced the script would offer.
std::string offered_by_bash(const Words& words) {
  std::string line = "popcorn";
  for (const std::string& word : words) line += " '" + word + "'";
  const std::string script =
      "PATH=\"" + folder_of_popcorn() + ":$PATH\"\nsource <(popcorn completion bash)\n" +
      "complete -p popcorn >/dev/null || exit 1\nCOMP_WORDS=(" + line +
      ")\nCOMP_CWORD=" + std::to_string(words.size()) + "\n_popcorn\nprintf '%s\\n' \"${COMPREPLY[@]}\"\n";
  const ProcessResult result = run_process({"/bin/bash", "-c", script});
  INFO(result.err);
  CHECK(result.exit_code == 0);
  return result.out;
}

}  // namespace

TEST_CASE("What an option takes is read from its type and its checks", "[manual]") {
  Program program;
  const cli::OptionValue kind = cli::value_of(program.option("--kind"));
  CHECK((kind.name == "plain|fancy" || kind.name == "fancy|plain"));
  CHECK(kind.choices.size() == 2);
  const cli::OptionValue number = cli::value_of(program.option("--number"));
  CHECK((number.name == "N" && number.least == "1" && number.most == "9"));
  CHECK(cli::value_of(program.option("--out")).name == "FILE");
  CHECK(cli::value_of(program.option("--json")).name.empty());
  CHECK(cli::value_of(program.option("pictures")).repeats);
  CHECK_FALSE(cli::value_of(program.option("model")).repeats);
  CHECK(cli::shown_name(program.option("-k")) == "--kind");
}

TEST_CASE("A manual page says all that the command line knows of a command", "[manual]") {
  Program program;
  const CLI::App& show = *program.app.get_subcommand("show");
  CHECK(cli::man_page_name(show) == "popcorn-show");
  const std::string page = cli::man_page(show, "1.2.3");
  CHECK_THAT(page, Catch::Contains(".TH \"popcorn\\-show\" 1 \"\" \"Popcorn 1.2.3\""));
  CHECK_THAT(page, Catch::Contains("popcorn\\-show \\- Show a model\\(aqs facts\n"));
  CHECK_THAT(page, Catch::Contains("\\fB\\-k\\fR, \\fB\\-\\-kind\\fR"));
  CHECK_THAT(page, Catch::Contains("How many. From 1 to 9. Default: 7.") &&
                       Catch::Contains("Also from the environment variable SHOW_OUT."));
  CHECK_THAT(page, Catch::Contains(".SH EXIT STATUS\nExit code 8 when wrong.\n") &&
                       Catch::Contains(".PP\nMore about it.\n"));
  CHECK_THAT(page, Catch::Contains(".SH EXAMPLES\n.EX\npopcorn show \\-k plain m.popcorn\n.EE\n"));
  CHECK_THAT(page, Catch::Contains("\\fIIMAGE\\fR...") && !Catch::Contains("secret"));
  CHECK(page == cli::man_page(show, "1.2.3"));
  const std::string whole = cli::man_page(program.app, "1.2.3");
  CHECK_THAT(whole, Catch::Contains("popcorn \\- pictures of things\n") &&
                        Catch::Contains("\\fBpopcorn\\-make\\fR(1)"));
  CHECK_THAT(whole, !Catch::Contains("hidden"));
}

TEST_CASE("Commands, options, values and models are completed", "[manual]") {
  CHECK(completed({""}) == Words{"show", "make"});
  CHECK(completed({"s"}) == Words{"show"});
  CHECK(completed({}) == Words{"show", "make"});
  CHECK(completed({"make", ""}) == Words{"cake", "tea"});
  CHECK(completed({"make", "t"}) == Words{"tea"});
  CHECK(completed({"show", "--n"}) == Words{"--number"});
  CHECK(completed({"show", "--"}).size() == 6);  // with --help
  CHECK(completed({"show", "mnist"}) == Words{"mnist-mlp", "mnist-conv1"});
  CHECK(completed({"show", "--json", "c"}) == Words{"cifar"});
  CHECK(completed({"show", "--number", "3", "c"}) == Words{"cifar"});
  CHECK(completed({"show", "--kind", "p"}) == Words{"plain"});
  CHECK(completed({"show", "-k", "f"}) == Words{"fancy"});
  CHECK(completed({"show", "--kind=f"}) == Words{"--kind=fancy"});
  CHECK(completed({"show", "--kind", "=", "f"}) == Words{"--kind=fancy"});
  CHECK(completed({"show", "--kind", "="}).size() == 2);
  CHECK(completed({"show", "m.popcorn", "c"}).empty());  // a picture comes there
  CHECK(completed({"nothing", "x"}).empty());
  CHECK(completed({"show", "--nothing", "c"}) == Words{"cifar"});
  CHECK(paths_after({"show", ""}) == Completion::Paths::files);
  CHECK(paths_after({"show", "a", "b", ""}) == Completion::Paths::files);
  CHECK(paths_after({"show", "--out", ""}) == Completion::Paths::files);
  CHECK(paths_after({"show", "--folder", ""}) == Completion::Paths::folders);
  CHECK(paths_after({"show", "--number", ""}) == Completion::Paths::none);
  CHECK(paths_after({""}) == Completion::Paths::none);
}

TEST_CASE("The real pages of all commands are without fault for groff and for man", "[manual]") {
  if (!is_installed("groff") || !is_installed("man")) return;
  const TemporaryFolder folder;
  const ProcessResult written = run_process({POPCORN_EXECUTABLE, "man", "--all", folder.path("man")});
  INFO(written.err);
  REQUIRE(written.exit_code == 0);
  std::size_t pages = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder.path("man"))) {
    ++pages;
    const std::string file = entry.path().string();
    INFO(file);
    const ProcessResult groff =
        run_process({"/usr/bin/env", "groff", "-man", "-Kutf8", "-Tutf8", "-ww", "-z", file});
    CHECK(groff.exit_code == 0);
    CHECK(groff.err.empty());
    const ProcessResult man = run_process({"/usr/bin/env", "man", "-l", "--warnings", file},
                                          {"MANPAGER=cat", "LC_ALL=C.UTF-8", "MANWIDTH=80"});
    CHECK(man.exit_code == 0);
    CHECK(man.err.empty());
    CHECK_THAT(man.out, Catch::Contains("SYNOPSIS") && Catch::Contains("--help"));
  }
  CHECK(pages >= 22);
  const ProcessResult one = run_process({POPCORN_EXECUTABLE, "man", "bench", "paillier"});
  CHECK(one.out == read_text_file(folder.path("man/popcorn-bench-paillier.1")));
  CHECK(run_process({POPCORN_EXECUTABLE, "man", "nothing"}).exit_code == 2);
  CHECK(run_process({POPCORN_EXECUTABLE, "man", "complete"}).exit_code == 2);
}

TEST_CASE("A real bash completes a command, an option, a value, a model and a file", "[manual]") {
  CHECK(offered_by_bash({"inf"}) == "infer\n");
  CHECK(offered_by_bash({"infer", "--sign"}) == "--sign-test\n");
  CHECK(offered_by_bash({"infer", "--sign-test", "obl"}) == "oblivious\n");
  CHECK(offered_by_bash({"infer", "--sign-test", "=", "obl"}) == "oblivious\n");
  CHECK(offered_by_bash({"inspect", "mnist-c"}) == "mnist-conv1\nmnist-conv2\n");
  CHECK(offered_by_bash({"serve", "mnist-mlp", "mnist-l"}) == "mnist-lenet\n");
  CHECK(offered_by_bash({"bench", "pai"}) == "paillier\n");
  CHECK(offered_by_bash({"infer", "--key", "CMakeP"}) == "CMakePresets.json\n");
  CHECK(offered_by_bash({"comple"}) == "completion\n");  // not what the scripts call
  CHECK(offered_by_bash({"keygen", "--bits", ""}) == "\n");
}

TEST_CASE("The scripts for the other shells have no fault in their grammar", "[manual]") {
  const std::string shell = GENERATE("zsh", "fish");
  if (!is_installed(shell)) return;
  const TemporaryFolder folder;
  write_file(folder.path("script"), as_bytes(std::string(cli::completion_script(shell))));
  const ProcessResult result = run_process({"/usr/bin/env", shell, "-n", folder.path("script")});
  INFO(result.err);
  CHECK(result.exit_code == 0);
  CHECK(result.err.empty());
}

TEST_CASE("fish offers what the program says", "[manual]") {
  if (!is_installed("fish")) return;
  const ProcessResult result =
      run_process({"/usr/bin/env", "fish", "--no-config", "-c",
                   "set PATH " + folder_of_popcorn() +
                       " $PATH; popcorn completion fish | source; complete -C 'popcorn inspect mnist-c'"});
  INFO(result.err);
  CHECK_THAT(result.out, Catch::Contains("mnist-conv1") && Catch::Contains("mnist-conv2"));
}

TEST_CASE("A shell without a script is refused", "[manual]") {
  CHECK(cli::completion_shells().size() == 3);
  CHECK_THROWS_AS(cli::completion_script("csh"), UsageError);
  CHECK(run_process({POPCORN_EXECUTABLE, "completion", "csh"}).exit_code == 2);
}

}  // namespace popcorn::test
