// /cache: GET tells what the cache holds; POST /cache/purge makes some of it void.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "admin/access.h"
#include "admin/json.h"
#include "base/error.h"
#include "proxy/filter.h"
#include "proxy/purge_order.h"
#include "proxy/status_source.h"

namespace weir::admin {

inline constexpr const char* kCachePath = "/cache";
inline constexpr const char* kPurgePath = "/cache/purge";

// 200: numbers, and the answers that were asked for most and that are the largest, `?top=N` of each
// (10; 1000 at most); 400 for another N; 404 where no route keeps answers.
proxy::LocalReply show_cache(proxy::StatusSource& source, const http::RequestHead& request);

// 405: what it does it does by POST.
proxy::LocalReply show_purge(proxy::StatusSource& source, const http::RequestHead& request);

// Takes POST before the page's handler sees it: 200 {"purged": N} with how many answers were hit in
// this instance; 400 with what is wrong with the body; 404 as above; 413. `source` outlives the
// factory.
std::shared_ptr<const proxy::FilterFactory> purge_on_post(proxy::StatusSource& source,
                                                          const PageAccess& access,
                                                          std::string token);

// {"url": "https://..."}, {"prefix": ...}, {"tag": ...} or {"all": true}, each with "soft": true or
// false, or without. Apart for tests.
Result<proxy::PurgeOrder> read_purge(std::string_view body);

}  // namespace weir::admin
