// Slow start, barriers, degraded servers and panic, as the balancer sees them; the record of
// checks and the bytes of gRPC's health service.
#include "upstream/health.h"

#include <catch2/catch.hpp>

#include <map>
#include <string>

#include "balance_world.h"
#include "upstream/check_record.h"
#include "upstream/grpc_health.h"

namespace weir::upstream {
namespace {

using test::kNow;
using test::World;

// A world whose cluster has a state, as every published one has.
struct CheckedWorld : World {
  explicit CheckedWorld(Balance balance) : World(balance) {
    cluster().state = std::make_shared<ClusterState>("app", 0);
    cluster().check = CheckConfig();
    for (const char* name : {"a", "b", "c"}) add(name).slow_start_ms = 10'000;
  }
  std::map<std::string, int> share(int picks, uint64_t now_ms,
                                   std::optional<uint64_t> hash = std::nullopt) {
    std::map<std::string, int> counts;
    for (int i = 0; i < picks; ++i) {
      const auto key =
          hash ? std::optional<uint64_t>(*hash + static_cast<uint64_t>(i) * 7919) : std::nullopt;
      ++counts[pick_and_release(now_ms, nullptr, key)];
    }
    return counts;
  }
};

TEST_CASE("slow start: the share grows from a tenth to the whole, and is forgotten then") {
  CheckedWorld world(Balance::kLeastConn);
  Server& server = world.server(0);
  CHECK(slow_start_share(server, kNow) == 1);
  begin_slow_start(server, kNow);
  CHECK(slow_start_share(server, kNow) == Approx(0.1));
  CHECK(slow_start_share(server, kNow + 500) == Approx(0.1));
  CHECK(slow_start_share(server, kNow + 5'000) == Approx(0.5));
  CHECK(slow_start_share(server, kNow + 10'000) == 1);
  CHECK(server.state->slow_from_ms.load() == 0);
  server.slow_start_ms = 0;
  begin_slow_start(server, kNow);
  CHECK(server.state->slow_from_ms.load() == 0);
}

TEST_CASE("slow start: with every balancer the server gets its growing part") {
  const Balance balance =
      GENERATE(Balance::kLeastConn, Balance::kRoundRobin, Balance::kRandomTwo, Balance::kHash);
  CheckedWorld world(balance);
  build_hash_tables(world.cluster());
  const bool hashes = balance == Balance::kHash;
  const auto hash = hashes ? std::optional<uint64_t>(1) : std::nullopt;
  begin_slow_start(world.server(0), kNow);
  constexpr int kPicks = 6'000;
  const int at_first = world.share(kPicks, kNow, hash)["a"];
  CHECK(at_first > 100);  // 200 by expectation
  CHECK(at_first < 330);
  const int half_way = world.share(kPicks, kNow + 5'000, hash)["a"];
  CHECK(half_way > 800);  // 1000
  CHECK(half_way < 1'200);
  const int in_the_end = world.share(kPicks, kNow + 10'000, hash)["a"];
  CHECK(in_the_end > 1'800);  // 2000
  CHECK(in_the_end < 2'200);
}

TEST_CASE("slow start: an empty server is not flooded although it is the least loaded one") {
  CheckedWorld world(Balance::kLeastConn);
  world.server(1).state->in_flight = 50;
  world.server(2).state->in_flight = 50;
  begin_slow_start(world.server(0), kNow);
  CHECK(world.share(1'000, kNow)["a"] < 80);
}

TEST_CASE("slow start: servers that all come back share as usual") {
  CheckedWorld world(Balance::kRoundRobin);
  for (size_t i = 0; i < 3; ++i) begin_slow_start(world.server(i), kNow);
  CHECK(world.share(300, kNow) == std::map<std::string, int>{{"a", 100}, {"b", 100}, {"c", 100}});
}

TEST_CASE("slow start follows a trial that went well") {
  CheckedWorld world(Balance::kRoundRobin);
  note_failure(world.server(0), kNow);
  CHECK(world.server(0).state->slow_from_ms.load() == 0);
  note_success(world.server(0));
  CHECK(world.server(0).state->slow_from_ms.load() != 0);
}

TEST_CASE("a failed check keeps a server out, also as the last resort; a panic does not") {
  CheckedWorld world(Balance::kRoundRobin);
  for (size_t i = 0; i < 3; ++i) world.server(i).state->barriers = kCheckFailed;
  CHECK(world.pick().empty());
  CHECK(world.pick(kNow, &world.server(0)).empty());
  world.server(2).state->barriers = kTakenDown;
  world.cluster().panic = 0.5;
  world.cluster().state->panic = true;
  CHECK(world.share(20, kNow) == std::map<std::string, int>{{"a", 10}, {"b", 10}});
}

TEST_CASE("degraded servers are for when others cannot") {
  CheckedWorld world(Balance::kRoundRobin);
  world.cluster().state->spares_degraded = true;
  world.server(0).state->degraded = true;
  CHECK(world.share(20, kNow) == std::map<std::string, int>{{"b", 10}, {"c", 10}});
  world.server(1).state->barriers = kEjected;
  CHECK(world.pick_and_release(kNow, &world.server(2)) == "a");
  world.server(2).state->barriers = kCheckFailed;
  CHECK(world.pick_and_release() == "a");
  world.server(1).state->barriers = 0;
  world.cluster().state->spares_degraded = false;
  CHECK(world.share(20, kNow) == std::map<std::string, int>{{"a", 10}, {"b", 10}});
}

TEST_CASE("failures are counted together though the clocks of workers differ") {
  CheckedWorld world(Balance::kRoundRobin);
  Server& server = world.server(0);
  server.max_fails = 3;
  note_failure(server, kNow);
  note_failure(server, kNow - 1);
  CHECK(standing(server, kNow) == Standing::kUp);
  note_failure(server, kNow);
  CHECK(standing(server, kNow) == Standing::kDown);
}

TEST_CASE("tries that were given up: a failure once the server has been silent for long enough") {
  CheckedWorld world(Balance::kRoundRobin);
  const Server& server = world.server(0);
  constexpr uint64_t kPatience = 1'000;
  const auto given_up = [&](uint64_t at_ms) { return note_given_up(server, at_ms, kPatience); };
  CHECK_FALSE(given_up(kNow));
  CHECK_FALSE(given_up(kNow + 999));
  CHECK(given_up(kNow + 1'000));
  CHECK(given_up(kNow + 1'001));
  note_success(server);  // an answer to anybody
  CHECK_FALSE(given_up(kNow + 1'500));
  CHECK_FALSE(given_up(kNow + 1'400));  // by another worker's clock
  // Two, with nothing asked for a long time in between.
  CHECK_FALSE(given_up(kNow + 2'501 + server.fail_timeout_ms));
  CHECK(given_up(kNow + 3'501 + server.fail_timeout_ms));
}

TEST_CASE("check record: it takes results in a row, in both directions") {
  CheckRecord record;
  const auto note = [&record](bool good) { return record.note(good, 2, 3); };
  CHECK(record.good());
  CHECK_FALSE(note(false));
  CHECK_FALSE(note(false));
  CHECK_FALSE(note(true));
  CHECK_FALSE(note(false));
  CHECK_FALSE(note(false));
  CHECK(note(false));
  CHECK_FALSE(record.good());
  CHECK_FALSE(note(true));
  CHECK_FALSE(note(false));
  CHECK_FALSE(note(true));
  CHECK(note(true));
  CHECK(record.good());
}

TEST_CASE("grpc health: the bytes of a request, and what answers mean") {
  CHECK(grpc_health_request("") == std::string(5, '\0'));
  CHECK(grpc_health_request("a.B") == std::string("\0\0\0\0\x05\x0a\x03", 7) + "a.B");
  BlockPool blocks;
  Arena arena(blocks);
  const auto judge = [&arena](std::string_view status, std::string_view body) {
    http::HeaderList trailers(arena);
    if (!status.empty()) trailers.add("grpc-status", status);
    return judge_grpc_health(trailers, body);
  };
  const auto message = [](char state) { return std::string("\0\0\0\0\x02\x08", 6) + state; };
  CHECK(judge("0", message(1)).empty());
  CHECK(judge("0", message(2)) == "NOT_SERVING");
  CHECK(judge("0", message(3)) == "SERVICE_UNKNOWN");
  CHECK(judge("0", message(9)) == "a broken message");
  CHECK(judge("0", std::string(5, '\0')) == "UNKNOWN");
  CHECK(judge("0", "") == "a broken message");
  CHECK(judge("0", "\1\0\0\0\2") == "a broken message");
  CHECK(judge("12", "") == "grpc-status 12: there is no health service");
  CHECK(judge("5", "") == "grpc-status 5: the service is not known");
  CHECK(judge("14", "") == "grpc-status 14");
  CHECK(judge("x", message(1)) == "a broken grpc-status");
  CHECK(judge("", message(1)) == "no grpc-status");
}

}  // namespace
}  // namespace weir::upstream
