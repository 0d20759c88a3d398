// maintenance: a site or route that is closed for a while.
//
//   maintenance:
//     name: shop                              # for the admin listener
//     file: /run/weir/shop.maintenance        # closed while it is there
//     retry_after: 10m
//     allow: [10.0.0.0/8]                     # testers, who get in all the same
//
// Answered 503 with Retry-After and, where there is one, the error page of 503. The file is looked
// at once a second, beside the requests; POST /maintenance of the admin listener closes and opens,
// too. Whoever is in already stays: answers under way and tunnels go on. The nearest level that
// names the key wins whole.
#pragma once

#include <memory>

#include "filters/registry.h"
#include "proxy/maintenance.h"

namespace weir::filters {

SettingsPtr maintenance_standard();
SettingsPtr maintenance_read(const options::Node& value, const SettingsPtr& outer,
                             const Reading& reading);

// What such settings switch, for the snapshot's list; null for those of another filter.
std::shared_ptr<proxy::Maintenance> maintenance_of(const Settings* settings);

}  // namespace weir::filters
