// libuv's errors and version, for those above net/ who are told of one (Stream::Owner) or print the
// other. Any thread.
#pragma once

namespace weir::net {

const char* error_name(int uv_error);  // "ECONNRESET"; good for as long as the process
// No descriptor was left: a bound of this process or host, not the peer's fault.
bool is_out_of_descriptors(int uv_error);
const char* loop_version();  // of libuv

}  // namespace weir::net
