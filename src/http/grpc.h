// What a proxy has to know of gRPC over HTTP/2
// (https://github.com/grpc/grpc/blob/v1.51.1/doc/PROTOCOL-HTTP2.md): its calls, their deadlines,
// and how errors are told.
#pragma once

#include <cstdint>
#include <string_view>

#include "http/message.h"

namespace weir::http {

// A call: POST with "application/grpc", "application/grpc+proto" and the like. grpc-web is not: it
// takes errors as HTTP has them.
bool is_grpc_call(const RequestHead& request);

// The value of grpc-timeout, at most eight digits and a unit (H, M, S, m, u, n), in milliseconds
// rounded up, and a day at most. False: it is none.
bool parse_grpc_timeout(std::string_view text, uint64_t& out_ms);

// The grpc-status of an error that HTTP would have had this status. Where weir knows more than
// doc/http-grpc-status-mapping.md, which is for errors of unknown proxies, it says so: too late is
// DEADLINE_EXCEEDED, too much RESOURCE_EXHAUSTED.
int grpc_status_of(int http_status);

}  // namespace weir::http
