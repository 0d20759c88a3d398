// Cookies that name a server: whose are believed, for how long, and what they tell.
#include "upstream/sticky.h"

#include <catch2/catch.hpp>

#include <cctype>
#include <set>

#include "base/arena.h"
#include "base/blocks.h"
#include "upstream/cluster.h"

namespace weir::upstream {
namespace {

constexpr uint64_t kNowS = 1'700'000'000;
constexpr uint64_t kTtlS = 3600;
const std::string kSecret = "0123456789abcdef0123456789abcdef";

struct World {
  using Names = std::vector<std::string>;
  explicit World(std::string_view secret = kSecret, std::string_view upstream = "app",
                 const Names& names = {"10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80"})
      : servers(names.size()), sticky("weir_srv", kTtlS, secret, upstream, named(names)) {}
  const std::vector<Server>& named(const Names& names) {
    for (size_t i = 0; i < names.size(); ++i) servers[i].address = names[i];
    return servers;
  }
  std::string write(size_t server, uint64_t now_s = kNowS) const {
    char out[Sticky::kValueBytes];
    return std::string(sticky.write(servers[server], now_s, out));
  }
  Bond read(const std::string& cookies, uint64_t now_s = kNowS) {
    http::HeaderList headers(arena);
    headers.add("Cookie", cookies);
    return sticky.read(headers, now_s);
  }
  Bond read_value(const std::string& value, uint64_t now_s = kNowS) {
    return read("weir_srv=" + value, now_s);
  }

  BlockPool blocks;
  Arena arena{blocks};
  std::vector<Server> servers;
  Sticky sticky;
};

TEST_CASE("sticky: a cookie leads to the server that it was made for") {
  World world;
  for (uint32_t i = 0; i < 3; ++i) {
    const Bond bond = world.read_value(world.write(i));
    CHECK(bond.server == i);
    CHECK_FALSE(bond.renew);
  }
  CHECK(world.read("a=b; weir_srv=" + world.write(1) + "; c=d").server == 1);
  CHECK(world.read("other=" + world.write(1)).server == Bond::kNobody);
  CHECK(world.read("a=b").server == Bond::kNobody);
  CHECK(world.read("a=b").renew);
}

// So that instances and releases believe each other.
TEST_CASE("sticky: a golden value") {
  World world;
  CHECK(world.write(0) == "f329bea255f2017c6553f10081b06379e51b470fecc6e0bfc77156ca");
}

TEST_CASE("sticky: a value tells nothing of its server") {
  World world;
  std::set<std::string> ids;
  for (size_t i = 0; i < 3; ++i) ids.insert(world.write(i).substr(0, 16));
  CHECK(ids.size() == 3);
  World other("fedcba9876543210fedcba9876543210");
  CHECK(world.write(0).substr(0, 16) != other.write(0).substr(0, 16));
  World of_another_upstream(kSecret, "shop");
  CHECK(world.write(0).substr(0, 16) != of_another_upstream.write(0).substr(0, 16));
}

TEST_CASE("sticky: whatever was changed in a value, it is none") {
  World world;
  const std::string good = world.write(1);
  REQUIRE(good.size() == Sticky::kValueBytes);
  for (size_t i = 0; i < good.size(); ++i) {
    std::string forged = good;
    forged[i] = forged[i] == '0' ? '1' : '0';
    CHECK(world.read_value(forged).server == Bond::kNobody);
    CHECK(world.read_value(forged).renew);
  }
  CHECK(world.read_value(good.substr(0, 55)).server == Bond::kNobody);
  CHECK(world.read_value(good + "0").server == Bond::kNobody);
  CHECK(world.read_value("").server == Bond::kNobody);
  std::string upper = good;
  for (char& c : upper) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  CHECK(world.read_value(upper).server == Bond::kNobody);
  // Parts of two good ones.
  CHECK(world.read_value(world.write(0).substr(0, 16) + good.substr(16)).server == Bond::kNobody);
}

TEST_CASE("sticky: cookies of another secret, another upstream and another process are none") {
  World world;
  for (const World& other :
       {World("fedcba9876543210fedcba9876543210"), World(kSecret, "shop"), World("")}) {
    CHECK(world.read_value(other.write(1)).server == Bond::kNobody);
  }
}

TEST_CASE("sticky: without a secret a process believes itself, over reloads") {
  World before("");
  World after("");
  CHECK(after.read_value(before.write(2)).server == 2);
}

TEST_CASE("sticky: a bond ends after its time, and is renewed from half of it on") {
  World world;
  const std::string value = world.write(1);
  CHECK_FALSE(world.read_value(value, kNowS + kTtlS / 2).renew);
  CHECK(world.read_value(value, kNowS + kTtlS / 2 + 1).renew);
  CHECK(world.read_value(value, kNowS + kTtlS / 2 + 1).server == 1);
  CHECK(world.read_value(value, kNowS + kTtlS).server == 1);
  CHECK(world.read_value(value, kNowS + kTtlS + 1).server == Bond::kNobody);
  CHECK(world.read_value(value, kNowS - 60).server == 1);  // another clock
  CHECK(world.read_value(value, kNowS - 61).server == Bond::kNobody);
}

TEST_CASE("sticky: a server that has left the configuration binds nobody") {
  World before;
  World after(kSecret, "app", {"10.0.0.1:80", "10.0.0.3:80"});
  CHECK(after.read_value(before.write(1)).server == Bond::kNobody);
  CHECK(after.read_value(before.write(2)).server == 1);  // at its new place
}

TEST_CASE("sticky: of several cookies the first good one counts, and only some are looked at") {
  World world;
  const std::string bad = "weir_srv=" + std::string(Sticky::kValueBytes, '0') + "; ";
  const std::string good = "weir_srv=" + world.write(2);
  CHECK(world.read(bad + good).server == 2);
  CHECK(world.read(good + "; weir_srv=" + world.write(1)).server == 2);
  CHECK(world.read(bad + bad + bad + bad + good).server == Bond::kNobody);
}

}  // namespace
}  // namespace weir::upstream
