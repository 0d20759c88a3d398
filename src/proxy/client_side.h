// What an exchange asks of the protocol that its client speaks. Implemented by Connection
// (HTTP/1.x). Every method may be called at any time before exchange_over(); none calls the
// exchange back.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "base/strings.h"
#include "http/forwarded.h"
#include "http/h1_writer.h"
#include "http/message.h"
#include "http/proxy_protocol.h"
#include "net/tls.h"
#include "proxy/snapshot.h"

namespace weir::proxy {

class ClientSide {
 public:
  // Facts.
  virtual const http::Address& peer() const = 0;
  virtual http::ConnectionEnds ends() const = 0;  // not for every request: system calls
  virtual uint32_t listener_slot() const = 0;     // of ProxyWorker
  virtual std::string_view scheme() const = 0;
  virtual const net::Tls* tls() const = 0;  // null in the clear
  // Draining, the listener is gone, or the connection has served its number of requests.
  virtual bool must_close() const = 0;

  // The answer. Framing says whether a body follows and how it ends.
  virtual void send_informational(const http::ResponseHead& head) = 0;
  virtual void send_head(const http::ResponseHead& head, const http::ResponseFraming& framing,
                         std::string_view upgrade) = 0;
  // At most net::Stream::kWriteSpans pieces, which are valid during the call.
  virtual void send_body(std::span<const std::string_view> pieces) = 0;
  void send_body(std::string_view piece) { send_body(std::span(&piece, 1)); }
  // The same, of what can be asked for again: returns how much is done with. Less than all of it
  // is so only where the client takes no more at present.
  virtual size_t offer_body(std::span<const std::string_view> pieces) {
    send_body(pieces);
    return total_size(pieces);
  }
  // The socket takes bodies as they are, also straight from a file: send_file() says how much it
  // took, and offer_body() leaves what it did not take.
  virtual bool takes_files() const { return false; }
  virtual size_t send_file(int /*file*/, uint64_t /*offset_bytes*/, size_t /*bytes*/) { return 0; }
  virtual void send_end(const http::HeaderList* trailers) = 0;
  virtual bool congested() const = 0;  // pause the server until Exchange::on_client_drained()
  virtual size_t unsent() const = 0;
  virtual uint64_t bytes_out() const = 0;  // of this answer so far, head included

  // The request body's flow.
  virtual void pause_body() = 0;
  virtual void resume_body() = 0;
  // Body bytes that have yet to come; UINT64_MAX when nobody knows.
  virtual uint64_t body_left() const = 0;

  // After a 101: bytes go through as they are (Exchange::on_client_tunnel_bytes()).
  virtual void start_tunnel() = 0;
  virtual void send_tunnel(std::string_view bytes) = 0;
  virtual void shutdown_tunnel() = 0;

  // The exchange has ended and will not be called again. `cut`: the answer is incomplete, and the
  // client must be able to see that.
  virtual void exchange_over(bool cut) = 0;

 protected:
  ~ClientSide() = default;
};

}  // namespace weir::proxy
