// A client that has connected and of which nobody knows yet what it speaks. Walks through the
// phases that its listener asks for, then hands the client to the connection that speaks that
// protocol, and is gone.
#pragma once

#include <string>
#include <string_view>

#include "net/timer_wheel.h"
#include "proxy/client_connection.h"

namespace weir::proxy {

class Connection;
class H2Connection;
struct ListenerConfig;

// Owner, thread and end as every ClientConnection. Only for listeners that need one: where nothing
// but HTTP/1.1 is spoken in the clear, the first object is a Connection.
class Arrival final : public ClientConnection {
 public:
  static bool needed(const ListenerConfig& listener);

  Arrival(ProxyWorker& worker, Client&& client);
  ~Arrival() override = default;

  void drain() override;
  void end(bool reset = false) override;

 private:
  // In this order; what a listener does not ask for is skipped.
  enum class Phase : uint8_t {
    kProxyHeader,  // who the client is, by the balancer in front
    kProtocol,     // TLS, HTTP/1.1 or HTTP/2, by the first bytes
    kHandshake,    // TLS: until on_connected(), where ALPN tells which HTTP
    kRefused,      // told so in the clear; what it still sends is thrown away
    kOver,
  };

  void on_connected() override;
  void on_bytes(std::string_view bytes) override;
  void on_eof() override;
  void on_broken(int uv_error) override;
  void on_drained() override {}

  void on_timeout();
  void take_proxy_header(std::string_view bytes);
  void refuse_proxy_header(const char* reason);
  void await_protocol();
  bool owes_hello() const;
  void begin_tls(std::string_view bytes);
  void refuse_plain_http();
  void fail_tls(const char* why);
  void read_protocol(std::string_view bytes);
  void become_h1(std::string_view early) { become<Connection>(early); }
  void become_h2(std::string_view early) { become<H2Connection>(early); }
  template <typename Speaker>
  void become(std::string_view early);

  net::Timer timer_;  // timeouts.header or timeouts.handshake, for the phase as a whole
  std::string held_;  // of a PROXY header, then of HTTP/2's preface
  Phase phase_;
  size_t refused_bytes_ = 0;
};

}  // namespace weir::proxy
