#include "filters/auth/place.h"

#include <algorithm>

#include "base/limits.h"
#include "http/rules.h"

namespace weir::filters::auth {

void read_place(options::MapReader& map, const Reading& reading, const Place& out) {
  out.route.action = proxy::Action::kUpstream;
  out.route.timeout_ms = limits::kAuthAnswerMs;
  if (const options::Node* upstream = map.require("upstream", "as in upstream: authz")) {
    out.route.cluster = reading.upstream(*upstream);
  }
  if (const options::Node* path = map.require("path", "as in path: /verify");
      path != nullptr && options::read_string(*path, reading.problems, out.target)) {
    if (!out.target.starts_with('/') || !http::is_request_target(out.target)) {
      reading.problems.invalid(*path, "a path",
                               "it starts with / and is percent-encoded as in a request");
    }
  }
  if (map.string("host", out.host) && !http::is_valid_host(out.host)) {
    reading.problems.invalid(*map.find("host"), "a host");
  }
  constexpr uint64_t kDayMs = 86'400'000;
  map.duration_ms("timeout", {1, kDayMs}, out.route.timeout_ms);
}

void set_target(std::string_view target, http::RequestHead& out) {
  const size_t mark = std::min(target.find('?'), target.size());
  out.target = target;
  out.path = target.substr(0, mark);
  out.query = target.substr(std::min(mark + 1, target.size()));
}

}  // namespace weir::filters::auth
