// The head of a stored answer as bytes: its fields in a row, ready to be pointed into. Process-wide
// form: what leaves the process (a second tier) is text.
#pragma once

#include <cstdint>
#include <string_view>

#include "http/headers.h"

namespace weir::filters::cache {

// In the list's arena.
std::string_view pack_head(const http::HeaderList& headers);
// Adds the fields to `out`: views of `packed`, which must outlive it.
void unpack_head(std::string_view packed, http::HeaderList& out);

}  // namespace weir::filters::cache
