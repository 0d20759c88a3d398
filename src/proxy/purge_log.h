// Purges on their way between the instances of weir that share a Redis: what this one has to tell,
// and how far it has heard the others. Purges stand in a list in Redis, numbered one by one; every
// instance asks a few times a second for those behind the last that it knows (purge_feed.h). So
// whoever was cut off hears what he has missed, as long as the list reaches back far enough;
// where it does not, or is not the one that he knew (Redis was emptied, or a replica took over that
// had not heard all), all that is kept here is validated before it is used again.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "net/redis_config.h"
#include "net/redis_reply.h"
#include "proxy/purge_order.h"

namespace weir::proxy {

struct Snapshot;

// The list: appends what ARGV has from the 5th on, tells what stands behind ARGV[1].
//   KEYS[1] the list; ARGV: the number of the last known entry and its name, a name for the first
//   entry of a list that is not there, 1 to make it last another day; "NAME ORDER"
//   (text_of_order()) of what is to be appended
//   reply: 1 where that last entry is in the list, else 0; the number and the name of the last
//   entry that the reply reaches; 1 where there is more; entries as they were appended
extern const net::RedisScript kPurgeScript;

// Any thread. One per process: purge_log(); tests make their own.
class PurgeLog {
 public:
  // Orders that Redis has not taken. Reached: they become one soft purge of all.
  static constexpr size_t kWaitingMax = 1000;
  // Of one call.
  static constexpr size_t kBatchMax = 64;
  static constexpr size_t kBatchBytes = 32 * 1024;
  // How often one of the workers asks, and for how long the others let it.
  static constexpr uint64_t kAskMs = 350;
  static constexpr uint64_t kBusyMs = 15'000;
  // Questions, after which the list is made to last longer: some minutes of the day that it has.
  static constexpr uint64_t kRenewEvery = 500;

  // One that asks. Its `token` of another call is void.
  struct Question {
    uint64_t token = 0;
    std::string instance;
    uint64_t number = 0;  // of the last known entry; 0: none is
    std::string name;
    bool renews = false;
    std::vector<std::pair<std::string, std::string>> entries;  // name, order
  };
  struct News {
    std::vector<PurgeOrder> orders;  // of others
    bool lost = false;               // some are not known: all is void
    bool more = false;               // ask again at once
  };

  // To be told to the others; who asks is woken.
  void tell(const PurgeOrder& order);

  // False: it is not time, or another worker asks.
  bool begin(const net::RedisState& redis, uint64_t now_ms, Question& out);
  // What became of it. False: `reply` is none of the script's, and what was to be told waits still.
  bool take(const Question& asked, const net::RedisReply& reply, News& out);
  void miss(const Question& asked);  // no reply; what was to be told waits still

  // Purges of this instance are not known to stand in Redis yet.
  bool has_untold() const;

  // Nothing is known of the list in this Redis yet.
  bool knows(const net::RedisState& redis) const;

  // Called when there is something to tell, on any thread, with a lock held: post, no more.
  void add_waker(const void* owner, std::function<void()> wake);
  void remove_waker(const void* owner);

 private:
  struct Waiting {
    std::string name;
    std::string order;
  };
  void drop_told(const Question& asked);

  mutable std::mutex mutex_;  // guards what follows
  std::string instance_;      // whose list `number_` and `name_` are about
  uint64_t number_ = 0;
  std::string name_;
  std::deque<Waiting> waiting_;
  uint64_t named_ = 0;
  uint64_t token_ = 0;  // of the question under way; 0: none
  uint64_t tokens_ = 0;
  uint64_t asked_at_ms_ = 0;
  std::vector<std::pair<const void*, std::function<void()>>> wakers_;
};
PurgeLog& purge_log();

// Here at once, and by and by wherever else the Redis of `snapshot` is used. Answers hit here; 0
// where `snapshot` keeps no answers.
uint64_t purge_everywhere(const Snapshot& snapshot, const PurgeOrder& order);

}  // namespace weir::proxy
