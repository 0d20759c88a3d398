// Host names to addresses: /etc/hosts and DNS (A and AAAA) through c-ares, in the order that
// nsswitch.conf names them, with the servers, search list and options of resolv.conf. Many
// questions may be under way at once; nothing blocks but wait().
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "net/address.h"
#include "net/srv.h"

namespace weir::net {

const char* resolver_version();  // c-ares', "1.18.1"

// What was learnt of one name. Value.
struct NameAnswer {
  std::vector<SocketAddress>
      addresses;        // without ports, sorted, each once; empty: `error` says why
  uint64_t ttl_ms = 0;  // the smallest of the records; 0: none, as for /etc/hosts
  std::string error;
};

// Thread-confined. Ends at once: questions under way are forgotten, their `done` is not called.
class Resolver {
 public:
  using Done = std::function<void(NameAnswer)>;
  using SrvDone = std::function<void(SrvAnswer)>;

  // `servers`: "ip:port,ip:port" in place of those of resolv.conf; empty: those.
  explicit Resolver(std::string servers);
  ~Resolver();
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;

  // `done` is called once, from here or from wait(). It may ask again.
  void look_up(const std::string& host, Done done);
  // The same for the SRV records of a full name: DNS alone, no search list.
  void look_up_srv(const std::string& name, SrvDone done);
  size_t under_way() const;
  // Until something was answered, `wake_fd` is readable, or `wait_ms` have gone by.
  void wait(int wake_fd, int wait_ms);

 private:
  struct Channel;
  std::string open_channel();
  const std::string servers_;
  // Lives while questions are under way, so that the next ones read a changed resolv.conf and come
  // from another port.
  std::unique_ptr<Channel> channel_;
};

}  // namespace weir::net
