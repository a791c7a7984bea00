// popcorn export: an integer network as ONNX.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/compress_module/commands.h"
#include "cli/compress_module/integer_export.h"
#include "cli/options/argument_check.h"
#include "cli/shipped_files.h"
#include "cli/terminal/notes.h"
#include "cli/terminal/output.h"

namespace popcorn::cli {

namespace {

struct ExportOptions {
  std::string model, output, numbers = "auto";
  bool json = false;
};

compress::OnnxNumbers numbers_named(const std::string& name) {
  if (name == "float") return compress::OnnxNumbers::single_precision;
  if (name == "double") return compress::OnnxNumbers::double_precision;
  return compress::OnnxNumbers::automatic;
}

int export_model(const ExportOptions& o) {
  const models::IntegerNetwork network = load_model(o.model);
  const compress::IntegerOnnx exported = write_integer_onnx(network, o.output, numbers_named(o.numbers));
  if (o.json) {
    print_json(std::cout, {{"model", network.name},
                           {"config_id", network.config_id()},
                           {"output", o.output},
                           {"bytes", exported.file.size()},
                           {"type", exported.double_precision ? "double" : "float"},
                           {"exact", exported.inexact.empty()},
                           {"inexact_nodes", exported.inexact}});
  } else {
    std::cout << export_summary(exported, o.output);
  }
  return 0;
}

constexpr const char* kDescription =
    "Write an integer network as ONNX with whole numbers, to check it with other tools.";

/// The command keeps the options alive.
void describe(CLI::App& app, const std::shared_ptr<ExportOptions>& options) {
  ExportOptions& o = *options;
  app.footer("Example:\n  popcorn export mnist-conv2 -o mnist-conv2-integer.onnx");
  app.add_option("model", o.model, "Path of a .popcorn file, or the name of a shipped model")
      ->required()
      ->type_name("MODEL");
  app.add_option("-o,--output", o.output, "ONNX file to write")->required()->type_name("FILE");
  app.add_option("--type", o.numbers,
                 "Type of all tensors: float, double, or auto (float when all numbers are exact in it)")
      ->check(CLI::IsMember({"auto", "float", "double"}))
      ->capture_default_str();
  app.add_flag("--json", o.json, "Print what was written as JSON");
  add_quiet_option(app);
  app.callback([options] {});
}

}  // namespace

void add_export_command(CLI::App& program) {
  describe(*program.add_subcommand("export", kDescription), std::make_shared<ExportOptions>());
}

int run_export(const std::vector<std::string>& arguments) {
  const auto options = std::make_shared<ExportOptions>();
  CLI::App app(kDescription, "popcorn export");
  describe(app, options);
  std::vector<std::string> reversed(arguments.rbegin(), arguments.rend());
  try {
    app.parse(reversed);
  } catch (const CLI::ParseError& error) {
    return app.exit(error, std::cout, std::cerr) == 0 ? 0 : 2;
  }
  if (only_checks_arguments()) return 0;
  return export_model(*options);
}

}  // namespace popcorn::cli
