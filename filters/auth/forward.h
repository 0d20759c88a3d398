// auth.forward: another server says who may pass.
//
//   forward:
//     upstream: authz
//     path: /verify                         # what it is asked, by GET and without the body
//     host: auth.example.com                # its Host; else the client's own
//     request_headers: [Cookie]             # of the client's fields it sees these; else all
//     copy_headers: [X-User, X-Groups]      # of its answer: servers get these, from nobody else
//     response_headers: [Set-Cookie]        # of its answer: clients get these with theirs
//     timeout: 5s
//
// 2xx lets the request pass. 401, 403 and redirects are the client's answer, as they came. Anything
// else, and no answer, is 503: nobody passes unasked.
#pragma once

#include "filters/registry.h"

namespace weir::filters::auth {

SettingsPtr forward_read(const options::Node& value, const Reading& reading);

}  // namespace weir::filters::auth
