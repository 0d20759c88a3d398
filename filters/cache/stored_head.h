// The head of a stored answer as bytes: its fields as lines in a row, which are looked at when they
// are packed, once, and go to clients as they stand. Process-wide form: what leaves the process (a
// second tier) is text.
#pragma once

#include <cstdint>
#include <string_view>

#include "http/headers.h"

namespace weir::filters::cache {

// In the list's arena. Leaves out what could not be written.
std::string_view pack_head(const http::HeaderList& headers);
// Adds the fields to `out`: views of `packed`, which must outlive it.
void unpack_head(std::string_view packed, http::HeaderList& out);

}  // namespace weir::filters::cache
