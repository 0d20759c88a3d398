// How a request without a good proof is answered, counted and logged.
#pragma once

#include <string>

#include "proxy/filter.h"

namespace weir::filters::auth {

// `why`: a literal, for the log; `reason`: its word in weir_auth_refused_total. `challenge`: the
// value of WWW-Authenticate (RFC 9110 11.6.1); empty: none is sent.
struct Refusal {
  int status = 401;
  const char* reason = "";
  const char* why = "";
};
proxy::LocalReply refuse(const char* method, const Refusal& refusal, std::string challenge);

}  // namespace weir::filters::auth
