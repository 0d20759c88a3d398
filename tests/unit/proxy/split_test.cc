// Who is on which side of a split, and who moves when its weights change.
#include "proxy/split.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>

#include "base/arena.h"
#include "base/blocks.h"
#include "http/forwarded.h"
#include "http/message.h"
#include "proxy/snapshot.h"
#include "upstream/hash_table.h"

namespace weir::proxy {
namespace {

using Why = SplitChoice::Why;
using Weights = std::vector<uint32_t>;

struct Vector {
  const char* key;
  const char* name;
  uint32_t bucket;
};

// Told to users as a promise: another number here moves people to the other side of running
// experiments.
TEST_CASE("split: golden vectors") {
  const Vector kVectors[] = {
      {"user-1", "checkout", 8069},
      {"user-2", "checkout", 502},
      {"user-1", "search", 1784},
      {"42", "checkout", 3981},
      {"zoë", "checkout", 8801},
      {"0", "checkout", 1227},
      {"3f2c9a1e-7b60-4d7e-9a51-0c1d2e3f4a5b", "checkout", 2901},
      {"polygenelubricants", "", 3669},
  };
  for (const Vector& one : kVectors) {
    CAPTURE(one.key, one.name);
    CHECK(split_bucket(one.key, upstream::hash_bytes(one.name)) == one.bucket);
  }
}

std::vector<uint32_t> counts_of(const std::vector<uint8_t>& owners, size_t targets) {
  std::vector<uint32_t> counts(targets);
  for (const uint8_t owner : owners) ++counts[owner];
  return counts;
}

uint32_t moved(const Weights& before, const Weights& after) {
  const std::vector<uint8_t> a = split_layout(before);
  const std::vector<uint8_t> b = split_layout(after);
  uint32_t count = 0;
  for (size_t i = 0; i < kSplitBuckets; ++i) count += a[i] != b[i] ? 1 : 0;
  return count;
}

TEST_CASE("split: every target has exactly its share of the buckets") {
  for (const Weights& weights :
       {Weights{10000}, Weights{9500, 500}, Weights{0, 10000}, Weights{10000, 0},
        Weights{1, 4999, 5000}, Weights{0, 3000, 3000, 4000}, Weights{0, 0, 0, 0, 0, 10000},
        Weights{600, 600, 600, 600, 600, 600, 600, 600, 600, 600, 600, 600, 600, 600, 600, 1000}}) {
    CHECK(counts_of(split_layout(weights), weights.size()) == weights);
  }
}

TEST_CASE("split: a changed weight moves no more users than it has to") {
  CHECK(moved({10000, 0}, {9000, 1000}) == 1000);
  CHECK(moved({9000, 1000}, {5000, 5000}) == 4000);
  CHECK(moved({5000, 5000}, {0, 10000}) == 5000);
  CHECK(moved({9500, 500}, {9500, 500}) == 0);
  // Two candidates beside a base: whatever one of them gains or loses comes from the base.
  CHECK(moved({8000, 1000, 1000}, {3000, 6000, 1000}) == 5000);
  CHECK(moved({8000, 1000, 1000}, {3000, 1000, 6000}) == 5000);
  CHECK(moved({8000, 1000, 1000}, {4000, 3000, 3000}) == 4000);
  // Four of them, and one more at the end of the list.
  CHECK(moved({6000, 1000, 1000, 1000, 1000}, {5000, 1000, 1000, 2000, 1000}) == 1000);
  CHECK(moved({6000, 1000, 1000, 1000, 1000}, {5500, 1000, 1000, 1000, 1000, 500}) == 500);
}

TEST_CASE("split: raising a share only adds users to it") {
  const std::vector<uint8_t> few = split_layout({9900, 100});
  const std::vector<uint8_t> many = split_layout({7000, 3000});
  for (size_t i = 0; i < kSplitBuckets; ++i) CHECK((few[i] == 0 || many[i] == 1));
}

// Made of parts that a test sets.
struct World {
  World() {
    for (const char* name : {"app", "canary", "next"}) {
      auto cluster = std::make_shared<upstream::Cluster>();
      cluster->name = name;
      split.to.push_back({cluster, 0});
    }
    split.name = "checkout";
    weigh({9000, 1000, 0});
  }
  void weigh(const Weights& weights) {
    for (size_t i = 0; i < weights.size(); ++i) split.to[i].buckets = weights[i];
    split.finish();
  }
  void key(const char* text) {
    REQUIRE(upstream::parse_hash_key(text, split.key));
    split.finish();
  }
  std::optional<SplitChoice> choose() { return choose_side(split, request, client, "/p"); }
  std::string side() { return split.to[choose()->target].cluster->name; }

  BlockPool blocks;
  Arena arena{blocks};
  http::RequestHead request{arena};
  http::Address client;
  Split split;
};

TEST_CASE("split: shares of many users are what the weights say") {
  World world;
  constexpr int kUsers = 100'000;
  int canary = 0;
  for (int i = 0; i < kUsers; ++i) {
    canary += side_of(world.split, "user-" + std::to_string(i)).target == 1 ? 1 : 0;
  }
  const double sigma = std::sqrt(kUsers * 0.1 * 0.9);
  CHECK(std::abs(canary - kUsers * 0.1) < 4 * sigma);
}

TEST_CASE("split: two splits put the same users independently") {
  World one;
  World other;
  other.split.name = "search";
  one.weigh({5000, 5000, 0});
  other.weigh({5000, 5000, 0});
  constexpr int kUsers = 20'000;
  int both = 0;
  for (int i = 0; i < kUsers; ++i) {
    const std::string user = std::to_string(i);
    both += side_of(one.split, user).target == 1 && side_of(other.split, user).target == 1 ? 1 : 0;
  }
  CHECK(std::abs(both - kUsers * 0.25) < 4 * std::sqrt(kUsers * 0.25 * 0.75));
}

TEST_CASE("split: without its key a request is the control's, or is to be drawn") {
  World world;
  world.key("cookie:sid");
  REQUIRE(world.choose());
  CHECK(world.choose()->why == Why::kNoKey);
  CHECK(world.side() == "app");
  world.split.remembers = true;
  CHECK_FALSE(world.choose());
  world.request.headers.add("Cookie", "a=b; weir_split=drawn");
  CHECK(world.choose()->why == Why::kRemembered);
  CHECK(world.choose()->target == side_of(world.split, "drawn").target);
  world.request.headers.add("Cookie", "sid=s1");
  CHECK(world.choose()->why == Why::kKey);
  CHECK(world.choose()->bucket == split_bucket("s1", world.split.salt));
}

TEST_CASE("split: a weight of 0 means nobody, whether there is a key or not") {
  World world;
  world.key("header:X-User");
  world.weigh({10000, 0, 0});
  for (int i = 0; i < 1000; ++i) CHECK(side_of(world.split, std::to_string(i)).target == 0);
  CHECK(world.side() == "app");
  world.weigh({0, 10000, 0});
  for (int i = 0; i < 1000; ++i) CHECK(side_of(world.split, std::to_string(i)).target == 1);
  CHECK(world.side() == "canary");
}

TEST_CASE("split: testers name their side; what is no side of it counts for nothing") {
  World world;
  world.key("header:X-User");
  world.split.override_header = "X-Side";
  world.split.override_cookie = "side";
  world.request.headers.add("X-Side", "nobody");
  CHECK(world.choose()->why == Why::kNoKey);
  world.request.headers.add("Cookie", "side=next");  // which has no users
  CHECK(world.choose()->why == Why::kCookie);
  CHECK(world.side() == "next");
  world.request.headers.set("X-Side", "canary");
  CHECK(world.choose()->why == Why::kHeader);
  CHECK(world.side() == "canary");
  world.request.headers.set("X-Side", "Canary");
  CHECK(world.side() == "next");
}

TEST_CASE("split: Vary names what decided, once") {
  World world;
  world.split.override_header = "X-Side";
  world.key("header:X-User");
  using Fields = std::vector<std::string>;
  CHECK(world.split.vary_fields == Fields{"X-Side", "X-User"});
  world.split.remembers = true;
  world.key("cookie:sid");
  CHECK(world.split.vary_fields == Fields{"X-Side", "Cookie"});
  const auto vary_of = [&world](const char* before) {
    http::HeaderList headers(world.arena);
    if (*before != '\0') headers.add("vary", before);
    add_vary(world.split.vary_fields, headers);
    std::string all;
    for (const http::Header& header : headers) all += std::string(header.value) + ";";
    return all;
  };
  CHECK(vary_of("") == "X-Side;Cookie;");
  CHECK(vary_of("Accept-Encoding, cookie") == "Accept-Encoding, cookie;X-Side;");
  CHECK(vary_of("*") == "*;");
  world.split.vary = false;
  world.split.finish();
  CHECK(vary_of("") == "");
  world.split.vary = true;
  world.split.override_header = world.split.override_cookie = "";
  world.split.remembers = false;
  world.key("client_ip");
  CHECK(world.split.vary_fields == Fields());
}

std::shared_ptr<upstream::Rollback> rolled_back() {
  auto rollback = std::make_shared<upstream::Rollback>(
      "s", std::vector<std::string>{"app", "canary"},
      upstream::RollbackConfig{.error_rate_over = 0.1, .min_requests = 10});
  for (uint64_t ms = 1'000; ms < 1'020; ++ms) {
    rollback->note(0, false, 1'000, ms);
    rollback->note(1, true, 1'000, ms);
  }
  rollback->note(0, false, 1'000, 2'000);
  REQUIRE(rollback->is_rolled_back(1));
  return rollback;
}

// A route without a split, one with a split that has no rule, and one for each of these.
Snapshot snapshot_with(const std::vector<std::shared_ptr<upstream::Rollback>>& rollbacks) {
  Snapshot snapshot;
  std::vector<Route>& routes = snapshot.sites.emplace_back().routes;
  routes.resize(2);
  routes[1].split = std::make_shared<Split>();
  for (const auto& rollback : rollbacks) {
    auto split = std::make_shared<Split>();
    split->rollback = rollback;
    routes.emplace_back().split = std::move(split);
  }
  return snapshot;
}

TEST_CASE("split: a new one begins anew, one that stays keeps who is rolled back") {
  const auto stays = rolled_back();
  const auto comes = rolled_back();  // known from earlier, by somebody who still uses it
  begin_new_splits(snapshot_with({stays}), snapshot_with({comes, stays}));
  CHECK(stays->is_rolled_back(1));
  CHECK_FALSE(comes->is_rolled_back(1));
  begin_new_splits(snapshot_with({stays, comes}), snapshot_with({}));
  CHECK(stays->is_rolled_back(1));
  begin_new_splits(snapshot_with({}), snapshot_with({stays, stays}));
  CHECK_FALSE(stays->is_rolled_back(1));
}

}  // namespace
}  // namespace weir::proxy
