// What an exchange asks of the protocol that its server speaks, and what it hears back. Implemented
// by H1Conn and H2Call. The mirror of proxy/client_side.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/error.h"
#include "http/h1_writer.h"
#include "http/message.h"

namespace weir::upstream {

class ServerSide;

// Who a connection, or a stream of one, is lent to (an exchange). No call comes after release() or
// abandon(), nor from inside any method of ServerSide.
class ConnUser {
 public:
  // A new connection has its socket: writes what goes before everything else, TLS included.
  virtual void write_preface(Buffer& out) = 0;
  // Connected: send, by way of `side`, which replaces the one that lease() gave.
  virtual void on_conn_ready(ServerSide& side) = 0;
  // The server's side has ended by itself; it has detached from this user already.
  virtual void on_conn_failed(const Error& error) = 0;
  virtual void on_conn_drained() = 0;  // takes body again
  // A fresh head for the next (interim or final) answer, in memory that lives as long as the user.
  virtual http::ResponseHead& next_response_head() = 0;
  virtual void on_informational() = 0;  // the head just filled is 1xx, but not 101
  virtual void on_upgraded() = 0;       // 101: what follows are tunnel bytes
  virtual void on_response_head() = 0;
  virtual void on_response_body(std::string_view piece) = 0;
  virtual void on_response_end() = 0;  // release() may keep the connection now
  virtual http::HeaderList& response_trailers() = 0;
  virtual void on_tunnel_bytes(std::string_view bytes) = 0;
  virtual void on_tunnel_eof() = 0;

 protected:
  ~ConnUser() = default;
};

// A request's head as a server gets it: `head` without its hop-by-hop fields and those of
// `skip_mask`, with `extras` behind. head.framing says whether a body follows; head.upgrade, if not
// empty, asks for a tunnel. What it points to need only live during the call.
struct OutgoingHead {
  const http::RequestHead& head;
  uint64_t skip_mask;
  const http::ExtraField* extras;
  size_t extras_count;
};

// Lent to one user at a time, for one request. Thread: the worker's. Owned by its pool: after
// release() and abandon() it is the user's no more.
class ServerSide {
 public:
  virtual bool ready() const = 0;   // false: on_conn_ready() or on_conn_failed() follows
  virtual bool reused() const = 0;  // the connection has served before
  // The server may give a request back that it has not looked at (HTTP/2: GOAWAY, REFUSED_STREAM;
  // HTTP/1.1: as long as nothing of it has left): its body, held for a while, may go to another one
  // whatever its method.
  virtual bool may_come_back() const = 0;
  virtual bool takes_upgrade() const = 0;  // REQUIRES: ready()

  // The request: a head, pieces of its body as they come, and its end, once. What is small leaves
  // with the iteration's flush. REQUIRES: ready().
  virtual void send_head(const OutgoingHead& request) = 0;
  virtual void send_body(std::string_view piece) = 0;
  // From now on the server's silence counts against the read timeout.
  virtual void send_end(const http::HeaderList* trailers) = 0;
  virtual bool congested() const = 0;  // pause the client until on_conn_drained()

  // Somebody else takes the rest of the answer.
  virtual void hand_to(ConnUser& user) = 0;

  // The answer's flow.
  virtual void pause() = 0;
  virtual void resume() = 0;
  virtual void read_less() = 0;  // who takes the answer is slow: read it in smaller pieces

  // After on_upgraded(): raw bytes both ways; the user keeps the idle time of a tunnel.
  virtual void send_tunnel(std::string_view bytes) = 0;
  virtual void shutdown_tunnel() = 0;
  virtual size_t unsent() const = 0;

  // The user is done: kept for the next request if it is still good, ended otherwise.
  virtual void release() = 0;
  // The user does not want the rest.
  virtual void abandon() = 0;

 protected:
  ~ServerSide() = default;
};

}  // namespace weir::upstream
