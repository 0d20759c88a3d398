// What is known of an exchange when it ends: the source of the access log line and the metrics.
// Views point into the exchange's arena or the pinned snapshot; valid during on_end() only.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/error.h"
#include "http/message.h"

namespace weir::net {
struct TlsPeer;
}

namespace weir::upstream {
struct EndpointState;
}

namespace weir::proxy {

struct Summary {
  uint64_t started_wall_us = 0;  // since 1970
  uint64_t duration_us = 0;
  std::string_view client;  // address without port
  std::string_view method;  // as it came
  http::Method method_id = http::Method::kOther;
  http::Version version = http::Version::kHttp11;
  std::string_view host;                            // as it came; empty when there was none
  std::string_view uri;                             // request target as it came
  int status = 0;                                   // 499: the client left before the head
  uint64_t bytes_in = 0;                            // request body
  uint64_t bytes_out = 0;                           // everything sent to the client, head included
  uint32_t route_label = 0;                         // Labels::kUnmatched without a route
  std::string_view route;                           // its name; "unmatched"
  const upstream::EndpointState* server = nullptr;  // the last one tried
  uint32_t attempts = 0;
  std::string_view tries;    // each with its outcome and time; empty when there was one at most
  uint64_t upstream_us = 0;  // of the last attempt: from choosing it to its last byte; 0 = none
  std::string_view limit;    // the rate limit that refused or delayed it
  std::string_view cache;    // what it did: "HIT", ...; empty: it was not asked
  std::string_view request_id;
  std::string_view trace_id;  // of a valid W3C traceparent
  std::string_view user_agent;
  std::string_view referer;
  std::string_view tls;  // version; empty in the clear
  std::string_view tls_cipher;
  const net::TlsPeer* tls_peer = nullptr;  // of listeners that ask for certificates
  Error error;                             // kNone when all went well
  bool log = true;                         // the route wants an access log line
};

}  // namespace weir::proxy
