// Passive health (max_fails, fail_timeout): what requests themselves learn of a server. All state
// is atomic in EndpointState and shared by all workers; losing a race by one count is harmless.
#pragma once

#include <cstdint>

#include "upstream/cluster.h"

namespace weir::upstream {

enum class Standing : uint8_t {
  kUp,
  kTrialDue,  // was down for fail_timeout: one request may try it (claim_trial)
  kDown,      // failed too often, its name never resolved, or there is a Barrier
};

Standing standing(const Server& server, uint64_t now_ms);

// True for exactly one caller per fail_timeout: that one sends the trial request.
bool claim_trial(const Server& server, uint64_t now_ms);

void note_failure(const Server& server, uint64_t now_ms);
void note_success(const Server& server);
// The trial ended for reasons that say nothing of the server: the next may come.
void note_nothing(const Server& server, uint64_t now_ms);

}  // namespace weir::upstream
