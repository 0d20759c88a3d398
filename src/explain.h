// `weir explain`: which listener, site, route, filters and upstream would take a request, and why.
// The request is parsed, matched and rewritten by the code that the daemon runs; only the reasons
// for what did not match are worked out here. Sends nothing, changes nothing.
#pragma once

#include <string>
#include <vector>

#include "proxy/snapshot.h"

namespace weir {

struct ExplainRequest {
  std::string method = "GET";
  std::vector<std::string> headers;  // "Name: value"; a Host of its own wins over the URL's
  std::string url;                   // http://host[:port]/path?query; the port picks the listener
};

struct Explanation {
  bool taken = false;  // a route would take it
  std::string text;    // lines
};

// Conditions' values are not shown: they may be secrets.
Explanation explain(const proxy::Snapshot& snapshot, const ExplainRequest& request);

}  // namespace weir
