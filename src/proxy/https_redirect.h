// redirect_https: what a listener that speaks in the clear answers, instead of serving a request.
#pragma once

#include <string_view>

#include "base/arena.h"
#include "http/message.h"
#include "proxy/snapshot.h"

namespace weir::proxy {

// Served in the clear all the same: ACME's HTTP-01 challenges (RFC 8555 8.3), and what weir itself
// responds at one exact path, as probes of a balancer ask for.
bool is_exempt_from_https(const Route* route, std::string_view path);

// 301 keeps only GET and HEAD what they are; other methods and their bodies need a 308.
int https_redirect_status(http::Method method);

// The same URI by https: the host without its port, path and query as they came. Empty when the
// request names no host.
std::string_view https_location(const Site& site, const http::RequestHead& request, Arena& arena);

}  // namespace weir::proxy
