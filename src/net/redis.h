// One worker's connection to Redis: many calls under way at once, each with a deadline of its own.
// Whoever asks waits for `timeout` at most, and for nothing at all when it is known that Redis
// does not answer.
//
// A connection is used once Redis has taken the password, the scripts and a trial write, so what
// only reads (a replica, a full or broken server) is never used. One that is lost, or whose server
// turns out to be none to ask, is replaced: along the list of addresses, with pauses that grow from
// limits::kRedisPauseMinMs to kRedisPauseMaxMs. One that answers late is kept: replies belong to
// calls by their position, and those that nobody waits for any more are thrown away.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/buffer.h"
#include "base/rng.h"
#include "net/redis_config.h"
#include "net/redis_error.h"
#include "net/redis_reply.h"
#include "net/stream.h"
#include "net/timer_wheel.h"

namespace weir::net {

class Redis;
class Worker;

// What a script gets: exactly as many words as were announced, keys first.
class RedisWords {
 public:
  virtual void write_words(RedisCommand& command) = 0;

 protected:
  ~RedisWords() = default;
};

// Who asks. Told on the worker's thread, in a turn in which nothing of it is on the stack; may make
// calls from there. Its words are asked for again when the script has to be loaded anew.
class RedisCaller : public RedisWords {
 public:
  // No error; good during the call. False: it is none that the script gives. Then on_redis_miss()
  // follows, and the connection, whose other answers are as good, is given up.
  virtual bool on_redis_reply(const RedisReply& reply) = 0;
  virtual void on_redis_miss(RedisReason why) = 0;

 protected:
  ~RedisCaller() = default;
};

// A call of one script: a member of whoever waits for it. May be made again and again, one at a
// time. Its death, like cancel(), lets go of it: nobody is told.
class RedisCall {
 public:
  RedisCall(Worker& worker, RedisCaller& caller);
  ~RedisCall() { cancel(); }
  RedisCall(const RedisCall&) = delete;
  RedisCall& operator=(const RedisCall&) = delete;

  bool waiting() const { return redis_ != nullptr; }
  void cancel();

 private:
  friend class Redis;
  void on_deadline();

  RedisCaller& caller_;
  Timer deadline_;
  Redis* redis_ = nullptr;  // while it waits
  uint64_t position_ = 0;   // of its reply
  const RedisScript* script_ = nullptr;
  uint32_t keys_ = 0;
  uint32_t arguments_ = 0;
  bool repeated_ = false;  // its script was missing once
};

// Owner: the ProxyWorker. Thread: the worker's. Ends with end().
class Redis final : private Stream::Owner {
 public:
  explicit Redis(Worker& worker);
  ~Redis();
  Redis(const Redis&) = delete;
  Redis& operator=(const Redis&) = delete;

  // From now on the Redis of `config`; null: none. A connection to the same one goes on.
  void configure(std::shared_ptr<const RedisConfig> config);
  void end() { configure(nullptr); }

  const RedisConfig* config() const { return config_.get(); }
  // False: who calls now is not heard.
  bool up() const { return step_ == Step::kUp; }

  // Runs `script`, which the configuration names. False: it cannot be asked now, and the caller is
  // not told. True: he is told once, after this call has returned, within config()->timeout_ms (and
  // a tick of the timer wheel); within `timeout_ms`, where he says so.
  bool call(RedisCall& call, const RedisScript& script, uint32_t keys, uint32_t arguments,
            std::optional<uint64_t> timeout_ms = std::nullopt);
  // The same, and nobody hears what becomes of it. An error of it is counted.
  bool tell(RedisWords& words, const RedisScript& script, uint32_t keys, uint32_t arguments);

 private:
  friend class RedisCall;
  enum class Step : uint8_t {
    kOff,         // not configured
    kPause,       // before the next address, or the next round of them
    kConnecting,  // dial and TLS
    kGreeting,    // password, database, scripts, the trial
    kUp,
    kTripped,  // connected, but not asked: tried in the background
  };
  enum class Kind : uint8_t {
    kCall,
    kTell,
    kPassword,  // a greeting, too
    kGreeting,
    kScript,  // after a miss of it
    kTrial,
  };
  struct Slot {  // a reply that is due
    Kind kind = Kind::kCall;
    uint32_t script = UINT32_MAX;  // that this loads, of shas_; kTell: that it has run
    RedisCall* call = nullptr;     // kCall; null: nobody waits for it
  };
  struct Target {
    size_t server;
    SocketAddress address;
  };

  // Stream::Owner
  void on_connected() override;
  void on_bytes(std::string_view bytes) override;
  void on_eof() override;
  void on_broken(int uv_error) override;
  void on_drained() override {}

  void next_round();
  void dial();
  void greet();
  void send(std::initializer_list<std::string_view> words, Slot due);
  void load_script(uint32_t index, Kind kind);
  void load_again(uint32_t index);
  void begin_trial();
  bool has_room();
  void write_call(RedisCall& call);
  void write_eval(RedisWords& words, const RedisScript* script, uint32_t keys, uint32_t arguments);
  uint32_t index_of(const RedisScript* script) const;

  void push(Slot slot);
  Slot pop();
  Slot& slot(uint64_t position) { return slots_[position & (slots_.size() - 1)]; }
  void take_reply(const RedisReply& reply);
  void take_greeting(const Slot& due, const RedisReply& reply);
  void take_answer(RedisCall& call, const RedisReply& reply);
  void take_tell_error(const Slot& due, std::string_view text);
  void take_error(RedisReason why, std::string_view text);
  void take_trial(const RedisReply& reply);
  void miss(RedisCall& call, RedisReason why);
  void note_miss(RedisReason why, std::string_view detail);

  std::string_view address_text();
  void on_timer();
  void on_silence();
  void on_closed(const char* detail);
  void come_up();
  void trip(RedisReason why, std::string_view detail);
  void lose(RedisReason why, std::string_view detail);
  void drop_stream(RedisReason why);
  uint64_t next_pause_ms();

  Worker& worker_;
  std::shared_ptr<const RedisConfig> config_;
  Step step_ = Step::kOff;

  std::unique_ptr<Stream> stream_;
  std::optional<RedisReader> reader_;
  std::vector<std::shared_ptr<TlsTicket>> tickets_;  // by server
  std::vector<std::string> shas_;                    // by script, the trial's last
  std::string trial_key_;
  size_t greetings_due_ = 0;

  std::vector<Slot> slots_;  // a ring
  uint64_t first_due_ = 0;
  uint64_t next_due_ = 0;

  std::vector<Target> targets_;  // of this round
  size_t target_ = 0;            // the present one
  size_t left_in_round_ = 0;     // to be tried before the next pause
  uint64_t pause_ms_ = 0;
  uint64_t up_since_ms_ = 0;
  uint64_t asked_at_us_ = 0;  // the trial under way; 0: none
  uint32_t misses_in_a_row_ = 0;
  uint32_t scripts_loading_ = 0;  // bits of those that were missing
  RandomPool random_;
  Timer timer_;    // of the step
  Timer silence_;  // while replies are due
};

}  // namespace weir::net
