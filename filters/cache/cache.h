// cache: answers are kept and given to other clients, by RFC 9111.
//
//   cache:
//     ttl: 0s                        # of answers that say nothing themselves
//     error_ttl: 0s                  # the same, of 4xx and 5xx
//     key: {query: sorted, ignore_query: [utm_*], headers: [], cookies: [], user: jwt:sub}
//     methods: [GET, HEAD]
//     stale_while_revalidate: 0s     # where the answer does not say
//     stale_if_error: 0s
//     lock: 5s                       # one fetch per key; the others wait at most this long
//     invalidate_on_write: true
//     tags: Cache-Tag
//     etag: false
//     status_header: X-Cache         # or off
//     obey_requests: true            # Cache-Control of requests
//     heuristics_with_query: false
//     store_set_cookie: false
//
// The nearest level that names the key wins whole. The memory for all of it is the top-level
// `cache` (store_options.h).
#pragma once

#include "filters/registry.h"

namespace weir::filters {

SettingsPtr cache_standard();
SettingsPtr cache_read(const options::Node& value, const SettingsPtr& outer,
                       const Reading& reading);

}  // namespace weir::filters
