// /maintenance: GET tells what can be closed and is, POST {"name":"shop","state":"on"} closes it.
#pragma once

#include <memory>
#include <string>

#include "admin/access.h"
#include "admin/json.h"
#include "proxy/filter.h"
#include "proxy/snapshot.h"
#include "proxy/status_source.h"

namespace weir::admin {

inline constexpr const char* kMaintenancePath = "/maintenance";

// [{"name", "on", "by": ["file", "admin"], "file", "retry_after_s"}], in file order.
Json maintenances_json(const proxy::Snapshot& snapshot);

proxy::LocalReply show_maintenances(proxy::StatusSource& source, const http::RequestHead&);

// Takes POST before the page's handler sees it: 200 with the new state and, as "warning", that a
// file keeps it closed; 400 for a body that says none; 404 when the configuration in force has no
// such name; 413. What an operator sets lasts until it is set again, the name leaves the
// configuration, or the process ends. `source` outlives the factory.
std::shared_ptr<const proxy::FilterFactory> set_maintenance_on_post(proxy::StatusSource& source,
                                                                    const PageAccess& access,
                                                                    std::string token);

}  // namespace weir::admin
