#include "tests/compress/bars.h"

namespace popcorn::test {

compress::Dataset bars(SeededRng& rng, std::size_t count) {
  compress::Dataset set;
  set.shape = {1, 9, 6};
  for (std::size_t i = 0; i < count; ++i) {
    const auto label = static_cast<std::uint8_t>(rng.below(3));
    set.classes.push_back(label);
    for (std::size_t y = 0; y < 9; ++y) {
      for (std::size_t x = 0; x < 6; ++x) {
        const std::uint64_t bright = y / 3 == label ? 80 : 0;
        set.pixels.push_back(static_cast<std::uint8_t>(bright + rng.below(120)));
      }
    }
  }
  return set;
}

models::ZooNetwork bars_network() {
  models::ZooNetwork network;
  network.name = "bars";
  network.dataset = "mnist";
  network.encoding.shape = {1, 9, 6};
  network.encoding.offset = {0};
  using Kind = models::ZooLayer::Kind;
  models::Window window;
  window.kernel_height = window.kernel_width = 3;
  network.layers = {{Kind::conv2d, "conv", 4, window},
                    {Kind::batch_norm, "norm", 0, {}},
                    {Kind::relu, "relu", 0, {}},
                    {Kind::flatten, "flatten", 0, {}},
                    {Kind::dense, "fc", 3, {}}};
  return network;
}

compress::TrainingOptions few_epochs(int epochs) {
  compress::TrainingOptions options;
  options.epochs = epochs;
  options.batch = 20;
  options.learning_rate = 0.01;
  return options;
}

}  // namespace popcorn::test
