// /reload: GET tells what became of the last attempt, POST makes one and waits for it.
#pragma once

#include <memory>
#include <string>

#include "admin/access.h"
#include "admin/json.h"
#include "proxy/filter.h"
#include "proxy/status_source.h"

namespace weir::admin {

// The receipt as /reload and /status show it; null without one.
Json receipt_json(const proxy::ReloadReceipt* receipt);

// 200 with the last receipt, whatever it says; 503 before the first one.
proxy::LocalReply last_reload(proxy::StatusSource& source);

// Takes POST before the page's handler sees it: asks for a reload, parks the request, and answers
// with the receipt: 200, or 422 when the old configuration stays. 409 in a drain. 202 when the
// reload takes longer than kReloadWaitMs: GET tells more later. `source` outlives the factory.
std::shared_ptr<const proxy::FilterFactory> reload_on_post(proxy::StatusSource& source,
                                                           const PageAccess& access,
                                                           std::string token);

}  // namespace weir::admin
