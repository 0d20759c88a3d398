// Three answers to "this cannot be": WEIR_CHECK dies always, WEIR_ASSERT dies where sanitizers and
// debug builds run, and what the network can cause is never checked but handled.
#pragma once

namespace weir {

[[noreturn]] void check_failed(const char* expression, const char* file, int line) noexcept;

}  // namespace weir

#define WEIR_CHECK(expression)                  \
  (__builtin_expect(!!(expression), 1) ? void() \
                                       : ::weir::check_failed(#expression, __FILE__, __LINE__))

#ifdef WEIR_DEBUG_CHECKS
#define WEIR_ASSERT(expression) WEIR_CHECK(expression)
#else
#define WEIR_ASSERT(expression) void(sizeof(!(expression)))
#endif
