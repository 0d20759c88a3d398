// The process's limit of open files, and how much of it clients may use. Any thread.
#pragma once

#include <cstdint>

namespace weir::net {

// Raises the soft limit to the hard one: select(2), for whose sake it is low, is not used here.
void raise_open_files_limit();
uint64_t open_files_limit();
// What listeners hand out to clients. The rest, a quarter and 1024 at most, is kept back, so that
// clients who wait for a server cannot keep it from being dialled, nor an operator from looking.
uint64_t descriptors_for_clients();

}  // namespace weir::net
