#include "filters/auth/refusal.h"

#include <utility>

#include "proxy/metrics.h"

namespace weir::filters::auth {

proxy::LocalReply refuse(const char* method, const Refusal& refusal, std::string challenge) {
  proxy::rare_counters().add("weir_auth_refused_total",
                             {{"method", method}, {"reason", refusal.reason}});
  proxy::LocalReply reply;
  reply.status = refusal.status;
  reply.why = refusal.why;
  reply.headers.emplace_back("Cache-Control", "no-store");
  if (!challenge.empty()) reply.headers.emplace_back("WWW-Authenticate", std::move(challenge));
  if (refusal.status == 503) {
    reply.kind = ErrorKind::kOverload;
    reply.headers.emplace_back("Retry-After", "1");
  }
  return reply;
}

}  // namespace weir::filters::auth
