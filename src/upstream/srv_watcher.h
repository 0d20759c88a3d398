// Keeps the SRV records of upstreams that are configured by them (upstreams.*.srv) current: asks
// the name servers on a thread of its own, again and again. Who uses them looks at the version.
#pragma once

#include <compare>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "net/resolver.h"
#include "upstream/asking_thread.h"

namespace weir::upstream {

// What is asked for, and how often; with another `every_ms` it is another question.
struct SrvName {
  std::string name;
  uint64_t every_ms = 0;  // never before the TTL is over; 0: when it is

  auto operator<=>(const SrvName&) const = default;
};

// What is known of one. Value.
struct SrvList {
  std::vector<net::SrvRecord> records;  // of the last good answer, sorted
  std::string error;                    // why the last answer was no good; empty: it was
  uint64_t version = 0;                 // another one for other records or another error
};

// Any thread, but for the destructor, which ends the thread that the first name starts.
class SrvWatcher {
 public:
  // `servers`: as net::Resolver takes it.
  explicit SrvWatcher(std::string servers);
  SrvWatcher(const SrvWatcher&) = delete;
  SrvWatcher& operator=(const SrvWatcher&) = delete;

  // From now on it is asked for. Blocks for the first answer, `wait_ms` at most; until then the
  // records are those of the same name with another `every_ms`, if it is asked for.
  SrvList list(const SrvName& name, uint64_t wait_ms);
  // As list() has said; 0: it is not asked for.
  uint64_t version(const SrvName& name);
  // All others are forgotten.
  void keep(const std::vector<SrvName>& names);

 private:
  struct Question {
    SrvList list;
    uint64_t next_ms = 0;  // when to ask again
    bool asking = false;
    bool answered = false;
  };

  int ask_what_is_due(net::Resolver& resolver);
  void take(const SrvName& name, net::SrvAnswer answer);

  std::mutex mutex_;  // guards what follows
  std::condition_variable answered_;
  std::map<SrvName, Question> questions_;
  uint64_t last_version_ = 0;

  AskingThread thread_;
};

}  // namespace weir::upstream
