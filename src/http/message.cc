#include "http/message.h"

#include <array>

namespace weir::http {
namespace {

constexpr std::array<std::string_view, 10> kNames = {
    "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "OTHER"};

}  // namespace

bool is_idempotent(Method method) {
  switch (method) {
    case Method::kGet:
    case Method::kHead:
    case Method::kPut:
    case Method::kDelete:
    case Method::kOptions:
    case Method::kTrace: return true;
    case Method::kPost:
    case Method::kConnect:
    case Method::kPatch:
    case Method::kOther: return false;
  }
  return false;
}

std::string_view method_name(Method method) { return kNames[static_cast<size_t>(method)]; }

std::string_view via_of(Version version) {
  switch (version) {
    case Version::kHttp10: return "1.0 weir";
    case Version::kHttp11: return "1.1 weir";
    case Version::kHttp2: return "2.0 weir";
  }
  return {};
}

Method parse_method(std::string_view text) {
  for (size_t i = 0; i + 1 < kNames.size(); ++i) {
    if (text == kNames[i]) return static_cast<Method>(i);
  }
  return Method::kOther;
}

std::string method_list(MethodSet methods) {
  std::string list;
  for (size_t i = 0; i + 1 < kNames.size(); ++i) {
    if ((methods & bit(static_cast<Method>(i))) == 0) continue;
    if (!list.empty()) list += ", ";
    list += kNames[i];
  }
  return list;
}

void RequestHead::copy_from(const RequestHead& other) {
  method = other.method;
  version = other.version;
  framing = other.framing;
  keep_alive = other.keep_alive;
  expect_continue = other.expect_continue;
  content_length = other.content_length;
  method_text = other.method_text;
  target = other.target;
  path = other.path;
  query = other.query;
  authority = other.authority;
  host = other.host;
  upgrade = other.upgrade;
  headers.copy_from(other.headers);
}

}  // namespace weir::http
