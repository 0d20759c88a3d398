// Where weir itself asks for something, as auth.forward and auth.jwt.jwks name it.
#pragma once

#include <string>
#include <string_view>

#include "filters/registry.h"
#include "http/message.h"
#include "proxy/snapshot.h"

namespace weir::filters::auth {

struct Place {
  proxy::Route& route;  // its upstream, and for how long it is waited for
  std::string& target;  // "/verify?a=b"
  std::string& host;    // empty: none is configured
};

// The keys upstream, path, host and timeout. Reports what is wrong.
void read_place(options::MapReader& map, const Reading& reading, const Place& out);

// Of a fetch's request, which `target` has to outlive.
void set_target(std::string_view target, http::RequestHead& out);

}  // namespace weir::filters::auth
