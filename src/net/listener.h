// A listening socket of one worker. Own socket, uv_poll and accept4 instead of libuv's listener,
// which cannot be paused and closes clients itself when descriptors run out.
#pragma once

#include <uv.h>

#include <cstdint>
#include <memory>
#include <string>

#include "base/error.h"
#include "net/address.h"
#include "net/mortal.h"
#include "net/timer_wheel.h"

namespace weir::net {

class Worker;

struct ListenOptions {
  int backlog = 4096;        // clients that wait to be accepted; the kernel caps it at somaxconn
  bool v6_only = true;       // of "[::]": leave IPv4 clients to another socket. Fixed by the bind
  uint32_t keepalive_s = 0;  // silence before a client's host is probed; 0 = never
  uint32_t unix_mode = 0;    // of a unix path, before anybody can connect; 0 = as the umask has it
  friend bool operator==(const ListenOptions&, const ListenOptions&) = default;
};

// Opens a bound, listening, non-blocking socket with SO_REUSEPORT. A unix path that nobody listens
// on any more is replaced. Any thread.
Result<int> open_listening_socket(const SocketAddress& address, const ListenOptions& options = {});
// Sets what a bound socket needs to listen for clients, whoever bound it, and what may change while
// it listens: the backlog, and for clients accepted from now on the keepalive. False when the
// kernel refuses to listen. Any thread.
bool tune_listening_socket(int fd, const ListenOptions& options);
// Empty, or why nobody can listen there now: SO_REUSEPORT would let a second process of the same
// user in unseen. Any thread.
std::string why_not_free(const SocketAddress& address, const ListenOptions& options = {});
// The address that a socket was really bound to (port 0 asks the kernel for one).
SocketAddress bound_address(int fd);

// Out of descriptors it pauses, and looks again later; it pauses early, so that the process keeps
// some for servers and files. Owner: the ProxyWorker. Ends with end(); accepted connections do not
// depend on it.
class Listener final : public Mortal {
 public:
  // Gets each accepted socket; takes it over or closes it.
  class Acceptor {
   public:
    virtual void on_accepted(Listener& listener, int fd, const SocketAddress& peer) = 0;

   protected:
    ~Acceptor() = default;
  };

  // `fd` becomes the listener's own. `slot`: the acceptor's name for it. `uses_reserve`: takes
  // clients down to the last descriptor.
  Listener(Worker& worker, Acceptor& acceptor, int fd, uint32_t slot, bool uses_reserve = false);
  ~Listener() override;
  void end();  // idempotent
  // Accepts what is in the socket's queue already: these clients are connected, as they see it.
  void serve_queue();

  void tune(const ListenOptions& options) { tune_listening_socket(fd_, options); }

  uint32_t slot() const { return slot_; }
  const SocketAddress& address() const { return address_; }

 private:
  void watch();
  bool accept_some();
  void pause(const char* why);
  void look_again();
  int clients_end() const;

  // More than this per wake-up would let a flood of connects starve requests under way.
  static constexpr int kAcceptsPerTurn = 64;
  static constexpr uint64_t kPauseMs = 100;
  static constexpr uint64_t kWarnEveryMs = 10'000;

  Worker& worker_;
  Acceptor& acceptor_;
  int fd_;  // -1 once over
  const uint32_t slot_;
  const SocketAddress address_;
  uv_poll_t poll_;
  Timer pause_timer_;
  const bool uses_reserve_;
  int clients_end_;             // descriptors from here on are kept back
  uint64_t warn_again_ms_ = 0;  // of pauses: not before that
  bool over_ = false;
};

}  // namespace weir::net
