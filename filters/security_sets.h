// The sets of security_headers that have a name: which fields, with which values, and why.
#pragma once

#include <span>

#include "filters/security_headers.h"

namespace weir::filters {

struct SecurityPreset {
  const char* name;
  SecurityMode mode;
  const char* value;
};

// What a site can be given that nobody has looked at: nothing of it breaks a page that loads what
// it needs from elsewhere, runs inline scripts, or opens a window to sign its users in.
std::span<const SecurityPreset> standard_set();
// For sites that were written with it in mind: scripts and styles from the site itself only.
std::span<const SecurityPreset> strict_set();
// They tell which software runs here, in which version, and nobody needs them.
std::span<const char* const> telltale_fields();

}  // namespace weir::filters
