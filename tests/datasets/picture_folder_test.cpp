#include "models/datasets/picture_folder.h"

#include <catch2/catch.hpp>
#include <map>
#include <set>

#include "base/error.h"
#include "base/file.h"
#include "models/datasets/label_table.h"
#include "tests/support/data_folder.h"
#include "tests/support/process.h"

using namespace popcorn;
using namespace popcorn::datasets;

namespace {

/// A folder of 2×2 grey pictures whose samples are all `level`.
class Pictures {
 public:
  void add(const std::string& name, int level = 0) const {
    std::filesystem::create_directories(std::filesystem::path(folder_.path(name)).parent_path());
    const std::string file = "P5 2 2 255\n" + std::string(4, static_cast<char>(level));
    write_file(folder_.path(name), as_bytes(file));
  }
  void text(const std::string& name, const std::string& content) const {
    write_file(folder_.path(name), as_bytes(content));
  }
  std::filesystem::path path(const std::string& name = "") const { return folder_.path(name); }

 private:
  test::TemporaryFolder folder_;
};

std::map<std::string, int> classes_of(const PictureFolder& folder) {
  std::map<std::string, int> classes;
  for (const LabelledPicture& picture : folder.pictures) classes[picture.name] = picture.label;
  return classes;
}

std::vector<std::string> names_of(const PictureFolder& folder) {
  std::vector<std::string> names;
  for (const LabelledPicture& picture : folder.pictures) names.push_back(picture.name);
  return names;
}

std::string code_of(const std::filesystem::path& path) {
  try {
    list_pictures(path);
  } catch (const Error& error) {
    return error.code();
  }
  return "none";
}

models::InputEncoding gray(std::int64_t side) {
  models::InputEncoding encoding;
  encoding.shape = {1, side, side};
  encoding.offset = {100};
  encoding.low = -100;
  encoding.high = 155;
  return encoding;
}

using Names = std::vector<std::string>;
using Classes = std::map<std::string, int>;

}  // namespace

TEST_CASE("A sub-folder is a class, in the order of the names, at any depth") {
  const Pictures pictures;
  pictures.add("dog/a.pgm");
  pictures.add("cat/deep/er/b.PGM");
  pictures.add("cat/c.ppm");
  pictures.add("Zebra/d.pgm");
  pictures.add("cat/.hidden.pgm");
  pictures.add(".cache/e.pgm");
  pictures.text("cat/notes.md", "no picture");
  const PictureFolder folder = list_pictures(pictures.path());
  CHECK(folder.labels == Names{"Zebra", "cat", "dog"});
  CHECK(classes_of(folder) ==
        Classes{{"Zebra/d.pgm", 0}, {"cat/c.ppm", 1}, {"cat/deep/er/b.PGM", 1}, {"dog/a.pgm", 2}});
}

TEST_CASE("labels.txt numbers the classes, also by WordNet id and from the folder above") {
  const Pictures pictures;
  pictures.add("set/dog/a.pgm");
  pictures.add("set/great white shark/b.pgm");
  pictures.text("set/labels.txt", "dog\nunused\ngreat_white_shark\n");
  const PictureFolder plain = list_pictures(pictures.path("set"));
  CHECK(plain.labels == Names{"dog", "unused", "great white shark"});
  CHECK(classes_of(plain) == Classes{{"dog/a.pgm", 0}, {"great white shark/b.pgm", 2}});

  pictures.add("ids/n00000007/a.pgm");
  pictures.text("labels.txt", "0 n00000003 tench\n1 n00000007 gold_fish\n\n");
  const PictureFolder ids = list_pictures(pictures.path("ids"));
  CHECK(ids.labels == Names{"tench", "gold fish"});
  CHECK(classes_of(ids) == Classes{{"n00000007/a.pgm", 1}});

  pictures.add("ids/other/a.pgm");
  CHECK(code_of(pictures.path("ids")) == "dataset.folder");
  pictures.text("labels.txt", "dog\n\ncat\n");
  CHECK(code_of(pictures.path("ids")) == "dataset.labels");
}

TEST_CASE("A table names files and classes, by number or by name") {
  const Pictures pictures;
  pictures.add("a.pgm");
  pictures.add("sub/b, c.pgm");
  pictures.text("labels.csv",
                "\xEF\xBB\xBF"
                "file,label\r\na.pgm,3\r\n\"sub/b, c.pgm\",0\r\n");
  CHECK(classes_of(list_pictures(pictures.path())) == Classes{{"a.pgm", 3}, {"sub/b, c.pgm", 0}});
  CHECK(list_pictures(pictures.path()).labels.empty());
  pictures.text("named.tsv", "a.pgm\tpig\nsub/b, c.pgm\tcow \"x\"\n");
  const PictureFolder named = list_pictures(pictures.path("named.tsv"));
  CHECK(named.labels == Names{"cow \"x\"", "pig"});
  CHECK(classes_of(named) == Classes{{"a.pgm", 1}, {"sub/b, c.pgm", 0}});
  CHECK(load_pictures(named.pictures, gray(2)).classes.size() == 2);
}

TEST_CASE("Damaged tables are refused with their line") {
  const Pictures pictures;
  for (const char* table : {"", "\n\n", "a.pgm\n", "a.pgm,\n", ",1\n", "a.pgm,1,2\n", "\"a.pgm,1\n",
                            "\"a\"b,1\n", "a.pgm,1\n\nb.pgm,2\n", "file,label\n"}) {
    INFO(table);
    pictures.text("labels.csv", table);
    CHECK(code_of(pictures.path()) == "dataset.table");
  }
  pictures.text("labels.csv", "a.pgm,65536\n");
  CHECK(code_of(pictures.path()) == "dataset.folder");
  pictures.text("labels.csv", "a.pgm,99999999999999999999999\n");
  CHECK(code_of(pictures.path()) == "dataset.folder");
  pictures.text("labels.csv", "\"say \"\"hi\"\".pgm\",1\n");
  CHECK(read_table(pictures.path("labels.csv")).front().file == "say \"hi\".pgm");
}

TEST_CASE("Names of files may begin with the class") {
  const Pictures pictures;
  pictures.add("007_n00000001.pgm");
  pictures.add("12_a_b.pgm");
  CHECK(classes_of(list_pictures(pictures.path())) == Classes{{"007_n00000001.pgm", 7}, {"12_a_b.pgm", 12}});
  pictures.text("labels.txt", "a\nb\n");
  CHECK(code_of(pictures.path()) == "dataset.folder");  // class 7 of 2
  std::filesystem::remove(pictures.path("labels.txt"));
  for (const char* name : {"cat.pgm", "_1.pgm", "12.pgm", "1a_2.pgm"}) {
    INFO(name);
    pictures.add(name);
    CHECK(code_of(pictures.path()) == "dataset.folder");
    std::filesystem::remove(pictures.path(name));
  }
}

TEST_CASE("Folders that are absent or hold no picture are told apart") {
  const Pictures pictures;
  CHECK(code_of(pictures.path("absent")) == "dataset.missing");
  pictures.text("only.txt", "text");
  CHECK(code_of(pictures.path()) == "dataset.folder");
  CHECK(code_of(pictures.path("only.txt")) == "dataset.missing");
}

TEST_CASE("The division depends on the names alone, and its parts have no picture in common") {
  const Pictures first, second;
  for (int i = 0; i < 40; ++i) first.add(std::to_string(i % 4) + "_" + std::to_string(i) + ".pgm");
  for (int i = 39; i >= 0; --i) second.add(std::to_string(i % 4) + "_" + std::to_string(i) + ".pgm");
  const std::size_t training = GENERATE(1, 10, 39);
  const PictureSplit split = split_pictures(first.path(), training);
  const PictureSplit again = split_pictures(second.path(), training);
  CHECK(names_of(split.training) == names_of(again.training));
  CHECK(names_of(split.test) == names_of(again.test));
  CHECK(names_of(test_pictures(first.path(), training)) == names_of(split.test));
  CHECK(split.training.pictures.size() == training);
  std::set<std::string> all;
  for (const PictureFolder* part : {&split.training, &split.test})
    for (const std::string& name : names_of(*part)) all.insert(name);
  CHECK(all.size() == 40);
  std::set<int> classes;  // mixed: no run of one class
  for (const LabelledPicture& picture : list_pictures(first.path()).pictures) {
    classes.insert(picture.label);
    if (classes.size() == 4) break;
  }
  CHECK(classes.size() == 4);
  CHECK(split_pictures(first.path(), std::nullopt).training.pictures.size() == 32);
  CHECK(test_pictures(first.path(), std::nullopt).pictures.size() == 40);
  CHECK_THROWS_AS(split_pictures(first.path(), 40), UsageError);
}

TEST_CASE("A folder with train and test parts is taken as it is divided") {
  const Pictures pictures;
  for (const char* name : {"train/a/1.pgm", "train/b/2.pgm", "train/a/3.pgm", "val/a/4.pgm", "val/b/5.pgm"})
    pictures.add(name);
  const PictureSplit split = split_pictures(pictures.path(), std::nullopt);
  CHECK(split.training.pictures.size() == 3);
  CHECK(classes_of(split.test) == Classes{{"a/4.pgm", 0}, {"b/5.pgm", 1}});
  CHECK(split_pictures(pictures.path(), 2).training.pictures.size() == 2);
  CHECK(names_of(test_pictures(pictures.path(), std::nullopt)) == names_of(split.test));
  pictures.add("val/c/6.pgm");
  CHECK_THROWS_AS(split_pictures(pictures.path(), std::nullopt), InputError);
}

TEST_CASE("Pictures are loaded as the network takes them, before its offset") {
  const Pictures pictures;
  pictures.add("0_a.pgm", 17);
  pictures.add("3_b.pgm", 250);
  const PictureFolder folder = list_pictures(pictures.path());
  std::size_t last = 0;
  const Dataset set =
      load_pictures(folder.pictures, gray(3), [&](std::size_t done) { last = std::max(last, done); });
  CHECK(last == 2);
  CHECK(set.shape == models::Shape{1, 3, 3});
  REQUIRE(set.count() == 2);
  for (std::size_t i = 0; i < 2; ++i) {
    CHECK(set.classes[i] == folder.pictures[i].label);
    for (const std::uint8_t pixel : set.picture(i)) CHECK(pixel == (set.classes[i] == 0 ? 17 : 250));
  }
  pictures.text("1_bad.pgm", "P5 2 2 255\nabc");
  CHECK_THROWS_WITH(load_pictures(list_pictures(pictures.path()).pictures, gray(2)),
                    Catch::Contains("1_bad.pgm"));
  models::InputEncoding huge = gray(2);
  huge.shape = {1, 65536, 65536};
  CHECK_THROWS_AS(load_pictures(folder.pictures, huge), InputError);
}

TEST_CASE("The pictures of the data folder carry their ImageNet classes") {
  const auto path = test::data_file("imagenet-samples");
  if (!path) return;
  const PictureFolder folder = list_pictures(*path);
  CHECK(folder.pictures.size() == 800);
  REQUIRE(folder.labels.size() == 1000);
  CHECK(folder.labels[2] == "great white shark");
  CHECK(classes_of(folder).at("999_n15075141.jpg") == 999);
  models::InputEncoding encoding = gray(224);
  encoding.shape = {3, 224, 224};
  encoding.color = "rgb";
  const Dataset rgb = load_pictures(std::span(folder.pictures).first(2), encoding);
  encoding.color = "bgr";
  const Dataset bgr = load_pictures(std::span(folder.pictures).first(2), encoding);
  constexpr std::size_t kPlane = 224 * 224;
  for (std::size_t k = 0; k < kPlane; k += 97) {
    CHECK(rgb.picture(1)[k] == bgr.picture(1)[2 * kPlane + k]);
    CHECK(rgb.picture(1)[kPlane + k] == bgr.picture(1)[kPlane + k]);
  }
}
