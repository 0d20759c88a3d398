// What the workers of this process together know of one Redis: whether it can be asked, why not,
// what went wrong so far; and how many instances of weir share it.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <string_view>

#include "net/redis_error.h"

namespace weir::net {

// Shared by the snapshots of one Redis and their connections. Any thread.
class RedisState {
 public:
  // `name`: for people, without secrets.
  explicit RedisState(std::string name);
  RedisState(const RedisState&) = delete;
  RedisState& operator=(const RedisState&) = delete;

  // ---- by the connection of each worker; a change of the whole is logged, once ----
  void note_begun(uint32_t worker);  // it wants a connection
  void note_up(uint32_t worker, std::string_view address);
  // `detail`: more words, or none.
  void note_down(uint32_t worker, RedisReason reason, std::string_view detail);
  void note_gone(uint32_t worker);  // it does not ask any more
  // A call that was not answered, or a connection that failed.
  void count_error(RedisReason reason) {
    errors_[static_cast<size_t>(reason)].fetch_add(1, std::memory_order_relaxed);
  }

  struct Status {
    bool up = false;     // every worker can ask it
    std::string reason;  // why not
  };
  Status status() const;
  // The same, for every request: by one atomic load.
  bool all_up() const { return all_up_.load(std::memory_order_relaxed); }
  uint64_t errors(RedisReason reason) const {
    return errors_[static_cast<size_t>(reason)].load(std::memory_order_relaxed);
  }

  // ---- the fleet ----
  // Instances that the last good heartbeat has counted, this one included; before the first what
  // was guessed, or 1.
  uint32_t instances() const {
    const uint32_t known = instances_.load(std::memory_order_relaxed);
    return known == 0 ? 1 : known;
  }
  void set_instances(uint32_t count);
  void guess_instances(uint32_t count);
  // True for one caller each limits::kRedisBeatMs: the heartbeat is his.
  bool take_beat(uint64_t now_ms);
  const std::string& instance() const { return instance_; }  // this process's name among them

 private:
  struct View {  // of one worker
    bool up = false;
    RedisReason reason = RedisReason::kNone;
    std::string detail;
  };
  void tell(std::string_view address);
  bool look();

  const std::string name_;
  const std::string instance_;
  std::array<std::atomic<uint64_t>, kRedisReasons> errors_{};
  std::atomic<uint32_t> instances_{0};  // 0: unknown
  std::atomic<uint64_t> beat_at_ms_{0};
  std::atomic<bool> all_up_{false};

  mutable std::mutex mutex_;  // guards what follows
  std::map<uint32_t, View> views_;
  View shown_;            // of the last worker that could not ask it
  bool ever_up_ = false;  // all of it has been logged
  bool told_up_ = false;
  uint32_t told_reasons_ = 0;  // bits of those that were logged since it was up
};

}  // namespace weir::net
