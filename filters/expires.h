// expires: how long browsers and caches may keep an answer.
//
//   expires: 1y      # Expires: in a year, Cache-Control: max-age=31536000
//   expires: epoch   # Expires: in 1970,   Cache-Control: no-cache
//   expires: max     # Expires: in 2037,   Cache-Control: max-age=315360000
//
// As nginx does it: on answers with status 200, 201, 204, 206, 301, 302, 303, 304, 307 and 308,
// weir's own included, in place of both fields as the server wrote them. Other answers, errors
// above all, stay as they are. A `headers` edit of these fields wins.
#pragma once

#include "filters/registry.h"

namespace weir::filters {

SettingsPtr expires_standard();
SettingsPtr expires_read(const options::Node& value, const SettingsPtr& outer,
                         const Reading& reading);

}  // namespace weir::filters
