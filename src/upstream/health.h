// Passive health (max_fails, fail_timeout): what requests themselves learn of a server. All state
// is atomic in EndpointState and shared by all workers; losing a race by one count is harmless.
#pragma once

#include <cstdint>

#include "upstream/cluster.h"

namespace weir::upstream {

// From good to bad.
enum class Standing : uint8_t {
  kUp,
  kTrialDue,  // was down for fail_timeout: one request may try it (claim_trial)
  kDown,      // failed too often, its name never resolved, or there is a Barrier
};

// Barriers that a panic makes light of.
inline constexpr uint32_t kMeasured = kCheckFailed | kEjected;

// `heeded`: the barriers that count.
Standing standing(const Server& server, uint64_t now_ms, uint32_t heeded = UINT32_MAX);

// It is back, after whatever kept requests away: with slow_start its share begins at a tenth.
void begin_slow_start(const Server& server, uint64_t now_ms);
// How much of its share a server gets now, 1 on the usual path. Grows evenly over slow_start.
double slow_start_share(const Server& server, uint64_t now_ms);

// True for exactly one caller per fail_timeout: that one sends the trial request.
bool claim_trial(const Server& server, uint64_t now_ms);

void note_failure(const Server& server, uint64_t now_ms);
void note_success(const Server& server);
// A try was given up before it had an answer, because another server's came first. True: it has
// failed, for the server has had longer than `patience_ms` for tries that were given up, and has
// answered nothing to anybody.
bool note_given_up(const Server& server, uint64_t now_ms, uint64_t patience_ms);
// The trial ended for reasons that say nothing of the server: the next may come.
void note_nothing(const Server& server, uint64_t now_ms);

}  // namespace weir::upstream
