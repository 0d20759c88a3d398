// The claims of a token as text.
#pragma once

#include <memory>

#include "filters/auth/json.h"
#include "proxy/subject.h"

namespace weir::filters::auth {

// Strings as they are, numbers and booleans as JSON has them. A list of such is their text between
// commas, if none of them has a comma; every other list or map is JSON, in ASCII. Members of maps
// are claims of their own as well: "realm_access.roles". What is null is not there, nor is what
// does not fit into limits::kClaimsBytes beside what stands before it: outer members come first.
std::shared_ptr<const proxy::Claims> claims_of(const Json& payload);

}  // namespace weir::filters::auth
