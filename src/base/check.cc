#include "base/check.h"

#include <cstdio>
#include <cstdlib>

namespace weir {

void check_failed(const char* expression, const char* file, int line) noexcept {
  std::fprintf(stderr, "weir: invariant broken: %s (%s:%d)\n", expression, file, line);
  std::abort();
}

}  // namespace weir
