// The process's listening sockets: opened before anything depends on them, taken from systemd where
// it made them, kept over reloads. Main thread only.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "base/error.h"
#include "net/address.h"
#include "proxy/snapshot.h"

namespace weir {

// A socket that the service manager listens on for us (sd_listen_fds(3)).
struct InheritedSocket {
  int fd = -1;
  std::string name;  // of LISTEN_FDNAMES; empty: none given
};
// Those of this process's environment. Call once: takes the variables out of it.
std::vector<InheritedSocket> inherited_sockets();

// A slot is a listener for as long as its address is served: a number, never used again, by which
// workers and connections know it whatever its place in the configuration. The admin's socket is
// one of this set, so that an address can move between it and the listeners.
class SocketSet {
 public:
  SocketSet(size_t workers, std::vector<InheritedSocket> inherited);
  ~SocketSet();
  SocketSet(const SocketSet&) = delete;
  SocketSet& operator=(const SocketSet&) = delete;

  struct Wanted {
    std::vector<proxy::ListenerConfig> listeners;
    std::vector<proxy::ListenerConfig> admin;  // one at most; its unix sockets have kSocketMode
  };
  struct Opened {
    uint32_t slot = 0;
    bool admin = false;
    bool inherited = false;     // its queue is the next process's as well
    std::vector<int> fds = {};  // one per worker; whoever gets it closes it
  };
  struct Plan {
    std::vector<uint32_t> slots;  // of each listener of the new configuration
    std::vector<uint32_t> admin_slots;
    std::vector<Opened> opened;
  };
  // Opens what `wanted` has and this set has not: all of it, or nothing and the reason. What is in
  // the set already, by address, stays, but for a unix socket whose file is gone: it is made again.
  // Changes nothing until commit().
  Result<Plan> prepare(const Wanted& wanted);
  void commit(const Wanted& wanted, const Plan& plan);
  static void abandon(Plan& plan);
  // Of the listeners of the last commit, in their order: where they really listen.
  std::vector<net::SocketAddress> bound_listeners() const;

  // Before the workers close theirs: what is left then refuses clients instead of forgetting them.
  void close_copies();
  // After the start: sockets that no listener wanted.
  std::vector<std::string> unused_inherited() const;

 private:
  // Which file a path is; none is never the same as another.
  struct File {
    dev_t device = 0;
    ino_t inode = 0;
    bool operator==(const File& other) const {
      return inode != 0 && device == other.device && inode == other.inode;
    }
  };
  struct Open {
    uint32_t slot;
    bool admin;
    std::string name;
    net::SocketAddress address;  // as configured
    bool v6_only;
    net::SocketAddress bound;  // the same, unless the configuration left the port to the kernel
    bool inherited;
    // Of unix sockets of our own making: a path is bound once, so that whoever takes it over in
    // this process needs a copy.
    File file = {};
    int copy = -1;
  };
  struct Spare {
    InheritedSocket socket;
    net::SocketAddress bound;
    bool used = false;
  };
  struct Want {
    const proxy::ListenerConfig& listener;
    bool admin;
  };
  static std::vector<Want> all_of(const Wanted& wanted);
  static File file_at(const net::SocketAddress& address);
  const Open* find(const Want& want, const std::vector<bool>& taken) const;
  Result<Opened> open(const Want& want);
  Result<std::vector<int>> open_own(const Want& want, size_t count);
  int handed_over(const net::SocketAddress& address) const;
  Open entry_of(const Want& want, uint32_t slot, const Plan& plan);
  void set_mode(const Want& want) const;
  Spare* spare_for(const proxy::ListenerConfig& listener);

  const size_t workers_;
  const mode_t usual_mode_;  // of a unix socket, by the umask
  // Ports on which this process listens, or did until a moment ago: workers close their sockets
  // after the reload that took them away.
  std::set<uint16_t> own_ports_;
  std::vector<Open> open_;  // listeners first, in the configuration's order
  std::vector<Spare> inherited_;
  uint32_t next_slot_ = 0;
};

}  // namespace weir
