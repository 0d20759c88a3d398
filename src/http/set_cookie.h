// Cookies that weir itself gives to clients.
#pragma once

#include <cstdint>
#include <string_view>

#include "http/headers.h"

namespace weir::http {

// Adds a Set-Cookie field, in the list's arena: for the whole host, out of reach of scripts, sent
// along with links from other sites but not with their requests. `secure`: the client came by TLS,
// and sends it by TLS only.
void add_cookie(HeaderList& headers, std::string_view name, std::string_view value,
                uint64_t max_age_s, bool secure);

}  // namespace weir::http
