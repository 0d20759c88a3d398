// request_id: every request has one name, in the logs, at the server and on the answer.
//
//   request_id: {header: X-Request-Id, trust: false}
//
// The id is made by weir (UUIDv4); with `trust: true` a client's own is kept when it has 1 to 128
// characters of [A-Za-z0-9._-]. The server gets exactly one such header, the client exactly one
// back, whatever either of them sent. On unless switched off.
#pragma once

#include <string_view>

#include "filters/registry.h"

namespace weir::filters {

SettingsPtr request_id_standard();
SettingsPtr request_id_read(const options::Node& value, const SettingsPtr& outer,
                            const Reading& reading);

// An id that may be taken over from a client: it goes into logs and headers as it is.
bool is_acceptable_request_id(std::string_view id);

}  // namespace weir::filters
