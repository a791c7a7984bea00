// make_samples FOLDER: draws the sample digits as PNG files. They come from the strokes of glyphs.cpp;
// nothing is taken from a data set.
#include <stb/stb_image_write.h>

#include <filesystem>
#include <iostream>

#include "models/samples/sample_set.h"

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: make_samples FOLDER\n";
    return 2;
  }
  const std::filesystem::path folder = argv[1];
  const auto set = popcorn::samples::sample_set();
  for (const auto& [file_name, picture] : set) {
    const std::filesystem::path path = folder / file_name;
    if (stbi_write_png(path.c_str(), picture.side, picture.side, 1, picture.samples.data(), picture.side) ==
        0) {
      std::cerr << "make_samples: " << path.string() << " cannot be written\n";
      return 4;
    }
  }
  std::cout << set.size() << " pictures in " << folder.string() << '\n';
  return 0;
}
