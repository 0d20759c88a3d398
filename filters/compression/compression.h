// compression: answers in fewer bytes, for clients that take them so.
//
//   compression:
//     encodings: [zstd, br, gzip]  # in the order of preference, where the client has none
//     level: auto                  # or 1 to 9, as each encoding counts them; what is kept in
//                                  # the cache has its own (codings.h)
//     min_size: 1KiB               # where the length is known; otherwise answers are compressed
//     types: [text/*, application/json]
//     max_concurrent: 64           # per worker; what is more goes out as it is
//     skip_set_cookie: false       # true: answers that set cookies go out as they are
//     padding: false               # true: random bytes that decoders skip, up to 255
//
// What is never compressed: what the server has encoded already, parts (206), answers without a
// body, "Cache-Control: no-transform" on either side, requests with X-No-Compression, clients of
// HTTP/1.0. A HEAD is told what a GET would be told.
//
// BREACH: whoever can make a victim send requests with a guess in them, and watch how long the
// encrypted answers are, learns a secret of these answers letter by letter, because a right guess
// makes them shorter. `padding` blurs the lengths: with 255 random bytes a difference of one byte
// is seen only in the mean of some thousand answers instead of one. That makes the attack slow and
// loud (limit the rate), not impossible. Answers that hold a secret and repeat what a request said
// belong on a route with `compression: off`; `skip_set_cookie` is for those with session cookies.
#pragma once

#include "filters/registry.h"

namespace weir::filters {

SettingsPtr compression_standard();
SettingsPtr compression_read(const options::Node& value, const SettingsPtr& outer,
                             const Reading& reading);

}  // namespace weir::filters
