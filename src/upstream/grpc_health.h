// The health service of gRPC, grpc.health.v1.Health/Check, as bytes
// (https://github.com/grpc/grpc/blob/v1.51.1/doc/health-checking.md). Pure.
#pragma once

#include <string>
#include <string_view>

#include "http/headers.h"

namespace weir::upstream {

inline constexpr std::string_view kGrpcHealthPath = "/grpc.health.v1.Health/Check";

// The body of a call: one message that names `service`; empty: the server as a whole. REQUIRES:
// shorter than 128 bytes.
std::string grpc_health_request(std::string_view service);

// From the trailers and the body of the answer: empty when it says SERVING, else why not.
std::string judge_grpc_health(const http::HeaderList& trailers, std::string_view body);

}  // namespace weir::upstream
