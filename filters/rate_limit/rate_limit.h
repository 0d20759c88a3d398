// rate_limit: which of the file's rate_limits a level's requests ask.
//
//   rate_limit: [api, login]
//
// Each has to admit the request; where one refuses, none is charged and the strictest one answers.
// The nearest level that names the key wins whole: a route's list replaces its site's.
#pragma once

#include "filters/registry.h"

namespace weir::filters {

SettingsPtr rate_limit_standard();
SettingsPtr rate_limit_read(const options::Node& value, const SettingsPtr& outer,
                            const Reading& reading);

}  // namespace weir::filters
