#include "proxy/https_redirect.h"

#include "base/strings.h"

namespace weir::proxy {

bool is_exempt_from_https(const Route* route, std::string_view path) {
  if (path.starts_with("/.well-known/acme-challenge/")) return true;
  return route != nullptr && route->action == Action::kRespond && route->match == PathMatch::kExact;
}

int https_redirect_status(http::Method method) {
  return method == http::Method::kGet || method == http::Method::kHead ? 301 : 308;
}

std::string_view https_location(const Site& site, const http::RequestHead& request, Arena& arena) {
  if (request.host.empty()) return {};
  constexpr uint16_t kStandardPort = 443;
  char digits[20];
  std::string_view port;
  if (site.https_port != kStandardPort) port = {digits, format_u64(site.https_port, digits)};
  return arena.concat({"https://", request.host, port.empty() ? "" : ":", port, request.target});
}

}  // namespace weir::proxy
