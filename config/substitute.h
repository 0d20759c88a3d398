// ${NAME}, ${NAME:-default} and ${file:/path} in the scalars of a tree.
#pragma once

#include "base/options.h"
#include "config/environment.h"

namespace weir::config {

// Replaces in place, after parsing: what is substituted can never become structure. "$${" is a
// literal "${"; "$name" belongs to templates and stays. Keys are not substituted.
void substitute(options::Node& root, const Environment& environment, options::Problems& problems);

}  // namespace weir::config
