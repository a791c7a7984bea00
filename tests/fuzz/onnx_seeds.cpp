// Writes small random networks as ONNX files, the seeds of fuzz_onnx: onnx_seeds FOLDER
#include <filesystem>
#include <iostream>

#include "base/file.h"
#include "compress/onnx/onnx_export.h"
#include "tests/compress/random_graph.h"

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: onnx_seeds FOLDER\n";
    return 2;
  }
  const std::filesystem::path folder = argv[1];
  std::filesystem::create_directories(folder);
  popcorn::test::SeededRng rng(1);
  for (int k = 0; k < 24; ++k) {
    const popcorn::test::GraphKinds kinds{k % 2 == 0, k % 3 == 0, k % 4 != 0, true, k % 5 == 0};
    popcorn::write_file(folder / ("seed-" + std::to_string(k) + ".onnx"),
                        popcorn::compress::serialise_onnx(popcorn::test::random_graph(rng, kinds)));
  }
  return 0;
}
