#include "cli/terminal/output.h"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <sstream>

#include "cli/terminal/progress.h"

namespace popcorn::cli {

TEST_CASE("Numbers are grouped by thousands", "[cli]") {
  CHECK(grouped(0) == "0");
  CHECK(grouped(999) == "999");
  CHECK(grouped(1000) == "1,000");
  CHECK(grouped(1234567) == "1,234,567");
  CHECK(grouped(18446744073709551615U) == "18,446,744,073,709,551,615");
}

TEST_CASE("One thing is not called by the plural", "[cli]") {
  CHECK(counted(0, "round") == "0 rounds");
  CHECK(counted(1, "round") == "1 round");
  CHECK(counted(2500, "round") == "2,500 rounds");
}

TEST_CASE("Amounts of bytes have decimal units", "[cli]") {
  CHECK(human_bytes(0) == "0 B");
  CHECK(human_bytes(999) == "999 B");
  CHECK(human_bytes(1000) == "1.00 kB");
  CHECK(human_bytes(12345) == "12.3 kB");
  CHECK(human_bytes(999'949) == "999.9 kB");
  CHECK(human_bytes(999'960) == "1.00 MB");
  CHECK(human_bytes(8'123'456) == "8.12 MB");
  CHECK(human_bytes(2'500'000'000) == "2.50 GB");
}

TEST_CASE("Durations become minutes and hours", "[cli]") {
  CHECK(human_seconds(0.4234) == "0.42 s");
  CHECK(human_seconds(12.34) == "12.3 s");
  CHECK(human_seconds(200) == "3 min 20 s");
  CHECK(human_seconds(7260) == "2 h 1 min");
}

TEST_CASE("A table aligns its columns, also with letters beyond ASCII", "[cli]") {
  Table table({{"name", Table::Align::left}, {"n"}});
  table.add_row({"ä→b", "1"});
  table.add_row({"abcdef", "1000"});
  std::ostringstream out;
  table.print(out);
  CHECK(out.str() ==
        "name       n\n"
        "------  ----\n"
        "ä→b        1\n"
        "abcdef  1000\n");
}

TEST_CASE("Exact integers are JSON numbers up to 2^53 and strings beyond", "[cli]") {
  WideVector values(5, 2);
  values.set_decimal(0, "-17");
  values.set_decimal(1, "9007199254740992");
  values.set_decimal(2, "9007199254740993");
  values.set_decimal(3, "-9007199254740993");
  values.set_decimal(4, "170141183460469231731687303715884105727");
  CHECK(exact_integers(values).dump() == R"([-17,9007199254740992,"9007199254740993","-9007199254740993",)"
                                         R"("170141183460469231731687303715884105727"])");
}

TEST_CASE("A progress bar fills up and knows the time left", "[cli]") {
  CHECK(bar_text(0, 4, 8) == "--------   0 %");
  CHECK(bar_text(1, 4, 8) == "##------  25 %");
  CHECK(bar_text(4, 4, 8) == "######## 100 %");
  CHECK(bar_text(9, 4, 8) == "######## 100 %");
  CHECK(seconds_left(1, 4, 2.0) == Approx(6.0));
  CHECK(seconds_left(0, 4, 2.0) == 0);
  CHECK(seconds_left(4, 4, 2.0) == 0);
}

}  // namespace popcorn::cli
