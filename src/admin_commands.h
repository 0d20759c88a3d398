// The commands that speak to a running weir: `weir status`, `weir reload`. Each prints what it was
// told and returns the exit status.
#pragma once

#include "admin/client.h"

namespace weir {

int print_status(const admin::Target& target);      // 1 when nobody answers
int reload_and_print(const admin::Target& target);  // 1 when the old configuration stays, too

}  // namespace weir
