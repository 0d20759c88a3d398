// What templates ask of an exchange.
#include "base/base64.h"
#include "base/limits.h"
#include "base/strings.h"
#include "proxy/exchange.h"
#include "proxy/proxy_worker.h"

namespace weir::proxy {

std::string_view Exchange::variable(Variable variable, Arena& arena) {
  switch (variable) {
    case Variable::kScheme: return scheme();
    case Variable::kHost: return request_.host;
    case Variable::kUri: return request_.target;
    case Variable::kPath: return request_.path;
    case Variable::kQuery: return request_.query;
    case Variable::kClientIp: return client_ip();
    case Variable::kRequestId: return request_id();
    case Variable::kUpstream:
      return last_server_ == nullptr ? std::string_view() : last_server_->upstream;
    case Variable::kStatus: {
      char digits[20];
      const auto status = static_cast<uint64_t>(response_status());
      return arena.copy({digits, format_u64(status, digits)});
    }
    case Variable::kMethod: return request_.method_text;
    case Variable::kCspNonce: return csp_nonce();
  }
  return {};
}

std::string_view Exchange::csp_nonce() {
  if (csp_nonce_.empty()) {
    constexpr size_t kBytes = 18;  // more than the 128 bits that CSP asks for, and no padding
    constexpr size_t kChars = base64_encoded(kBytes);
    uint8_t bytes[kBytes];
    worker_.random_bytes(bytes, kBytes);
    char* const text = static_cast<char*>(arena_.allocate(kChars, 1));
    encode_base64(bytes, text);
    csp_nonce_ = {text, kChars};
  }
  return csp_nonce_;
}

// The pattern is asked a second time, for its groups, by the first template that names one: most
// routes with a pattern never do.
std::string_view Exchange::capture(size_t index) {
  if (captures_ == nullptr) {
    if (route_ == nullptr || route_->regex == nullptr) return {};
    constexpr size_t kCount = limits::kCapturesMax + 1;
    captures_ = static_cast<std::string_view*>(
        arena_.allocate(kCount * sizeof(std::string_view), alignof(std::string_view)));
    std::uninitialized_fill_n(captures_, kCount, std::string_view());
    route_->regex->capture(path_, {captures_, kCount});
  }
  return captures_[index];
}

}  // namespace weir::proxy
