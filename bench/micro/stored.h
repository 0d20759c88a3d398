// What a look-up in the cache's store costs, and an insert that has to evict.
#pragma once

#include <cstdint>
#include <string_view>

namespace weir::micro {

// Prints a line for each row whose name is `only`, or for all if that is empty. Each round looks up
// so often, and inserts a tenth of that.
void run_stored(uint64_t look_ups, int rounds, std::string_view only);

}  // namespace weir::micro
