#include "upstream/census.h"

#include "base/log.h"
#include "net/clock.h"
#include "upstream/health.h"

namespace weir::upstream {

namespace {
constexpr auto kRelaxed = std::memory_order_relaxed;
}

void take_census(const Cluster& cluster) {
  size_t wanted = 0;  // what no operator has taken out
  size_t usable = 0;
  size_t sound = 0;     // usable, and not degraded
  bool backup = false;  // one is up: better than servers that are known to be bad
  const uint64_t now_ms = net::monotonic_ms();
  for (const Server& server : cluster.servers) {
    const uint32_t barriers = server.state->barriers.load(kRelaxed);
    if (server.backup) {
      backup = backup || standing(server, now_ms) == Standing::kUp;
      continue;
    }
    if ((barriers & ~kMeasured) != 0) continue;
    ++wanted;
    if (barriers != 0 || !server.state->has_address()) continue;
    ++usable;
    if (!server.state->degraded.load(kRelaxed)) ++sound;
  }
  ClusterState& state = *cluster.state;
  // All load on a few would make them the next ones that are late.
  state.spares_degraded.store(sound * 2 >= usable, kRelaxed);
  // Backups are asked when nobody else can be, and take nothing off those that are left.
  const bool rescued = backup && usable == 0;
  const bool panic = cluster.panic > 0 && !rescued &&
                     static_cast<double>(usable) < cluster.panic * static_cast<double>(wanted);
  if (panic == state.panic.load(kRelaxed)) return;
  state.panic.store(panic, kRelaxed);
  if (panic) {
    log_error("upstream {}: panic: {} of {} servers are well, fewer than {:.0f} %: all are used",
              cluster.name, usable, wanted, cluster.panic * 100);
  } else {
    log_info("upstream {}: the panic is over: {} of {} servers are well{}", cluster.name, usable,
             wanted, rescued ? ", and a backup is" : "");
  }
}

}  // namespace weir::upstream
