// The realm of a challenge (RFC 9110 11.5): what is protected, as people are told it.
#pragma once

#include <string>

#include "base/options.h"

namespace weir::filters::auth {

// `realm="..."`, of the map's key.
std::string read_realm(options::MapReader& map);

}  // namespace weir::filters::auth
