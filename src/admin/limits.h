// /rate_limits/reset: POST has one key of a rate limit begin anew.
#pragma once

#include <memory>
#include <string>

#include "admin/access.h"
#include "proxy/filter.h"
#include "proxy/status_source.h"

namespace weir::admin {

inline constexpr const char* kResetPath = "/rate_limits/reset";

// 405: what it does it does by POST.
proxy::LocalReply show_reset(proxy::StatusSource& source, const http::RequestHead& request);

// Takes POST {"limit": "login", "key": "client_ip=192.0.2.1"} before the page's handler sees it:
// 200 with the same two and "reset"; 400 with what is wrong with the body or the key; 404 where the
// configuration in force has no such limit; 413; 503 where the limit is shared and Redis was not
// reached. `source` outlives the factory.
std::shared_ptr<const proxy::FilterFactory> reset_on_post(proxy::StatusSource& source,
                                                          const PageAccess& access,
                                                          std::string token);

}  // namespace weir::admin
