#include "filters/registry.h"

#include <array>

#include "filters/access.h"
#include "filters/auth/auth.h"
#include "filters/cache/cache.h"
#include "filters/compression/compression.h"
#include "filters/cors.h"
#include "filters/csrf.h"
#include "filters/expires.h"
#include "filters/headers.h"
#include "filters/maintenance.h"
#include "filters/rate_limit/rate_limit.h"
#include "filters/request_id.h"
#include "filters/security_headers.h"

namespace weir::filters {

namespace {

constexpr std::array kRegistry = {
    // First: whatever a later filter logs, refuses or puts into a header may name the request. Last
    // on the response: there is one id on it, whatever the server or a header edit wrote.
    Kind{"request_id", options::Kind::kMap, &request_id_standard, &request_id_read},
    // Before all that edits answers, so that it sees them as clients will: with the Content-Type,
    // the Vary and the no-transform that a header edit sets. On the request it has to see what the
    // client takes before anybody changes that, and tells all others the tags that servers know.
    Kind{"compression", options::Kind::kMap, &compression_standard, &compression_read},
    // Its edits of answers are for refusals, too, and so it stands before who refuses; its edits of
    // requests come last in any case.
    Kind{"headers", options::Kind::kMap, &headers_standard, &headers_read},
    // Behind the headers, so that an edit of one of its fields has the last word; before all that
    // refuses, because a refusal is an answer, too.
    Kind{"security_headers", options::Kind::kMap, &security_headers_standard,
         &security_headers_read, true},
    // Before all that refuses: pages read why only from an answer that CORS lets them have, and
    // browsers send no credentials with a preflight that auth could look at.
    Kind{"cors", options::Kind::kMap, &cors_standard, &cors_read},
    // Before whatever costs more than looking up an address.
    Kind{"deny", options::Kind::kList, &access_standard, &deny_read},
    Kind{"allow", options::Kind::kList, &access_standard, &allow_read},
    // Behind cors, so that a page that may read answers reads this one; before all that counts or
    // costs: what other sites have a user's browser send is not that user's use.
    Kind{"csrf", options::Kind::kMap, &csrf_standard, &csrf_read},
    // Before whatever asks others: what is closed may be closed because they are.
    Kind{"maintenance", options::Kind::kMap, &maintenance_standard, &maintenance_read},
    // Behind the lists of addresses: whom they refuse uses nothing up. Before auth: a limit spares
    // it its work, and with `count: failures` it has to see its refusals on the way back.
    Kind{"rate_limit", options::Kind::kList, &rate_limit_standard, &rate_limit_read},
    // Before whatever keeps, counts or answers by user.
    Kind{"auth", options::Kind::kMap, &auth_standard, &auth_read},
    // The other lists of limits: those that count by user.
    Kind{"rate_limit", options::Kind::kList, &rate_limit_standard, &claim_limit_read, false, true},
    // Before the headers on the answer: an edit of the same fields has the last word.
    Kind{"expires", options::Kind::kScalar, &expires_standard, &expires_read},
    // Behind all: who is not let in gets nothing that is kept, and what is kept is what the server
    // said, edited anew for each client.
    Kind{"cache", options::Kind::kMap, &cache_standard, &cache_read},
};

}  // namespace

std::span<const Kind> registry() { return kRegistry; }

}  // namespace weir::filters
