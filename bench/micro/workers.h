// Whether a request costs more where there are more workers.
#pragma once

#include <cstdint>
#include <string_view>

#include "rig.h"

namespace weir::micro {

// Prints a line each for 1, 2 and 4 workers in threads of their own, which share a configuration,
// its upstream's state and the log, as a daemon's do: nanoseconds of CPU time. They run at once,
// and the three take turns in each round. `only` as in run_picks().
void run_workers(const Scenario& scenario, uint64_t requests, int rounds, std::string_view only);

}  // namespace weir::micro
