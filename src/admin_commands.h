// The commands that speak to a running weir: `weir status`, `weir reload`, `weir drain`,
// `weir purge`, `weir reset`. Each prints what it was told and returns the exit status.
#pragma once

#include <string>

#include "admin/client.h"

namespace weir {

struct ServerOrder {
  std::string upstream;
  std::string server;  // as the configuration writes it
  const char* state = "drain";
};

struct PurgeRequest {  // one of the first four
  std::string url;
  std::string prefix;
  std::string tag;
  bool all = false;
  bool soft = false;
};

struct ResetRequest {
  std::string limit;
  std::string key;  // as `weir explain` shows it
};

int print_status(const admin::Target& target);      // 1 when nobody answers
int print_live(const admin::Target& target);        // the same; wants no token
int reload_and_print(const admin::Target& target);  // 1 when the old configuration stays, too
int set_server_and_print(const admin::Target& target, const ServerOrder& order);
int purge_and_print(const admin::Target& target, const PurgeRequest& request);  // 1: refused, too
int reset_and_print(const admin::Target& target, const ResetRequest& request);  // the same

}  // namespace weir
