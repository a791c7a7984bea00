#include "cli/options/test_set_options.h"

namespace popcorn::cli {

CLI::Option* add_test_set_options(CLI::App& command, datasets::TestSetChoice& choice) {
  CLI::Option* data =
      command
          .add_option(
              "--data", choice.folder,
              "Folder of the test set: MNIST's idx files or CIFAR-10's (or mnist/, cifar10/ inside), or "
              "pictures; or a table: .csv or .npy")
          ->type_name("DIR");
  command
      .add_option(
          "--dataset", choice.dataset,
          "mnist, cifar10, or folder: pictures in a sub-folder for each class, listed with their classes in "
          "labels.csv, or named 012_*.jpg; or csv: a table of numbers with a label a row (default: by the "
          "network's facts and input)")
      ->check(CLI::IsMember({"mnist", "cifar10", "folder", "csv"}));
  command
      .add_option("--label", choice.label,
                  "Of a table: name or number of the column with the classes (default: the last)")
      ->type_name("COLUMN");
  command
      .add_option(
          "--training-images", choice.training_images,
          "Of a folder without train/ and test/: leave out the N pictures that popcorn compress would "
          "train or calibrate on")
      ->check(CLI::Range(1, 1'000'000'000))
      ->type_name("N");
  command.add_flag("--ignore-orientation", choice.ignore_orientation,
                   "Take pictures as they are stored, whatever their EXIF data say about how they were held");
  return data;
}

}  // namespace popcorn::cli
