#include "http/url.h"

#include <algorithm>

#include "base/strings.h"
#include "http/rules.h"

namespace weir::http {

std::optional<Url> parse_url(std::string_view text) {
  Url url;
  const size_t colon = text.find("://");
  if (colon == std::string_view::npos) return std::nullopt;
  if (iequals(text.substr(0, colon), "http")) url.scheme = "http";
  if (iequals(text.substr(0, colon), "https")) url.scheme = "https";
  if (url.scheme.empty()) return std::nullopt;
  text.remove_prefix(colon + 3);
  text = text.substr(0, text.find('#'));
  const size_t end = std::min(text.find_first_of("/?"), text.size());
  url.authority = text.substr(0, end);
  if (!is_valid_host(url.authority)) return std::nullopt;
  url.target = std::string(text.substr(end));
  if (!url.target.starts_with('/')) url.target.insert(0, 1, '/');
  url.port = url.scheme == "https" ? 443 : 80;
  const size_t port = url.authority.rfind(':');
  uint64_t number = 0;
  if (port != std::string_view::npos && parse_u64(url.authority.substr(port + 1), number)) {
    url.port = static_cast<uint16_t>(number);
  }
  return url;
}

}  // namespace weir::http
