// Absolute http and https URLs, as operators write them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace weir::http {

struct Url {
  std::string_view scheme;     // "http" or "https"
  std::string_view authority;  // "host", "host:port", "[::1]:port"; valid
  uint16_t port = 0;           // the scheme's where the authority has none
  std::string target;          // from the path on, at least "/"
};

// Nothing where `text` is no such URL. A fragment is left out; views point into `text`.
std::optional<Url> parse_url(std::string_view text);

}  // namespace weir::http
