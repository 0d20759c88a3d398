// A connection to a server, whatever it speaks: dialling, one address after the other, and its
// place in a pool. What becomes of it once it is connected is H1Conn's or H2Conn's.
#pragma once

#include <cstdint>
#include <memory>

#include "base/error.h"
#include "base/intrusive_list.h"
#include "net/mortal.h"
#include "net/stream.h"
#include "net/timer_wheel.h"
#include "upstream/cluster.h"
#include "upstream/server_side.h"

namespace weir::upstream {

class Pool;
struct Target;

// Owner: its Pool. Thread: the worker's. Ends by failure, by its idle timeout, or when its user
// does not want the rest of an answer.
class ServerConn : public net::Mortal, public net::Stream::Owner {
 public:
  // For one more request: of an idle connection, or of one that takes several at once.
  virtual ServerSide& lend(ConnUser& user, const UpstreamTimeouts& timeouts) = 0;
  // Immediate and idempotent. Whoever uses it hears nothing.
  void end();
  bool over() const { return over_; }

 protected:
  friend class Pool;
  friend struct Target;
  ServerConn(Pool& pool, Target& target, const UpstreamTimeouts& timeouts);
  // Of another's connection, which is open.
  ServerConn(Pool& pool, Target& target, const UpstreamTimeouts& timeouts,
             std::unique_ptr<net::Stream> stream);

  void dial();
  bool dialling() const { return dialling_; }
  bool is_idle() const { return idle_.linked(); }  // the pool keeps it, and nobody uses it
  // How many requests use it: for the choice among a server's addresses.
  void count_user();
  void discount_user();
  std::unique_ptr<net::Stream> take_stream();

  virtual void write_preface(Buffer&) {}                // before any protocol's first byte
  virtual void on_dialled() = 0;                        // connected
  virtual void on_dial_failed(const Error& error) = 0;  // it has not ended yet: end()
  virtual void on_deadline() = 0;                       // of timer_, once connected
  virtual void on_lost(int uv_error) = 0;               // once connected
  virtual void on_idle(uint64_t timeout_ms) = 0;        // the pool keeps it, that long
  virtual void on_end() = 0;                            // part of end(): forget all users

  Pool& pool_;
  Target* target_;
  std::unique_ptr<net::Stream> stream_;
  UpstreamTimeouts timeouts_;
  net::Timer timer_;

 private:
  void on_connected() final;
  void on_broken(int uv_error) final;
  void on_timeout();
  void dial_next(ErrorKind kind, const char* detail);

  ListHook live_;  // all of the pool's connections
  ListHook idle_;  // those that nobody uses
  uint32_t users_ = 0;
  uint32_t dials_ = 0;
  bool dialling_ = true;
  bool over_ = false;
};

}  // namespace weir::upstream
