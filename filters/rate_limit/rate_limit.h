// rate_limit: which of the file's rate_limits a level's requests ask.
//
//   rate_limit: [api, login]
//
// Each has to admit the request; where one refuses, none is charged and the strictest one answers.
// The nearest level that names the key wins whole: a route's list replaces its site's. A list with
// a limit by a claim (jwt:) is asked behind auth, whole, because none is charged where another
// refuses; all others before it.
#pragma once

#include "filters/registry.h"

namespace weir::filters {

SettingsPtr rate_limit_standard();
SettingsPtr rate_limit_read(const options::Node& value, const SettingsPtr& outer,
                            const Reading& reading);
// Of the same key; what is wrong with it the other one reports.
SettingsPtr claim_limit_read(const options::Node& value, const SettingsPtr& outer,
                             const Reading& reading);

}  // namespace weir::filters
