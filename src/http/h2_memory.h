// Where nghttp2's memory comes from: free lists by size, one set per thread, so that a request
// costs no allocation from the heap once a worker is warm. Off where sanitizers run, so that they
// see real lifetimes.
#pragma once

#include <nghttp2/nghttp2.h>

namespace weir::http {

// Of this thread, for sessions that live and die on it. May be null: the standard allocator.
nghttp2_mem* h2_memory();

}  // namespace weir::http
