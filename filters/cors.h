// cors: which other sites' pages may read answers in a browser (the CORS protocol of the Fetch
// standard, https://fetch.spec.whatwg.org/#http-cors-protocol).
//
//   cors:
//     origins: ["https://app.example.com", "https://*.example.com"]   # or ["*"]
//     methods: [GET, POST, DELETE]
//     headers: [Content-Type, Authorization]      # that pages may send
//     expose_headers: [X-Total]                   # that pages may read
//     credentials: true
//     max_age: 10m
//     private_network: false
//
// Preflights are answered here, 204 or, to an origin that is not allowed, 403; servers never see
// them, and routes are chosen for them as for the request that they ask for. All other requests go
// on whatever their origin: a browser keeps the answer from a page that may not read it. What
// servers say of CORS themselves is replaced, on every answer, weir's own included. Vary names
// Origin wherever another origin would have got another answer. The nearest level wins whole.
#pragma once

#include "filters/registry.h"

namespace weir::filters {

SettingsPtr cors_standard();
SettingsPtr cors_read(const options::Node& value, const SettingsPtr& outer, const Reading& reading);

}  // namespace weir::filters
