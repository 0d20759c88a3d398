// What the opening handshake of a WebSocket needs where one side of the proxy has it and the other
// has not (RFC 6455 4.2.2; over HTTP/2, RFC 8441, there are no keys).
#pragma once

#include <string_view>

#include "base/arena.h"

namespace weir::http {

// The Sec-WebSocket-Accept that answers `key`.
std::string_view websocket_accept(std::string_view key, Arena& arena);

}  // namespace weir::http
