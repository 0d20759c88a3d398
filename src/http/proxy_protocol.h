// The PROXY protocol, versions 1 (text) and 2 (binary): who the client of a connection is, said by
// the balancer in front as the first bytes.
// https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt Pure functions over bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "http/forwarded.h"

namespace weir::http {

enum class ProxyVersion : uint8_t { kNone, kV1, kV2 };

// The two ends of a client's connection, as its client meant them.
struct ConnectionEnds {
  Address source;
  Address destination;
  uint16_t source_port = 0;
  uint16_t destination_port = 0;
};

struct ProxyHeader {
  enum class State : uint8_t { kPartial, kComplete, kBad };
  State state = State::kPartial;
  // kComplete: false where the header names no client (v1 UNKNOWN, v2 LOCAL, families other than
  // TCP over IP): then the ends of the socket hold.
  bool has_ends = false;
  ConnectionEnds ends;
  size_t size_bytes = 0;         // kComplete: what follows is the client's
  const char* reason = nullptr;  // kBad: for logs and metrics
};

// Judges the first bytes of a connection. `bytes` begins with the first one and grows from call to
// call while the answer is kPartial, which it is never for limits::kProxyHeaderBytes of them. TLVs
// are skipped unread.
ProxyHeader parse_proxy_header(std::string_view bytes);

// Writes the header that names `ends`, in `version` (not kNone); returns its length. Ends of two
// families are both written as IPv6 (mapped).
inline constexpr size_t kProxyHeaderOutBytes = 108;
size_t format_proxy_header(ProxyVersion version, const ConnectionEnds& ends, char* out);

}  // namespace weir::http
