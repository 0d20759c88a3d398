// Socket addresses as weir writes them: "1.2.3.4:80", "[::1]:80", "host:80", "unix:/path". Values.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"

namespace weir::net {

struct SocketAddress {
  union {
    sockaddr any;
    sockaddr_in v4;
    sockaddr_in6 v6;
    sockaddr_un unix_path;
  };
  socklen_t length = 0;  // 0 = no address

  SocketAddress() : unix_path() {}
  bool is_unix() const { return any.sa_family == AF_UNIX; }
  uint16_t port() const;
  void set_port(uint16_t port);   // of an IP address
  std::string host_text() const;  // "1.2.3.4", "::1"
  std::string text() const;       // "1.2.3.4:80", "[::1]:80", "unix:/path"
  friend bool operator==(const SocketAddress& a, const SocketAddress& b);
};

// A numeric address or a unix path; names are refused ("host names cannot be listened on").
Result<SocketAddress> parse_address(std::string_view text);

// The two halves of "host:port" / "[v6]:port"; fails with what is wrong with the text.
struct HostPort {
  std::string host;
  uint16_t port = 0;
};
Result<HostPort> split_host_port(std::string_view text);

}  // namespace weir::net
