// Keeps the addresses of servers that are configured by name current: asks the name servers on a
// thread of its own, again and again, and puts what it learns into each server's EndpointState.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "net/resolver.h"
#include "upstream/asking_thread.h"
#include "upstream/cluster.h"

namespace weir::upstream {

// How long what DNS has said of a name is good. `every_ms`: what its configuration asks for, 0 if
// nothing; `ttl_ms`: 0 if there is none; `failed`: the last answer was none.
uint64_t look_again_ms(uint64_t every_ms, uint64_t ttl_ms, bool failed);

// A server whose address is a name.
struct NameWatch {
  std::shared_ptr<EndpointState> state;
  std::string host;
  uint16_t port = 0;
  uint64_t every_ms = 0;  // never before the TTL is over; 0: when it is
};

// A name is asked for once, however many servers have it. A name that fails keeps its addresses and
// is asked for again soon. What changes is logged once. The thread starts with the first name; the
// destructor ends it.
class NameWatcher {
 public:
  // `servers`: as net::Resolver takes it.
  explicit NameWatcher(std::string servers);
  NameWatcher(const NameWatcher&) = delete;
  NameWatcher& operator=(const NameWatcher&) = delete;

  // From now on, for as long as anybody else holds the state. Blocks until every name that has no
  // addresses was answered for, limits::kFirstLookUpMs at most. Says for each watch why its server
  // has no address; empty where it has some. One caller at a time.
  std::vector<std::string> watch(const std::vector<NameWatch>& watches);

 private:
  struct Follower {
    std::weak_ptr<EndpointState> state;
    uint16_t port;
    uint64_t every_ms;
  };
  struct Name {
    std::unordered_map<const EndpointState*, Follower> followers;
    AddressList addresses;  // of the last good answer
    std::string error;      // of the last answer, if it was a bad one
    uint64_t next_ms = 0;   // when to ask again
    bool asking = false;
    bool answered = false;
  };

  int ask_what_is_due(net::Resolver& resolver);
  void take(const std::string& host, net::NameAnswer answer);
  static uint64_t pause_ms(const Name& name, uint64_t ttl_ms);

  std::mutex mutex_;  // guards what follows
  std::condition_variable answered_;
  std::unordered_map<std::string, Name> names_;
  uint64_t look_at_ms_ = 0;  // no name is due before

  AskingThread thread_;
};

}  // namespace weir::upstream
