// auth: who a client has to prove to be.
//
//   auth: {basic: {users_file: users.htpasswd}}
//   auth: {jwt: {secret: "${JWT_SECRET}", claims_to_headers: {sub: X-User}}}
//
// One way per route; the nearest level that names the key wins whole. docs/auth.md tells how each
// is used.
#pragma once

#include "filters/registry.h"

namespace weir::filters {

SettingsPtr auth_standard();
SettingsPtr auth_read(const options::Node& value, const SettingsPtr& outer, const Reading& reading);

}  // namespace weir::filters
