// allow, deny: who may use a route, by address.
//
//   deny: [10.6.6.0/24]           # these are refused
//   allow: [10.0.0.0/8, "::1"]    # and of the rest only these pass
//
// The address is the client's, as trusted_proxies lets weir believe it. Refused is answered 403.
// Each key is a filter of its own: deny is looked at first, and the nearest level that names a key
// wins whole.
#pragma once

#include "filters/registry.h"
#include "http/forwarded.h"

namespace weir::filters {

// A list of addresses and blocks, sealed; false after reporting that it cannot be one.
bool read_addresses(const options::Node& value, options::Problems& problems, http::AddressSet& out);

SettingsPtr access_standard();
SettingsPtr allow_read(const options::Node& value, const SettingsPtr& outer,
                       const Reading& reading);
SettingsPtr deny_read(const options::Node& value, const SettingsPtr& outer, const Reading& reading);

}  // namespace weir::filters
