#include "upstream/health.h"

namespace weir::upstream {

namespace {
constexpr auto kRelaxed = std::memory_order_relaxed;
}

Standing standing(const Server& server, uint64_t now_ms) {
  if (!server.state->has_address() || server.state->barriers.load(kRelaxed) != 0) {
    return Standing::kDown;
  }
  const uint64_t until_ms = server.state->down_until_ms.load(kRelaxed);
  if (until_ms == 0) return Standing::kUp;
  return now_ms < until_ms ? Standing::kDown : Standing::kTrialDue;
}

bool claim_trial(const Server& server, uint64_t now_ms) {
  uint64_t until_ms = server.state->down_until_ms.load(kRelaxed);
  if (until_ms == 0) return true;  // somebody's trial went well in between
  if (now_ms < until_ms) return false;
  // Until the trial has an answer the server stays down for everybody else.
  return server.state->down_until_ms.compare_exchange_strong(
      until_ms, now_ms + server.fail_timeout_ms, kRelaxed);
}

void note_failure(const Server& server, uint64_t now_ms) {
  if (server.max_fails == 0) return;
  EndpointState& state = *server.state;
  if (state.down_until_ms.load(kRelaxed) != 0) {  // the trial failed, or it is down already
    state.down_until_ms.store(now_ms + server.fail_timeout_ms, kRelaxed);
    return;
  }
  uint32_t fails = 1;
  if (now_ms - state.window_start_ms.load(kRelaxed) > server.fail_timeout_ms) {
    state.window_start_ms.store(now_ms, kRelaxed);
    state.fails.store(1, kRelaxed);
  } else {
    fails = state.fails.fetch_add(1, kRelaxed) + 1;
  }
  if (fails >= server.max_fails) {
    state.down_until_ms.store(now_ms + server.fail_timeout_ms, kRelaxed);
  }
}

void note_success(const Server& server) {
  EndpointState& state = *server.state;
  // Read first: on the usual path nobody writes to the shared line.
  if (state.down_until_ms.load(kRelaxed) == 0) return;
  state.down_until_ms.store(0, kRelaxed);
  state.fails.store(0, kRelaxed);
}

void note_nothing(const Server& server, uint64_t now_ms) {
  std::atomic<uint64_t>& down_until_ms = server.state->down_until_ms;
  if (down_until_ms.load(kRelaxed) != 0) down_until_ms.store(now_ms, kRelaxed);
}

}  // namespace weir::upstream
