// What an operator wants of a server, whatever its health: kept in EndpointState::barriers, so it
// lasts as long as configurations name the server, and is seen by all workers at their next pick.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "upstream/cluster.h"

namespace weir::upstream {

enum class Duty : uint8_t {
  kUp,     // takes requests, as far as its health allows
  kDrain,  // nobody new; who is bound to it stays
  kDown,   // nobody at all
};

const char* duty_word(Duty duty);  // "up", "drain", "down"
bool parse_duty(std::string_view word, Duty& out);

Duty duty_of(const EndpointState& state);
// Returns the one before. Requests that the server has already are left to finish. REQUIRES: one
// thread at a time.
Duty set_duty(EndpointState& state, Duty duty);

// False: every server of the cluster is refused new requests by a Barrier, or has no address.
bool takes_requests(const Cluster& cluster);

using Clusters = std::vector<std::shared_ptr<const Cluster>>;

// A new configuration is about to be in force. A server that `before` does not name begins afresh,
// also when its state is still about because somebody uses the server as it was named once; and
// with slow_start where others of its cluster stay.
void welcome_newcomers(const Clusters& before, const Clusters& now, uint64_t now_ms);

}  // namespace weir::upstream
