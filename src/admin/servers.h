// /upstreams/NAME/servers/ADDR: GET tells the state of one server, POST {"state":"drain"} sets it.
#pragma once

#include <memory>
#include <string>

#include "admin/access.h"
#include "proxy/filter.h"
#include "proxy/status_source.h"

namespace weir::admin {

// All that begins so is about one server.
inline constexpr const char* kServersPath = "/upstreams/";

// 200 with the server's state; 404 when the configuration in force has no such upstream or server.
// NAME and ADDR are percent-decoded; ADDR is written as in the configuration.
proxy::LocalReply show_server(proxy::StatusSource& source, const http::RequestHead& request);

// Takes POST before the page's handler sees it: 200 with the new state and, as "warning", what the
// operator may not have meant; 400 for a body that says none; 404 as above; 413. What an operator
// sets lasts until it is set again, the server leaves the configuration, or the process ends.
// `source` outlives the factory.
std::shared_ptr<const proxy::FilterFactory> set_server_on_post(proxy::StatusSource& source,
                                                               const PageAccess& access,
                                                               std::string token);

}  // namespace weir::admin
