#include "net/address.h"

#include <arpa/inet.h>

#include <cstring>

#include "base/strings.h"

namespace weir::net {

uint16_t SocketAddress::port() const {
  if (any.sa_family == AF_INET) return ntohs(v4.sin_port);
  if (any.sa_family == AF_INET6) return ntohs(v6.sin6_port);
  return 0;
}

void SocketAddress::set_port(uint16_t port) {
  (any.sa_family == AF_INET6 ? v6.sin6_port : v4.sin_port) = htons(port);
}

std::string SocketAddress::host_text() const {
  char host[INET6_ADDRSTRLEN] = {};
  const void* bytes = &v4.sin_addr;
  if (any.sa_family == AF_INET6) bytes = &v6.sin6_addr;
  inet_ntop(any.sa_family, bytes, host, sizeof(host));
  return host;
}

std::string SocketAddress::text() const {
  switch (any.sa_family) {
    case AF_INET: return host_text() + ":" + std::to_string(port());
    case AF_INET6: return "[" + host_text() + "]:" + std::to_string(port());
    case AF_UNIX: return std::string("unix:") + unix_path.sun_path;
    default: return "?";
  }
}

bool operator==(const SocketAddress& a, const SocketAddress& b) {
  return a.length == b.length && std::memcmp(&a.any, &b.any, a.length) == 0;
}

Result<HostPort> split_host_port(std::string_view text) {
  using Out = Result<HostPort>;
  std::string_view host;
  std::string_view port;
  if (!text.empty() && text.front() == '[') {
    const size_t close = text.find(']');
    if (close == std::string_view::npos) return Out::failure("\"[\" without \"]\"");
    host = text.substr(1, close - 1);
    text.remove_prefix(close + 1);
    if (text.empty() || text.front() != ':') return Out::failure("a port is missing after \"]\"");
    port = text.substr(1);
  } else {
    const size_t colon = text.rfind(':');
    if (colon == std::string_view::npos) return Out::failure("a port is missing (host:port)");
    host = text.substr(0, colon);
    port = text.substr(colon + 1);
    if (host.find(':') != std::string_view::npos) {
      return Out::failure("an IPv6 address needs brackets ([::1]:80)");
    }
  }
  if (host.empty()) return Out::failure("a host is missing before the port");
  uint64_t number = 0;
  if (!parse_u64(port, number) || number > 65535) {
    return Out::failure("the port must be a number from 0 to 65535");
  }
  return HostPort{std::string(host), static_cast<uint16_t>(number)};
}

namespace {

Result<SocketAddress> unix_address(std::string_view path) {
  SocketAddress address;
  if (!path.starts_with('/')) {
    return Result<SocketAddress>::failure("the path of a unix socket begins with /");
  }
  if (path.size() >= sizeof(address.unix_path.sun_path)) {
    return Result<SocketAddress>::failure("the path of a unix socket has at most 107 characters");
  }
  address.unix_path.sun_family = AF_UNIX;
  std::memcpy(address.unix_path.sun_path, path.data(), path.size());
  address.length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size() + 1);
  return address;
}

bool numeric_address(const HostPort& from, SocketAddress& out) {
  in_addr v4;
  in6_addr v6;
  bool is_v4 = inet_pton(AF_INET, from.host.c_str(), &v4) == 1;
  if (!is_v4) {
    if (inet_pton(AF_INET6, from.host.c_str(), &v6) != 1) return false;
    is_v4 = IN6_IS_ADDR_V4MAPPED(&v6);  // of which an IPv6 socket of ours knows nothing
    if (is_v4) std::memcpy(&v4, v6.s6_addr + sizeof(v6) - sizeof(v4), sizeof(v4));
  }
  if (is_v4) {
    out.v4.sin_family = AF_INET;
    out.v4.sin_port = htons(from.port);
    out.v4.sin_addr = v4;
    out.length = sizeof(out.v4);
  } else {
    out.v6.sin6_family = AF_INET6;
    out.v6.sin6_port = htons(from.port);
    out.v6.sin6_addr = v6;
    out.length = sizeof(out.v6);
  }
  return true;
}

constexpr std::string_view kUnixPrefix = "unix:";

}  // namespace

Result<SocketAddress> parse_address(std::string_view text) {
  if (text.starts_with(kUnixPrefix)) return unix_address(text.substr(kUnixPrefix.size()));
  Result<HostPort> parts = split_host_port(text);
  if (!parts.ok()) return Result<SocketAddress>::failure(parts.error());
  SocketAddress address;
  if (!numeric_address(parts.value(), address)) {
    return Result<SocketAddress>::failure("\"" + parts.value().host + "\" is not an IP address");
  }
  return address;
}

}  // namespace weir::net
