#include "proxy/client_connection.h"

#include <sys/socket.h>

#include <cstring>

namespace weir::proxy {

http::Address address_of(const net::SocketAddress& peer) {
  static constexpr uint8_t kMapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  static constexpr uint8_t kLoopback[4] = {127, 0, 0, 1};
  http::Address address;
  if (peer.any.sa_family == AF_INET6) {
    std::memcpy(address.bytes, &peer.v6.sin6_addr, sizeof(address.bytes));
    address.v4 = std::memcmp(address.bytes, kMapped, sizeof(kMapped)) == 0;
    return address;
  }
  address.v4 = true;
  std::memcpy(address.bytes, kMapped, sizeof(kMapped));
  const void* v4 = kLoopback;
  if (peer.any.sa_family == AF_INET) v4 = &peer.v4.sin_addr;
  std::memcpy(address.bytes + sizeof(kMapped), v4, sizeof(kLoopback));
  return address;
}

http::ConnectionEnds ClientConnection::ends() const {
  if (client_.ends != nullptr) return *client_.ends;
  const net::SocketAddress peer = client_.stream->peer_address();
  const net::SocketAddress local = client_.stream->local_address();
  return {address_of(peer), address_of(local), peer.port(), local.port()};
}

}  // namespace weir::proxy
