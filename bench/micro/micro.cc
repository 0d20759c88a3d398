// What a request costs weir itself: a real worker with its loop, connections, filters, log and
// metrics, between two sockets that are played (rig.h). Prints nanoseconds per request.
#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <vector>

#include "encoders.h"
#include "fake_kernel.h"
#include "picks.h"
#include "rig.h"
#include "stored.h"
#include "tokens.h"
#include "workers.h"

namespace weir::micro {

namespace {

// HS256 by the secret of own_route(), with nine claims, good until 2100.
constexpr const char* kBearer =
    "Authorization: Bearer "
    "eyJhbGciOiAiSFMyNTYiLCAidHlwIjogIkpXVCJ9.eyJzdWIiOiAiMGI2ZjBkM2UtNmYwZS00ZjZlLTlhNTUtNGQ"
    "0YzFkNmEwYzExIiwgImVtYWlsIjogImFubmFAZXhhbXBsZS5jb20iLCAidGVuYW50SWQiOiAiYWNtZSIsICJyb2x"
    "lIjogImFkbWluIiwgInBlcm1pc3Npb25zIjogWyJvcmRlcnM6cmVhZCIsICJvcmRlcnM6d3JpdGUiXSwgImlzcyI"
    "6ICJodHRwczovL2lkLmV4YW1wbGUuY29tIiwgImF1ZCI6ICJhcGkiLCAiaWF0IjogMTcwMDAwMDAwMCwgImV4cCI"
    "6IDQxMDI0NDQ4MDB9.ydiF2htkIvSOP_YlPgO0OboufXnmnuCHRm736gQoS5I"
    "\r\n";

constexpr const char* kFromApp = "Origin: https://app.example.com\r\n";

constexpr Scenario kScenarios[] = {
    {"proxy", "/app/catalogue?page=2", true},
    {"proxy, plain", "/plain/catalogue?page=2", true},              // no filter, no log line
    {"proxy, guarded", "/guarded/catalogue?page=2", true},          // what guards servers, all idle
    {"proxy, origin", "/app/catalogue?page=2", true, 1, kFromApp},  // nobody looks at it
    {"proxy, secure", "/secure/catalogue?page=2", true, 1, kFromApp},
    {"proxy, cors", "/cors/catalogue?page=2", true, 1, kFromApp},
    {"proxy, access", "/access/catalogue?page=2", true, 1, kFromApp},
    {"proxy, policy", "/policy/catalogue?page=2", true, 1, kFromApp},  // all three
    {"proxy, bearer", "/app/catalogue?page=2", true, 1, kBearer},      // which nobody looks at
    {"proxy, jwt", "/jwt/catalogue?page=2", true, 1, kBearer},         // and its claims, known
    // By a cookie, over so many of them: each with a bucket that never refuses.
    {"proxy, limited", "/limited/catalogue?page=2", true, 1, "", 1},
    {"limited, 1k", "/limited/catalogue?page=2", true, 1, "", 1000},
    {"limited, 1M", "/limited/catalogue?page=2", true, 1, "", 1'000'000},
    {"respond", "/hello", false},
    {"proxy, sites", "/app/catalogue?page=2", true, 10'000},
    {"hit", "/kept/catalogue?page=2", true, 1, "", 0, true},
    {"hit, coded", "/coded/catalogue?page=2", true, 1, "", 0, true},  // as br
};

void run_scenario(const Scenario& scenario, uint64_t requests, int rounds) {
  World world(scenario);
  Bench bench(world, 0);
  bench.play();
  std::vector<double> ns;
  for (int round = 0; round < rounds; ++round) {
    const auto begin = std::chrono::steady_clock::now();
    bench.measured(requests);
    const std::chrono::duration<double, std::nano> took = std::chrono::steady_clock::now() - begin;
    ns.push_back(took.count() / static_cast<double>(requests));
  }
  const double middle = median(ns);
  const Played& bytes = played();
  std::printf("%-14s %9.0f %9.0f %12llu %12llu\n", scenario.name, middle, ns.front(),
              static_cast<unsigned long long>(bytes.server_bytes / bytes.answers),
              static_cast<unsigned long long>(bytes.client_bytes / bytes.answers));
}

double round_of(Bench& bench, uint64_t requests) {
  bench.play();
  const double begin_ns = thread_cpu_ns();
  bench.measured(requests);
  return (thread_cpu_ns() - begin_ns) / static_cast<double>(requests);
}

// What one costs more than the other, in turns: then what slows the machine slows both.
void run_pair(const Scenario& one, const Scenario& other, uint64_t requests, int rounds) {
  World worlds[] = {World(one), World(other)};
  Bench benches[] = {Bench(worlds[0], 0), Bench(worlds[1], 0)};
  std::vector<double> more_ns;
  for (int round = 0; round < rounds; ++round) {
    const double one_ns = round_of(benches[0], requests);
    more_ns.push_back(one_ns - round_of(benches[1], requests));
  }
  const double middle = median(more_ns);
  std::printf("%s over %s: %+.0f ns median, %+.0f to %+.0f\n", one.name, other.name, middle,
              more_ns.front(), more_ns.back());
}

const Scenario* scenario_of(std::string_view name) {
  const auto* const end = std::end(kScenarios);
  const auto* const found = std::find_if(std::begin(kScenarios), end,
                                         [name](const auto& one) { return one.name == name; });
  return found == end ? nullptr : found;
}

}  // namespace

}  // namespace weir::micro

// weir_micro [REQUESTS [ROUNDS [SCENARIO [OTHER]]]]
int main(int argc, char** argv) {
  using namespace weir::micro;
  std::signal(SIGPIPE, SIG_IGN);
  const uint64_t requests = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 200'000;
  const int rounds = argc > 2 ? std::atoi(argv[2]) : 9;
  const char* const only = argc > 3 ? argv[3] : "";
  const Scenario* const pair[] = {scenario_of(only), scenario_of(argc > 4 ? argv[4] : "")};
  if (requests == 0 || rounds <= 0 || (argc > 4 && (pair[0] == nullptr || pair[1] == nullptr))) {
    std::fprintf(stderr, "usage: weir_micro [REQUESTS [ROUNDS [SCENARIO [OTHER]]]]\n");
    return 2;
  }
  if (argc > 4) {
    run_pair(*pair[0], *pair[1], requests, rounds);
    return 0;
  }
  std::printf("%-14s %9s %9s %12s %12s\n", "scenario", "ns median", "ns best", "B to server",
              "B to client");
  for (const Scenario& scenario : kScenarios) {
    if (*only == '\0' || &scenario == pair[0]) run_scenario(scenario, requests, rounds);
  }
  run_workers(*scenario_of("proxy"), requests, rounds, only);
  run_picks(requests, rounds, only);
  run_tokens(requests / 20 + 1, rounds, only);
  run_encoders(requests / 200 + 1, rounds, only);
  run_stored(requests, rounds, only);
  return 0;
}
