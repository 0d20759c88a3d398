#include "http/structured.h"

#include <catch2/catch.hpp>

#include <string>

namespace weir::http {
namespace {

// "key:type:text ..." or "bad".
std::string read(std::string_view line) {
  constexpr const char* kTypes[] = {"bool", "int", "dec", "str", "tok", "bytes", "list"};
  DictionaryReader reader(line);
  DictionaryMember member;
  std::string text;
  while (reader.next(member)) {
    text += (text.empty() ? "" : " ") + std::string(member.key) + ":" +
            kTypes[static_cast<size_t>(member.type)];
    if (member.type == ItemType::kBoolean) text += member.boolean ? "" : ":no";
    if (!member.text.empty()) text += ":" + std::string(member.text);
  }
  CHECK_FALSE(reader.next(member));
  return reader.failed() ? "bad" : text;
}

TEST_CASE("dictionaries of structured fields", "[http][structured]") {
  CHECK(read("").empty());
  CHECK(read("   ").empty());
  CHECK(read("a") == "a:bool");
  CHECK(read("a=?1, b=?0") == "a:bool b:bool:no");
  CHECK(read(" max-age=60,\t*b=-5 ") == "max-age:int:60 *b:int:-5");
  CHECK(read("a=1.5,b=999999999999.123") == "a:dec:1.5 b:dec:999999999999.123");
  CHECK(read("a=123456789012345") == "a:int:123456789012345");
  CHECK(read("a=\"x, \\\"y\\\\\", b") == "a:str:x, \\\"y\\\\ b:bool");
  CHECK(read("a=tok/en:1*, b=*x") == "a:tok:tok/en:1* b:tok:*x");
  CHECK(read("a=:aGVsbG8=:") == "a:bytes");
  CHECK(read("a=(1 \"b\" c;d=1);e, f=()") == "a:list f:list");
  CHECK(read("a=1;b;c=2;*d=?0 , e;f=\"g\"") == "a:int:1 e:bool");
  CHECK(read("a=1, a=2") == "a:int:1 a:int:2");
}

TEST_CASE("what is no dictionary", "[http][structured]") {
  for (const char* line : {"A=1",
                           "MaX-aGe=3600",
                           "1a",
                           "a=",
                           "a =1",
                           "a= 1",
                           "a=1,",
                           "a=1, ",
                           ",a",
                           "a,,b",
                           "a b",
                           "a=1 b=2",
                           "a=-",
                           "a=+1",
                           "a=1.",
                           "a=1.2345",
                           "a=.5",
                           "a=1234567890123456",
                           "a=1234567890123.1",
                           "a=\"x",
                           "a=\"\\x\"",
                           "a=\"\x7f\"",
                           "a=\"\xc3\xbc\"",
                           "a=\"\\",
                           "a=?",
                           "a=?2",
                           "a=:x",
                           "a=:!:",
                           "a=&",
                           "a=(1",
                           "a=(1\"b\")",
                           "a=(1,2)",
                           "a=((1))",
                           "a;",
                           "a;B",
                           "a;b=",
                           "a=1;;b",
                           "max-age=10000, &&&&&",
                           "\xff",
                           "\"a\"",
                           "a=@1",
                           "\ta"}) {
    INFO(line);
    CHECK(read(line) == "bad");
  }
}

}  // namespace
}  // namespace weir::http
