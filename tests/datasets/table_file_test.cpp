// Tables of numbers: CSV, .npy and JSON rows, whole and hostile; the encoding by columns.
#include "models/datasets/table_file.h"

#include <catch2/catch.hpp>
#include <cstring>

#include "base/error.h"
#include "base/file.h"
#include "models/input/input_encoding.h"
#include "tests/support/process.h"
#include "tests/support/seeded_rng.h"

namespace popcorn::datasets {

namespace {

Bytes npy(const std::string& type, bool fortran, const std::string& shape, const Bytes& data) {
  std::string header = "{'descr': '" + type + "', 'fortran_order': " + (fortran ? "True" : "False") +
                       ", 'shape': " + shape + ", }";
  while ((10 + header.size() + 1) % 64 != 0) header += ' ';
  header += '\n';
  // One byte at a time: GCC 12 takes a range put behind an initialiser list for an overrun.
  Bytes file;
  for (const char c : std::string("\x93NUMPY\x01", 7)) file.push_back(static_cast<std::uint8_t>(c));
  file.push_back(0);
  file.push_back(static_cast<std::uint8_t>(header.size() & 255U));
  file.push_back(static_cast<std::uint8_t>(header.size() >> 8));
  for (const char c : header) file.push_back(static_cast<std::uint8_t>(c));
  for (const std::uint8_t byte : data) file.push_back(byte);
  return file;
}

template <typename T>
Bytes raw(const std::vector<T>& values) {
  Bytes bytes(values.size() * sizeof(T));
  std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

std::string write_text(const test::TemporaryFolder& folder, const std::string& name,
                       const std::string& text) {
  write_file(folder.path(name), as_bytes(text));
  return folder.path(name);
}

}  // namespace

TEST_CASE("CSV cells are read as RFC 4180 has them") {
  const TextTable table = parse_csv(
      "\xef\xbb\xbf"
      "a,\"b \"\"x\"\"\",c\r\n1, 2 ,\"3\"\r\n\r\n4,\"5\n\",6\n",
      "t");
  CHECK(table.names == std::vector<std::string>{"a", "b \"x\"", "c"});
  REQUIRE(table.rows.size() == 2);
  CHECK(table.rows[0] == std::vector<std::string>{"1", "2", "3"});
  CHECK(table.rows[1] == std::vector<std::string>{"4", "5\n", "6"});
  CHECK(table.lines == std::vector<std::size_t>{2, 4});
  CHECK(parse_csv("1,2\n3,4", "t").names.empty());
  CHECK(parse_csv("1,yes\n3,no", "t").names.empty());
  for (const char* const bad :
       {"", "\n\n", "a,b\n1\n", "a,b\n\"1,2\n", "a,a\n1,2\n", "x,y\n", "\"1\"x,2\n"}) {
    INFO(bad);
    CHECK_THROWS_AS(parse_csv(bad, "t"), InputError);
  }
  CHECK_THROWS_WITH(parse_csv("a,b\n1,2\n3\n", "rows.csv"),
                    Catch::Contains("rows.csv") && Catch::Contains("line 3"));
}

TEST_CASE("Cells are numbers or nothing") {
  CHECK(parse_cell(" 1.5e3 ") == 1500);
  CHECK(parse_cell("+2") == 2);
  for (const char* const cell : {"", "x", "1,5", "nan", "inf", "-inf", "1e999", "1 2", "0x10"})
    CHECK_FALSE(parse_cell(cell));
}

TEST_CASE("NumPy's files are read in all their kinds") {
  const std::vector<double> wanted = {1, 2, 3, 4, 5, 6};
  CHECK(parse_npy(npy("<f8", false, "(2, 3)", raw(wanted)), "x").values == wanted);
  CHECK(parse_npy(npy("<f8", true, "(2, 3)", raw(std::vector<double>{1, 4, 2, 5, 3, 6})), "x").values ==
        wanted);
  CHECK(parse_npy(npy("<f4", false, "(2, 3)", raw(std::vector<float>{1, 2, 3, 4, 5, 6})), "x").values ==
        wanted);
  CHECK(parse_npy(npy("<i2", false, "(2,)", raw(std::vector<std::int16_t>{-5, 7})), "x").values ==
        std::vector<double>{-5, 7});
  CHECK(parse_npy(npy("|i1", false, "(2,)", raw(std::vector<std::int8_t>{-5, 7})), "x").values ==
        std::vector<double>{-5, 7});
  CHECK(parse_npy(npy("|u1", false, "(2,)", {200, 7}), "x").values == std::vector<double>{200, 7});
  CHECK(parse_npy(npy("<i8", false, "(1, 1)", raw(std::vector<std::int64_t>{-3})), "x").values ==
        std::vector<double>{-3});
  const Bytes whole = npy("<f8", false, "(2, 3)", raw(wanted));
  for (std::size_t size = 0; size < whole.size(); ++size)
    CHECK_THROWS_AS(parse_npy(ByteView(whole).first(size), "x"), InputError);
  CHECK_THROWS_AS(parse_npy(npy(">f8", false, "(2, 3)", raw(wanted)), "x"), InputError);
  CHECK_THROWS_AS(parse_npy(npy("<f8", false, "(2, 2, 2)", Bytes(64)), "x"), InputError);
  CHECK_THROWS_AS(parse_npy(npy("<f8", false, "(99999999999, 2)", Bytes(16)), "x"), InputError);
  CHECK_THROWS_WITH(parse_npy(npy("<f8", false, "(1, 2)", raw(std::vector<double>{1, NAN})), "x"),
                    Catch::Contains("column 2"));
  test::SeededRng rng(1);
  for (int round = 0; round < 2000; ++round) {
    Bytes changed = whole;
    for (int k = 0; k < 3; ++k)
      changed[rng.below(changed.size())] = static_cast<std::uint8_t>(rng.below(256));
    try {
      const NumberTable table = parse_npy(changed, "x");
      REQUIRE(table.values.size() == table.rows() * table.columns);
    } catch (const InputError&) {
    }
  }
}

TEST_CASE("Labels are whole numbers or names, in any column") {
  const test::TemporaryFolder folder;
  const std::string file = write_text(folder, "t.csv", "x,kind,y\n1,dog,2\n3,cat,4\n5,dog,6\n");
  const LabelledTable named = read_labelled_table(file, "kind");
  CHECK(named.labels == std::vector<std::string>{"cat", "dog"});
  CHECK(named.classes == std::vector<std::uint16_t>{1, 0, 1});
  CHECK(named.features.names == std::vector<std::string>{"x", "y"});
  CHECK(named.features.values == std::vector<double>{1, 2, 3, 4, 5, 6});
  CHECK(read_labelled_table(file, "2").classes == named.classes);
  CHECK_THROWS_WITH(read_labelled_table(file, "colour"), Catch::Contains("colour"));
  CHECK_THROWS_WITH(read_labelled_table(file, ""), Catch::Contains("\"kind\"") && Catch::Contains("line 2"));
  const LabelledTable last = read_labelled_table(write_text(folder, "u.csv", "1,2,0\n3,4,1\n"), "");
  CHECK(last.labels.empty());
  CHECK(last.classes == std::vector<std::uint16_t>{0, 1});
}

TEST_CASE("Rows find the network's columns by name") {
  const test::TemporaryFolder folder;
  const std::string file = write_text(folder, "t.csv", "b,extra,a\n1,9,2\n3,9,4\n");
  CHECK(read_rows(file, {"a", "b"}).values == std::vector<double>{2, 1, 4, 3});
  CHECK_THROWS_WITH(read_rows(file, {"a", "c"}), Catch::Contains("\"c\""));
  CHECK(parse_json_rows("[[1,2],[3,4]]", "t", {}).values == std::vector<double>{1, 2, 3, 4});
  CHECK(parse_json_rows("{\"b\": 1, \"a\": 2}", "t", {"a", "b"}).values == std::vector<double>{2, 1});
  CHECK(parse_json_rows("[5, 6]", "t", {}).columns == 2);
  for (const char* const bad :
       {"", "[]", "[[]]", "[[1],[1,2]]", "[[\"1\"]]", "{\"a\": 1}", "3", "[[1e999]]", "[null]"}) {
    INFO(bad);
    CHECK_THROWS_AS(parse_json_rows(bad, "t", {"a", "b"}), InputError);
  }
}

TEST_CASE("A column that was taken for the classes is named where a network misses it") {
  const test::TemporaryFolder folder;
  const std::string file = write_text(folder, "t.csv", "a,b\n1,0\n3,1\n");
  models::InputEncoding encoding;
  encoding.columns = {{"a", 0, 1}, {"b", 0, 1}};
  CHECK_THROWS_WITH(column_places(read_labelled_table(file, "").features, encoding, "t.csv"),
                    Catch::Contains("\"b\"") && Catch::Contains("--label"));
}

TEST_CASE("A row becomes integers by its columns' ranges") {
  models::InputEncoding encoding;
  encoding.shape = {2, 1, 1};
  encoding.offset = {0};
  encoding.columns = {{"a", 0, 1}, {"b", -10, 10}};
  const std::vector<double> row = {0.5, 25};
  const WideVector found = models::encode_row(encoding, row);
  CHECK(found.to_int64(0) == 128);
  CHECK(found.to_int64(1) == 255);  // held to its range
  CHECK_THROWS_WITH(models::encode_row(encoding, std::vector<double>{1}),
                    Catch::Contains("1 numbers") && Catch::Contains("takes 2"));
  CHECK_THROWS_WITH(models::encode_row(encoding, std::vector<double>{1, NAN}), Catch::Contains("\"b\""));
  CHECK_THROWS_WITH(models::encode_image(encoding, {1, 1, 1, {0}}), Catch::Contains("rows of 2 numbers"));
  const models::InputEncoding again = models::encoding_from_json(models::encoding_to_json(encoding));
  CHECK(again.columns == encoding.columns);
  encoding.columns[1].high = -10;
  CHECK_THROWS_AS(models::check_encoding(encoding), InputError);
}

TEST_CASE("The order of rows is a fixed permutation") {
  const std::vector<std::size_t> order = table_order(100);
  CHECK(order == table_order(100));
  std::vector<bool> seen(100);
  for (const std::size_t i : order) seen[i] = true;
  CHECK(std::count(seen.begin(), seen.end(), true) == 100);
}

}  // namespace popcorn::datasets
