#include "upstream/tried.h"

#include <catch2/catch.hpp>
#include <string>

#include "balance_world.h"

namespace weir::upstream {
namespace {

using test::World;

std::string names(const TriedServers& tried) {
  std::string out;
  for (const Server* server : tried.all()) out += server->address;
  return out;
}

TEST_CASE("tried servers: each once, who failed last at the end") {
  World world(Balance::kLeastConn);
  for (const char* name : {"a", "b", "c"}) world.add(name);
  TriedServers tried;
  CHECK(names(tried).empty());
  for (const size_t index : {0, 1, 2, 0}) tried.add(world.server(index));
  CHECK(names(tried) == "bca");
  tried.add(world.server(0));
  CHECK(names(tried) == "bca");
  tried.clear();
  CHECK(names(tried).empty());
}

TEST_CASE("tried servers: who was not to blame is the first to be taken again") {
  World world(Balance::kLeastConn);
  for (const char* name : {"a", "b", "c"}) world.add(name);
  TriedServers tried;
  tried.add(world.server(0));
  tried.add_excused(world.server(1));
  CHECK(names(tried) == "ba");
  tried.add_excused(world.server(2));
  CHECK(names(tried) == "cba");
  tried.add_excused(world.server(0));
  CHECK(names(tried) == "acb");
  tried.add(world.server(0));
  CHECK(names(tried) == "cba");
}

TEST_CASE("tried servers: of too many the first is forgotten") {
  World world(Balance::kLeastConn);
  for (size_t i = 0; i <= limits::kAttemptsMax; ++i) world.add(std::string(1, char('a' + i)));
  TriedServers tried;
  for (size_t i = 0; i <= limits::kAttemptsMax; ++i) tried.add(world.server(i));
  CHECK(tried.all().size() == limits::kAttemptsMax);
  CHECK(names(tried).front() == 'b');
  CHECK(names(tried).back() == char('a' + limits::kAttemptsMax));
  tried.add_excused(world.server(0));  // of which there is no more to be known
  CHECK(names(tried).front() == 'b');
}

TEST_CASE("pick: all servers that failed the request are avoided while there is another") {
  World world(Balance::kLeastConn);
  for (const char* name : {"a", "b", "c"}) world.add(name);
  world.server(2).state->in_flight = 100;
  CHECK(world.pick_after({0, 1}).server == &world.server(2));
  CHECK(world.pick_after({1, 0, 2}).server == &world.server(1));  // it failed the longest ago
  world.server(1).state->barriers = kTakenDown;
  CHECK(world.pick_after({1, 0, 2}).server == &world.server(0));
  world.server(0).max_connections = 1;  // which it has by now
  CHECK(world.pick_after({1, 0, 2}).server == &world.server(2));
  world.server(2).max_connections = 1;
  const Pick nobody = world.pick_after({1, 0, 2});
  CHECK(nobody.server == nullptr);
  CHECK(nobody.full);
}

}  // namespace
}  // namespace weir::upstream
