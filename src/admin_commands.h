// The commands that speak to a running weir: `weir status`, `weir reload`, `weir drain`. Each
// prints what it was told and returns the exit status.
#pragma once

#include <string>

#include "admin/client.h"

namespace weir {

struct ServerOrder {
  std::string upstream;
  std::string server;  // as the configuration writes it
  const char* state = "drain";
};

int print_status(const admin::Target& target);      // 1 when nobody answers
int reload_and_print(const admin::Target& target);  // 1 when the old configuration stays, too
int set_server_and_print(const admin::Target& target, const ServerOrder& order);

}  // namespace weir
