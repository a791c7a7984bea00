// classify URL MODEL PICTURE.pgm: says what a picture shows, on a server that does not see it.
#include <popcorn/client.h>

#include <fstream>
#include <iostream>
#include <iterator>

int main(int count, char** arguments) try {
  if (count != 4) throw popcorn::UsageError("usage", "classify URL MODEL PICTURE.pgm");
  std::ifstream file(arguments[3], std::ios::binary);
  popcorn::client::Picture picture;
  std::string magic, largest;
  file >> magic >> picture.width >> picture.height >> largest;
  file.get();
  picture.samples.assign(std::istreambuf_iterator<char>(file), {});

  popcorn::client::Client client(arguments[1]);
  const auto model = client.model(arguments[2]);
  const auto key = popcorn::client::Key::generate();
  std::cout << client.classify(model, key, picture).label << '\n';
} catch (const popcorn::Error& error) {
  std::cerr << error.what() << " [" << error.code() << "]\n";
  return error.exit_code();
}
