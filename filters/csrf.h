// csrf: requests that pages of other sites have a browser send are refused (cross-site request
// forgery), where they could change something.
//
//   csrf: {}
//   csrf: {trusted_origins: ["https://app.example.com", "https://*.example.com"]}
//
// Looked at are requests by methods that are not safe (RFC 9110 9.2.1) and WebSockets, to which a
// browser attaches the user's cookies whoever asks. The browser itself tells whose page it is: by
// Sec-Fetch-Site; where it has not that (older ones, http), by Origin, or else by Referer. A
// request with none of the three is no page's and passes: programs attach no cookies that a user
// has. The nearest level wins whole.
#pragma once

#include "filters/registry.h"

namespace weir::filters {

SettingsPtr csrf_standard();
SettingsPtr csrf_read(const options::Node& value, const SettingsPtr& outer, const Reading& reading);

}  // namespace weir::filters
