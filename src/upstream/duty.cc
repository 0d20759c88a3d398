#include "upstream/duty.h"

#include <algorithm>
#include <unordered_set>

#include "upstream/health.h"

namespace weir::upstream {

namespace {
constexpr auto kRelaxed = std::memory_order_relaxed;
constexpr Duty kDuties[] = {Duty::kUp, Duty::kDrain, Duty::kDown};

uint32_t barrier_of(Duty duty) {
  switch (duty) {
    case Duty::kUp: break;
    case Duty::kDrain: return kDrained;
    case Duty::kDown: return kTakenDown;
  }
  return 0;
}

}  // namespace

const char* duty_word(Duty duty) {
  switch (duty) {
    case Duty::kUp: break;
    case Duty::kDrain: return "drain";
    case Duty::kDown: return "down";
  }
  return "up";
}

bool parse_duty(std::string_view word, Duty& out) {
  for (const Duty duty : kDuties) {
    if (word != duty_word(duty)) continue;
    out = duty;
    return true;
  }
  return false;
}

Duty duty_of(const EndpointState& state) {
  const uint32_t barriers = state.barriers.load(kRelaxed);
  if ((barriers & kTakenDown) != 0) return Duty::kDown;
  return (barriers & kDrained) != 0 ? Duty::kDrain : Duty::kUp;
}

Duty set_duty(EndpointState& state, Duty duty) {
  const Duty before = duty_of(state);
  const uint32_t wanted = barrier_of(duty);
  // The new one first: a server on its way from one barrier to the other never seems to be up.
  state.barriers.fetch_or(wanted, kRelaxed);
  state.barriers.fetch_and(~((kDrained | kTakenDown) & ~wanted), kRelaxed);
  return before;
}

bool takes_requests(const Cluster& cluster) {
  return std::any_of(cluster.servers.begin(), cluster.servers.end(), [](const Server& server) {
    const EndpointState& state = *server.state;
    return state.has_address() && state.barriers.load(kRelaxed) == 0;
  });
}

void welcome_newcomers(const Clusters& before, const Clusters& now, uint64_t now_ms) {
  std::unordered_set<const EndpointState*> known;
  for (const auto& cluster : before) {
    for (const Server& server : cluster->servers) known.insert(server.state.get());
  }
  for (const auto& cluster : now) {
    const bool is_new =
        std::none_of(cluster->servers.begin(), cluster->servers.end(),
                     [&](const Server& server) { return known.contains(server.state.get()); });
    for (const Server& server : cluster->servers) {
      if (known.contains(server.state.get())) continue;
      set_duty(*server.state, Duty::kUp);
      if (!is_new) begin_slow_start(server, now_ms);
    }
  }
}

}  // namespace weir::upstream
