#include "cli/compress_module/integer_export.h"

#include "base/file.h"
#include "cli/terminal/output.h"

namespace popcorn::cli {

compress::IntegerOnnx write_integer_onnx(const models::IntegerNetwork& network,
                                         const std::filesystem::path& path, compress::OnnxNumbers numbers) {
  compress::IntegerOnnx exported = compress::integer_onnx(network, numbers);
  write_file(path, exported.file);
  return exported;
}

std::string export_summary(const compress::IntegerOnnx& exported, const std::filesystem::path& path) {
  const std::string range = exported.double_precision ? "2^53" : "2^24";
  std::string text = "Written: " + path.string() + " (ONNX, " +
                     (exported.double_precision ? "double" : "single") + " precision, " +
                     human_bytes(exported.file.size()) + ")\n";
  if (exported.inexact.empty()) {
    return text + "Exact: no sum reaches " + range + ", so every number is the integer network's.\n";
  }
  text += "Not proven exact, because a sum may reach " + range + ":";
  for (const std::string& name : exported.inexact) text += " " + name;
  return text + "\n";
}

}  // namespace popcorn::cli
