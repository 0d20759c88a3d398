#include "http/grpc.h"

#include <catch2/catch.hpp>

#include <string_view>

namespace weir::http {
namespace {

bool is_call(Method method, std::string_view type) {
  BlockPool pool;
  Arena arena(pool);
  RequestHead head(arena);
  head.method = method;
  head.headers.add("Content-Type", type);
  return is_grpc_call(head);
}

TEST_CASE("grpc: what a call is") {
  for (const char* type : {"application/grpc", "application/grpc+proto", "application/grpc;a=b",
                           "Application/GRPC+json", "application/grpc ; a=b"}) {
    CAPTURE(type);
    CHECK(is_call(Method::kPost, type));
    CHECK_FALSE(is_call(Method::kGet, type));
  }
  for (const char* type : {"", "application/grp", "application/grpc-web", "application/grpcx",
                           "application/json", "xapplication/grpc"}) {
    CAPTURE(type);
    CHECK_FALSE(is_call(Method::kPost, type));
  }
  BlockPool pool;
  Arena arena(pool);
  RequestHead head(arena);
  head.method = Method::kPost;
  CHECK_FALSE(is_grpc_call(head));
}

TEST_CASE("grpc: timeouts") {
  const struct {
    const char* text;
    uint64_t ms;
  } cases[] = {{"1H", 3'600'000},
               {"2M", 120'000},
               {"3S", 3000},
               {"4m", 4},
               {"5000u", 5},
               {"5001u", 6},
               {"1u", 1},
               {"1n", 1},
               {"1000001n", 2},
               {"0S", 1},
               {"00000010S", 10'000},
               {"99999999H", 86'400'000},
               {"99999999S", 86'400'000}};
  for (const auto& one : cases) {
    CAPTURE(one.text);
    uint64_t ms = 0;
    CHECK(parse_grpc_timeout(one.text, ms));
    CHECK(ms == one.ms);
  }
  for (const char* text : {"", "S", "1", "1s", "1x", "-1S", "1.5S", " 1S", "1 S", "1S ", "1SS",
                           "123456789S", "0x1S", "+1S"}) {
    CAPTURE(text);
    uint64_t ms = 0;
    CHECK_FALSE(parse_grpc_timeout(text, ms));
  }
}

TEST_CASE("grpc: the status of an error") {
  const struct {
    int http;
    int grpc;
  } cases[] = {{400, 13}, {401, 16}, {403, 7}, {404, 12}, {405, 12}, {408, 4},
               {413, 8},  {421, 12}, {429, 8}, {431, 8},  {500, 13}, {502, 14},
               {503, 14}, {504, 4},  {402, 2}, {418, 2},  {501, 2},  {599, 2}};
  for (const auto& one : cases) {
    CAPTURE(one.http);
    CHECK(grpc_status_of(one.http) == one.grpc);
  }
}

}  // namespace
}  // namespace weir::http
