// What a write makes void (RFC 9111 4.4).
#pragma once

#include "filters/cache/store.h"
#include "http/message.h"
#include "proxy/exchange.h"

namespace weir::filters::cache {

// Where `head` says that an unsafe request was good: what is stored for its URI, with any query,
// for the collection that it stands in, and for where Location and Content-Location point on the
// same host. At once, but for what is over some hundred answers: these go soon after, by a helper.
void invalidate(Store& store, proxy::Exchange& exchange, const http::ResponseHead& head);

}  // namespace weir::filters::cache
