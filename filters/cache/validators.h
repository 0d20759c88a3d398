// Conditions of requests to the server: the client's own go, the cache's come (RFC 9111 4.3.1).
#pragma once

#include "filters/cache/reader.h"
#include "http/headers.h"

namespace weir::filters::cache {

// What only makes sense for what the client has, or wants a part of.
void drop_conditions(http::HeaderList& request);
// If-None-Match and If-Modified-Since of what is stored, in the list's arena. False: it has neither
// that the server would know.
bool add_validators(const Reader& stored, http::HeaderList& request);

}  // namespace weir::filters::cache
