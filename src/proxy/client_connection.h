// What every connection of a client is to its worker, whatever it speaks: an Arrival (nobody knows
// yet), a Connection (HTTP/1.x).
#pragma once

#include <cstdint>
#include <memory>
#include <utility>

#include "base/intrusive_list.h"
#include "http/forwarded.h"
#include "http/proxy_protocol.h"
#include "net/stream.h"
#include "proxy/seats.h"

namespace weir::proxy {

class ProxyWorker;

// One accepted client: what goes from the connection that understood its first bytes to the one
// that speaks with it from then on.
struct Client {
  std::unique_ptr<net::Stream> stream;
  http::Address peer;
  uint32_t slot = 0;      // of ProxyWorker: its listener
  bool outdated = false;  // came in under rules for TLS that are no more: it is to leave
  Seat seat;
  std::unique_ptr<http::ConnectionEnds> ends;  // as a PROXY header told; null: the socket's
};

// A unix peer has no address: it is on this host.
http::Address address_of(const net::SocketAddress& peer);

// Owner: its ProxyWorker's list, from ProxyWorker::adopt() to forget(), which end() calls. Thread:
// the worker's.
class ClientConnection : public net::Mortal, public net::Stream::Owner {
 public:
  // After the answers under way, or at once when there are none.
  virtual void drain() = 0;
  // From anywhere, any number of times. `reset`: with an RST.
  virtual void end(bool reset = false) = 0;
  // A system call or two where no PROXY header told them.
  http::ConnectionEnds ends() const;

 protected:
  ClientConnection(ProxyWorker& worker, Client&& client)
      : worker_(worker), client_(std::move(client)) {
    client_.stream->hand_to(*this);
  }

  ProxyWorker& worker_;
  Client client_;

 private:
  friend class ProxyWorker;
  ListHook live_;
};

}  // namespace weir::proxy
