#include "picks.h"

#include <algorithm>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/check.h"
#include "config/load.h"
#include "rig.h"
#include "upstream/balancer.h"

namespace weir::micro {

namespace {

constexpr uint32_t kServers = 10'000;

struct Kind {
  const char* name;
  const char* keys;  // of the upstream
};
constexpr Kind kKinds[] = {
    {"least_conn", "balance: least_conn"},
    {"round_robin", "balance: round_robin"},
    {"random_two", "balance: random_two"},
    {"hash", "balance: hash, hash_key: uri"},
    {"bounded_load", "balance: hash, hash_key: uri, bounded_load: 1.25"},
};

// Every fourth server has weight 3.
std::string config_text(const Kind& kind) {
  std::string text = "listeners: {http: {address: \"127.0.0.1:0\"}}\nupstreams:\n  app: {";
  text += kind.keys;
  text += ", servers: [";
  for (uint32_t i = 0; i < kServers; ++i) {
    text += "{address: \"10.0." + std::to_string(i / 250) + "." + std::to_string(i % 250 + 1) +
            ":80\", weight: " + (i % 4 == 0 ? "3" : "1") + "}, ";
  }
  return text + "]}\nsites: [{hosts: [a], routes: [{path: /, upstream: app}]}]\n";
}

std::shared_ptr<const upstream::Cluster> load_cluster(const Kind& kind) {
  static upstream::StateRegistry states;
  const config::LoadResult loaded = config::load_text(
      config_text(kind), "picks.yaml", config::system_environment(states, proxy::labels()));
  for (const std::string& line : loaded.errors) std::fprintf(stderr, "%s\n", line.c_str());
  WEIR_CHECK(loaded.ok());
  return loaded.snapshot->clusters.front();
}

void run_kind(const Kind& kind, uint64_t picks, int rounds) {
  const std::shared_ptr<const upstream::Cluster> cluster = load_cluster(kind);
  // A tenth of both weights is down.
  for (size_t i = 0; i < kServers; i += 10) {
    cluster->servers[i + i / 10 % 10].state->barriers = upstream::kCheckFailed;
  }
  upstream::Balancer balancer;
  std::vector<double> ns;
  uint64_t number = 0;
  for (int round = 0; round < rounds; ++round) {
    const double begin_ns = thread_cpu_ns();
    for (const uint64_t end = number + picks; number < end; ++number) {
      upstream::Wish wish;
      constexpr uint64_t kSpread = 0x9e3779b97f4a7c15;  // every key is another one
      if (cluster->balance == upstream::Balance::kHash) wish.hash = number * kSpread;
      constexpr uint64_t kPicksPerMs = 1000;
      const upstream::Pick pick = balancer.pick(*cluster, 1'000'000 + number / kPicksPerMs, wish);
      WEIR_CHECK(pick.server != nullptr);
      upstream::Balancer::release(*pick.server);
    }
    ns.push_back((thread_cpu_ns() - begin_ns) / static_cast<double>(picks));
  }
  for (const upstream::Server& server : cluster->servers) server.state->barriers = 0;
  std::sort(ns.begin(), ns.end());
  std::printf("%-14s %9.0f %9.0f\n", kind.name, ns[ns.size() / 2], ns.front());
}

}  // namespace

void run_picks(uint64_t picks, int rounds, std::string_view only) {
  for (const Kind& kind : kKinds) {
    if (only.empty() || kind.name == only) run_kind(kind, picks, rounds);
  }
}

}  // namespace weir::micro
