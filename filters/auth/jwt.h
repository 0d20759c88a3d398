// auth.jwt: a signed token (RFC 7519, RFC 6750).
//
//   jwt:
//     secret: "${JWT_SECRET}"             # HS256, HS384, HS512
//     jwks: keys.json                     # a file (RFC 7517): RS*, PS*, ES*, EdDSA; or fetched:
//                                         # {upstream: id, path: /keys, refresh: 10m}
//     algorithms: [HS256, RS256]
//     issuer: https://id.example.com      # or a list, as audience
//     audience: api
//     leeway: 30s
//     required: [exp]
//     from: [bearer, cookie:session]
//     claims: {role: [admin, editor]}     # who may: 403 for others
//     claims_to_headers: {sub: X-User}    # what clients send in these is removed
//     must_match: {tenant: header:X-Tenant-ID}
//     optional: true                      # a request without a token passes as nobody's
//     strip: true                         # servers do not see the token
//
// A token that has been verified is known until it ends, an hour at most, by all workers.
#pragma once

#include "filters/registry.h"

namespace weir::filters::auth {

SettingsPtr jwt_read(const options::Node& value, const Reading& reading);

}  // namespace weir::filters::auth
