// How many of a cluster's servers are fit for use, and what follows for all of them: panic, and
// whether degraded ones are spared. Thread: the Checker's.
#pragma once

#include "upstream/cluster.h"

namespace weir::upstream {

// Looks at the servers and sets the cluster's state. Panics are logged when they begin and end.
void take_census(const Cluster& cluster);

}  // namespace weir::upstream
