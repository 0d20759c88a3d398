#include "http/grpc.h"

#include <algorithm>

#include "base/strings.h"

namespace weir::http {

bool is_grpc_call(const RequestHead& request) {
  if (request.method != Method::kPost) return false;
  const Header* type = request.headers.find(HeaderId::kContentType);
  constexpr std::string_view kGrpc = "application/grpc";
  if (type == nullptr || !iequals(type->value.substr(0, kGrpc.size()), kGrpc)) return false;
  const std::string_view rest = type->value.substr(kGrpc.size());
  return rest.empty() || rest.front() == '+' || rest.front() == ';' || rest.front() == ' ';
}

bool parse_grpc_timeout(std::string_view text, uint64_t& out_ms) {
  constexpr size_t kDigitsMax = 8;
  constexpr uint64_t kDayMs = 86'400'000;
  uint64_t count = 0;
  if (text.size() < 2 || text.size() > kDigitsMax + 1) return false;
  if (!parse_u64(text.substr(0, text.size() - 1), count)) return false;
  const auto rounded_up = [count](uint64_t per_ms) { return (count + per_ms - 1) / per_ms; };
  switch (text.back()) {
    case 'H': out_ms = count * 3'600'000; break;
    case 'M': out_ms = count * 60'000; break;
    case 'S': out_ms = count * 1000; break;
    case 'm': out_ms = count; break;
    case 'u': out_ms = rounded_up(1000); break;
    case 'n': out_ms = rounded_up(1'000'000); break;
    default: return false;
  }
  out_ms = std::clamp<uint64_t>(out_ms, 1, kDayMs);
  return true;
}

int grpc_status_of(int http_status) {
  enum Status : uint8_t {
    kUnknown = 2,
    kDeadlineExceeded = 4,
    kPermissionDenied = 7,
    kResourceExhausted = 8,
    kUnimplemented = 12,
    kInternal = 13,
    kUnavailable = 14,
    kUnauthenticated = 16,
  };
  switch (http_status) {
    case 400:
    case 500: return kInternal;
    case 401: return kUnauthenticated;
    case 403: return kPermissionDenied;
    case 404:
    case 405:
    case 421: return kUnimplemented;  // nobody here serves that
    case 408:
    case 504: return kDeadlineExceeded;
    case 413:
    case 429:
    case 431: return kResourceExhausted;
    case 502:
    case 503: return kUnavailable;
    default: return kUnknown;
  }
}

}  // namespace weir::http
