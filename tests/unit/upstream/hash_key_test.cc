// Which bytes of a request a hash_key means.
#include "upstream/hash_key.h"

#include <catch2/catch.hpp>

#include "base/arena.h"
#include "base/blocks.h"
#include "http/forwarded.h"
#include "http/message.h"
#include "upstream/hash_table.h"

namespace weir::upstream {
namespace {

struct World {
  BlockPool blocks;
  Arena arena{blocks};
  http::RequestHead request{arena};
  http::Address client;

  std::optional<uint64_t> hash(std::string_view text, std::string_view path = "/p") {
    HashKey key;
    REQUIRE(parse_hash_key(text, key));
    return hash_of_request(key, request, client, path);
  }
  std::optional<uint64_t> of_client(std::string_view address) {
    REQUIRE(http::Address::parse(address, client));
    return hash("client_ip");
  }
};

TEST_CASE("hash_key: client_ip is the whole IPv4 address and the /64 of IPv6") {
  World world;
  CHECK(world.of_client("10.0.0.1") == world.of_client("10.0.0.1"));
  CHECK(world.of_client("10.0.0.1") != world.of_client("10.0.0.2"));
  CHECK(world.of_client("fd00:0:0:1::1") == world.of_client("fd00:0:0:1:ffff::2"));
  CHECK(world.of_client("fd00:0:0:1::1") != world.of_client("fd00:0:0:2::1"));
}

TEST_CASE("hash_key: path is the normalised path, uri the target as it came") {
  World world;
  world.request.target = "/a/../p?x=1";
  CHECK(world.hash("path", "/p") == hash_bytes("/p"));
  CHECK(world.hash("uri", "/p") == hash_bytes("/a/../p?x=1"));
}

TEST_CASE("hash_key: header, cookie and query by name; absent or empty is no key") {
  World world;
  world.request.query = "ab=0&a=1&a=2&empty=&b&c%20d=%31";
  world.request.headers.add("X-User", "u1");
  world.request.headers.add("X-Empty", "");
  world.request.headers.add("Cookie", "xsid=no; sid=s1;other=o");
  world.request.headers.add("Cookie", "later=l; sid=s2");
  CHECK(world.hash("header:x-user") == hash_bytes("u1"));
  CHECK_FALSE(world.hash("header:X-None"));
  CHECK_FALSE(world.hash("header:X-Empty"));
  CHECK(world.hash("cookie:sid") == hash_bytes("s1"));
  CHECK(world.hash("cookie:other") == hash_bytes("o"));
  CHECK(world.hash("cookie:later") == hash_bytes("l"));
  CHECK_FALSE(world.hash("cookie:SID"));
  CHECK(world.hash("query:a") == hash_bytes("1"));
  CHECK(world.hash("query:c d") == hash_bytes("%31"));  // the name is decoded, the value is not
  CHECK_FALSE(world.hash("query:b"));
  CHECK_FALSE(world.hash("query:empty"));
  CHECK_FALSE(world.hash("query:none"));
}

TEST_CASE("hash_key: words that mean nothing") {
  HashKey key;
  for (const char* text : {"", "ip", "header", "header:", "Path", "cookie:", "query:", "jwt:sub"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_hash_key(text, key));
  }
}

TEST_CASE("hash_bytes is the same in every process and version") {
  CHECK(hash_bytes("user-1") == 0xc499b5f8a721df58u);
  CHECK(hash_bytes("a") != hash_bytes("b"));
  CHECK(hash_bytes("a", 1) != hash_bytes("a", 2));
}

}  // namespace
}  // namespace weir::upstream
