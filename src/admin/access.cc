#include "admin/access.h"

#include <algorithm>
#include <string>

#include "base/strings.h"
#include "http/forwarded.h"

namespace weir::admin {

namespace {

using http::Method;
using http::RequestHead;
using proxy::LocalReply;

// Takes the same time whatever `given` holds.
bool is_secret(std::string_view given, std::string_view secret) {
  volatile unsigned char difference = given.size() == secret.size() ? 0 : 1;
  for (size_t i = 0; i < secret.size(); ++i) {
    const char other = given.empty() ? '\0' : given[i % given.size()];
    difference = static_cast<unsigned char>(difference | (other ^ secret[i]));
  }
  return difference == 0;
}

bool bears(const RequestHead& request, std::string_view token) {
  constexpr std::string_view kScheme = "Bearer ";
  const http::Header* const header = request.headers.find("Authorization");
  if (header == nullptr) return false;
  const std::string_view value = header->value;
  if (!iequals(value.substr(0, kScheme.size()), kScheme)) return false;
  return is_secret(trim_ows(value.substr(kScheme.size())), token);
}

// A name that nobody can point elsewhere. Browsers keep "localhost" and all below it on this host
// (RFC 6761 6.3), and always send a Host.
bool is_fixed_host(std::string_view host) {
  http::Address address;
  return host.empty() || host == "localhost" || host.ends_with(".localhost") ||
         http::Address::parse(host, address);
}

bool is_own_origin(std::string_view origin, const RequestHead& request) {
  constexpr std::string_view kMark = "://";
  const size_t mark = origin.find(kMark);
  if (mark == std::string_view::npos) return false;  // "null"
  const std::string_view authority = origin.substr(mark + kMark.size());
  return !authority.empty() && iequals(authority, request.authority);
}

bool comes_from_elsewhere(const RequestHead& request) {
  return std::any_of(request.headers.begin(), request.headers.end(), [&](const auto& header) {
    if (iequals(header.name, "Origin")) return !is_own_origin(header.value, request);
    return iequals(header.name, "Sec-Fetch-Site") && header.value != "same-origin" &&
           header.value != "none";
  });
}

bool has_body(const RequestHead& request) {
  return request.framing == http::Framing::kChunked || request.content_length > 0;
}

LocalReply refusal(int status, const char* why) {
  LocalReply reply;
  reply.status = status;
  reply.headers = {{"Content-Type", "text/plain; charset=utf-8"}, {"Cache-Control", "no-store"}};
  reply.body = std::string(why) + "\n";
  reply.why = why;
  return reply;
}

LocalReply refusal(int status, const char* why, const char* header, const char* value) {
  LocalReply reply = refusal(status, why);
  reply.headers.emplace_back(header, value);
  return reply;
}

}  // namespace

std::optional<LocalReply> refusal_of(const RequestHead& request, const PageAccess& access,
                                     std::string_view token) {
  if (!access.open && !token.empty() && !bears(request, token)) {
    return refusal(401, "the token is missing or wrong", "WWW-Authenticate",
                   "Bearer realm=\"weir admin\"");
  }
  if (token.empty() && !access.any_name && !is_fixed_host(request.host)) {
    return refusal(403, "without a token, ask by address or as localhost, not by another name");
  }
  const bool reads = request.method == Method::kGet || request.method == Method::kHead;
  if (reads) return std::nullopt;
  if (!access.posts || request.method != Method::kPost) {
    return refusal(405, "this page has no such method", "Allow",
                   access.posts ? "GET, HEAD, POST" : "GET, HEAD");
  }
  if (comes_from_elsewhere(request)) return refusal(403, "sent by a page of another site");
  if (!access.takes_body && has_body(request)) return refusal(400, "a request to act has no body");
  return std::nullopt;
}

}  // namespace weir::admin
