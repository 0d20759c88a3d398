#include "upstream/health.h"

#include <algorithm>

#include "net/clock.h"

namespace weir::upstream {

namespace {
constexpr auto kRelaxed = std::memory_order_relaxed;
}

Standing standing(const Server& server, uint64_t now_ms, uint32_t heeded) {
  if (!server.state->has_address() || (server.state->barriers.load(kRelaxed) & heeded) != 0) {
    return Standing::kDown;
  }
  const uint64_t until_ms = server.state->down_until_ms.load(kRelaxed);
  if (until_ms == 0) return Standing::kUp;
  return now_ms < until_ms ? Standing::kDown : Standing::kTrialDue;
}

void begin_slow_start(const Server& server, uint64_t now_ms) {
  if (server.slow_start_ms > 0) server.state->slow_from_ms.store(now_ms, kRelaxed);
}

double slow_start_share(const Server& server, uint64_t now_ms) {
  constexpr double kFirstShare = 0.1;
  uint64_t from_ms = server.state->slow_from_ms.load(kRelaxed);
  if (from_ms == 0) return 1;
  const uint64_t passed_ms = now_ms > from_ms ? now_ms - from_ms : 0;
  if (passed_ms >= server.slow_start_ms) {
    // Unless it has come back once more in between.
    server.state->slow_from_ms.compare_exchange_strong(from_ms, 0, kRelaxed);
    return 1;
  }
  const double grown = static_cast<double>(passed_ms) / static_cast<double>(server.slow_start_ms);
  return std::max(kFirstShare, grown);
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
  const uint64_t start_ms = state.window_start_ms.load(kRelaxed);
  // Another worker's clock may be ahead.
  if (now_ms > start_ms && now_ms - start_ms > server.fail_timeout_ms) {
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
  if (state.silent_since_ms.load(kRelaxed) != 0) state.silent_since_ms.store(0, kRelaxed);
  if (state.down_until_ms.load(kRelaxed) == 0) return;
  if (server.slow_start_ms > 0) begin_slow_start(server, net::monotonic_ms());
  state.down_until_ms.store(0, kRelaxed);
  state.fails.store(0, kRelaxed);
}

bool note_given_up(const Server& server, uint64_t now_ms, uint64_t patience_ms) {
  std::atomic<uint64_t>& silent_since_ms = server.state->silent_since_ms;
  const uint64_t since_ms = silent_since_ms.load(kRelaxed);
  const uint64_t silent_ms = now_ms > since_ms ? now_ms - since_ms : 0;
  // So long ago that it is no row of failures any more, as with max_fails.
  const bool begins = since_ms == 0 || silent_ms > patience_ms + server.fail_timeout_ms;
  if (begins) silent_since_ms.store(now_ms, kRelaxed);
  return !begins && silent_ms >= patience_ms;
}

void note_nothing(const Server& server, uint64_t now_ms) {
  std::atomic<uint64_t>& down_until_ms = server.state->down_until_ms;
  if (down_until_ms.load(kRelaxed) != 0) down_until_ms.store(now_ms, kRelaxed);
}

}  // namespace weir::upstream
