// headers: edits of request and response fields.
//
//   headers:
//     request:  {set: {X-Tenant: acme}, remove: [X-Debug]}
//     response: {set: {A: x}, add: {B: y}, set_if_absent: {C: z}, remove: [Server]}
//
// Levels merge name by name, without regard to case: an inner level replaces what an outer one does
// to the same name of the same direction, and keeps the rest. Values may use $variables. Response
// edits apply to every answer, weir's own included. `set: {Host: ...}` on a request changes the
// Host that the server sees, not X-Forwarded-Host; other fields of one hop or of the framing are
// refused. `set` and `remove` of a field that tells servers of the client (X-Forwarded-For and the
// like) take the place of what weir says there. What they do to a name of the request, they do to
// a client's look-alike of it: X_Tenant goes with X-Tenant.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "filters/registry.h"
#include "proxy/template.h"

namespace weir::filters {

enum class HeaderMode : uint8_t { kSet, kAdd, kSetIfAbsent, kRemove };

struct HeaderEdit {
  std::string name;
  HeaderMode mode = HeaderMode::kSet;
  proxy::Template value;  // empty for kRemove
};

// At most one edit per name and direction.
struct HeaderEdits {
  std::vector<HeaderEdit> request;
  std::vector<HeaderEdit> response;
};

// `inner` over `outer`.
HeaderEdits merge(const HeaderEdits& outer, const HeaderEdits& inner);
HeaderEdits read_header_edits(const options::Node& value, options::Problems& problems);

SettingsPtr headers_standard();
SettingsPtr headers_read(const options::Node& value, const SettingsPtr& outer,
                         const Reading& reading);

}  // namespace weir::filters
