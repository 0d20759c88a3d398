// By what a file's content is told apart from what it was before, and from its siblings' (RFC 9110
// 8.8). Pure.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/arena.h"
#include "http/accept_encoding.h"
#include "proxy/files/root.h"

namespace weir::proxy::files {

// Size and time of the last change, which are the same on every machine that has a copy made with
// its time. Weak while the file is so young that it may change again within the same tick of the
// clock. In the arena.
std::string_view entity_tag(const OpenFile& file, http::Encoding encoding, int64_t now_us,
                            Arena& arena);

// Seconds since 1970 for Last-Modified; 0: there is none to be told. Times in the future must not
// be (8.8.2.1), and tools that set every file to the beginning of some era tell no time.
int64_t last_modified_s(const OpenFile& file, int64_t now_us);

}  // namespace weir::proxy::files
