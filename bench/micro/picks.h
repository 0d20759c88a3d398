// What the choice of a server costs where an upstream has very many.
#pragma once

#include <cstdint>
#include <string_view>

namespace weir::micro {

// Prints a line for each balancer whose name is `only`, or for all if that is empty. Each round
// picks and releases so often.
void run_picks(uint64_t picks, int rounds, std::string_view only);

}  // namespace weir::micro
