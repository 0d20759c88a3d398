#include "net/redis.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/limits.h"
#include "net/tls.h"
#include "net/uv_error.h"
#include "net/worker.h"

namespace weir::net {

namespace {

// What only a primary does that has room and may write: by the way that calls take.
constexpr std::string_view kTrialScript = "redis.call('SET', KEYS[1], 1, 'PX', 10000) return 1";
constexpr size_t kRingMin = 64;
constexpr uint32_t kNoScript = UINT32_MAX;

// Redis's own words, as far as they are of use. Of a command that it does not know it repeats what
// was sent.
std::string_view shown(std::string_view error) {
  constexpr size_t kShownBytes = 120;
  return error.substr(0, std::min(error.find(", with args"), kShownBytes));
}

// All that may be shown of what it says to a password.
std::string_view code_of(std::string_view error) { return error.substr(0, error.find(' ')); }

}  // namespace

// ---- RedisCall ----

RedisCall::RedisCall(Worker& worker, RedisCaller& caller)
    : caller_(caller),
      deadline_(worker.timers(), this, &Timer::call<RedisCall, &RedisCall::on_deadline>) {}

void RedisCall::cancel() {
  if (redis_ == nullptr) return;
  redis_->slot(position_).call = nullptr;
  redis_ = nullptr;
  deadline_.cancel();
}

void RedisCall::on_deadline() {
  Redis& redis = *redis_;
  redis.slot(position_).call = nullptr;
  redis.note_miss(RedisReason::kTimeout, {});
  redis.miss(*this, RedisReason::kTimeout);
}

// ---- configuration ----

Redis::Redis(Worker& worker)
    : worker_(worker),
      slots_(kRingMin),
      timer_(worker.timers(), this, &Timer::call<Redis, &Redis::on_timer>),
      silence_(worker.timers(), this, &Timer::call<Redis, &Redis::on_silence>) {}

Redis::~Redis() { WEIR_CHECK(step_ == Step::kOff); }

void Redis::configure(std::shared_ptr<const RedisConfig> config) {
  if (config_ != nullptr && config != nullptr && config_->identity == config->identity) {
    config_ = std::move(config);
    return;
  }
  if (config_ != nullptr) {
    drop_stream(RedisReason::kClosed);
    step_ = Step::kOff;
    config_->state->note_gone(worker_.index());
    // The fleet is as large as before until the new one has counted it.
    if (config != nullptr) config->state->guess_instances(config_->state->instances());
  }
  config_ = std::move(config);
  if (config_ == nullptr) return;
  config_->state->note_begun(worker_.index());
  tickets_.clear();
  for (size_t i = 0; i < config_->servers.size(); ++i) {
    tickets_.push_back(std::make_shared<TlsTicket>());
  }
  trial_key_ = config_->key_prefix + "trial";
  pause_ms_ = 0;
  target_ = 0;
  next_round();
}

// ---- to a connection ----

// The addresses as they are known now, from the one that is next.
void Redis::next_round() {
  targets_.clear();
  for (size_t i = 0; i < config_->servers.size(); ++i) {
    for (const SocketAddress& address : config_->servers[i].addresses()) {
      targets_.push_back({i, address});
    }
  }
  left_in_round_ = targets_.size();
  if (!targets_.empty()) return dial();
  config_->state->count_error(RedisReason::kName);
  config_->state->note_down(worker_.index(), RedisReason::kName, {});
  step_ = Step::kPause;
  timer_.arm_ms(next_pause_ms());
}

void Redis::dial() {
  target_ %= targets_.size();
  const Target& target = targets_[target_];
  step_ = Step::kConnecting;
  reader_.emplace(worker_.blocks(), config_->reply_bytes);
  timer_.arm_ms(limits::kRedisConnectMs);
  stream_ = Stream::dial(worker_, *this, target.address);
  if (config_->tls == nullptr) return;
  stream_->start_tls(*config_->tls, config_->servers[target.server].host, tickets_[target.server]);
}

void Redis::on_connected() {
  stream_->detect_dead_peer(limits::kRedisSilenceMs);
  stream_->start_reading();
  greet();
}

// All in one go: what comes behind an error does not matter.
void Redis::greet() {
  step_ = Step::kGreeting;
  greetings_due_ = 0;
  scripts_loading_ = 0;
  shas_.assign(config_->scripts.size() + 1, {});
  if (!config_->password.empty() && config_->user.empty()) {
    send({"AUTH", config_->password}, {Kind::kPassword, kNoScript, nullptr});
  } else if (!config_->password.empty()) {
    send({"AUTH", config_->user, config_->password}, {Kind::kPassword, kNoScript, nullptr});
  }
  if (config_->database != 0) {
    send({"SELECT", fmt::to_string(config_->database)}, {Kind::kGreeting, kNoScript, nullptr});
  }
  for (uint32_t i = 0; i < shas_.size(); ++i) load_script(i, Kind::kGreeting);
}

void Redis::send(std::initializer_list<std::string_view> words, Slot due) {
  if (due.kind == Kind::kGreeting || due.kind == Kind::kPassword) ++greetings_due_;
  write_redis_command(stream_->out(), words);
  push(due);
}

void Redis::load_script(uint32_t index, Kind kind) {
  const bool is_own = index == config_->scripts.size();
  send({"SCRIPT", "LOAD", is_own ? kTrialScript : config_->scripts[index]->text},
       {kind, index, nullptr});
}

// Once for all that have found it missing.
void Redis::load_again(uint32_t index) {
  const uint32_t bit = 1u << index;
  if ((scripts_loading_ & bit) == 0) load_script(index, Kind::kScript);
  scripts_loading_ |= bit;
}

void Redis::begin_trial() {
  asked_at_us_ = worker_.now_us();
  send({"EVALSHA", shas_.back(), "1", trial_key_}, {Kind::kTrial, kNoScript, nullptr});
}

void Redis::take_greeting(const Slot& due, const RedisReply& reply) {
  if (reply.is_error()) {
    const bool secret = due.kind == Kind::kPassword;
    return lose(classify_redis_error(reply.text), secret ? code_of(reply.text) : shown(reply.text));
  }
  if (due.script != kNoScript) {
    constexpr size_t kShaBytes = 40;
    if (reply.kind != RedisReply::Kind::kText || reply.text.size() != kShaBytes) {
      return lose(RedisReason::kProtocol, "SCRIPT LOAD gives no digest");
    }
    shas_[due.script] = reply.text;
  }
  if (due.kind == Kind::kScript) {
    scripts_loading_ &= ~(1u << due.script);
  } else if (--greetings_due_ == 0) {
    begin_trial();
  }
}

void Redis::take_trial(const RedisReply& reply) {
  const uint64_t took_us = worker_.now_us() - std::exchange(asked_at_us_, 0);
  if (reply.is_error()) {
    const RedisReason why = classify_redis_error(reply.text);
    const bool elsewhere = why == RedisReason::kReadOnly || why == RedisReason::kAuth;
    if (step_ == Step::kGreeting || elsewhere) return lose(why, shown(reply.text));
    if (is_missing_script(reply.text)) load_again(static_cast<uint32_t>(shas_.size() - 1));
    return trip(why, shown(reply.text));
  }
  if (took_us > config_->timeout_ms * 1000 && step_ == Step::kTripped) {
    return trip(RedisReason::kTimeout, {});
  }
  come_up();
}

void Redis::come_up() {
  timer_.cancel();
  step_ = Step::kUp;
  misses_in_a_row_ = 0;
  up_since_ms_ = worker_.now_ms();
  config_->state->note_up(worker_.index(), targets_[target_].address.text());
}

// ---- calls ----

bool Redis::call(RedisCall& call, const RedisScript& script, uint32_t keys, uint32_t arguments,
                 std::optional<uint64_t> timeout_ms) {
  WEIR_ASSERT(!call.waiting());
  if (!has_room()) return false;
  call.redis_ = this;
  call.script_ = &script;
  call.keys_ = keys;
  call.arguments_ = arguments;
  call.repeated_ = false;
  call.deadline_.arm_ms(timeout_ms.value_or(config_->timeout_ms));
  write_call(call);
  return true;
}

bool Redis::tell(RedisWords& words, const RedisScript& script, uint32_t keys, uint32_t arguments) {
  if (!has_room()) return false;
  write_eval(words, &script, keys, arguments);
  push({Kind::kTell, index_of(&script), nullptr});
  return true;
}

bool Redis::has_room() {
  if (step_ != Step::kUp) return false;
  if (next_due_ - first_due_ < limits::kRedisCallsMax &&
      stream_->unsent() <= limits::kRedisUnsentBytes) {
    return true;
  }
  config_->state->count_error(RedisReason::kOverload);
  return false;
}

void Redis::write_eval(RedisWords& words, const RedisScript* script, uint32_t keys,
                       uint32_t arguments) {
  RedisCommand command(stream_->out(), 3 + size_t{keys} + arguments);
  command.add("EVALSHA");
  command.add(shas_[index_of(script)]);
  command.add(int64_t{keys});
  words.write_words(command);
}

void Redis::write_call(RedisCall& call) {
  write_eval(call.caller_, call.script_, call.keys_, call.arguments_);
  call.position_ = next_due_;
  push({Kind::kCall, kNoScript, &call});
}

uint32_t Redis::index_of(const RedisScript* script) const {
  const auto& scripts = config_->scripts;
  const auto found = std::find(scripts.begin(), scripts.end(), script);
  WEIR_CHECK(found != scripts.end());
  return static_cast<uint32_t>(found - scripts.begin());
}

void Redis::push(Slot due) {
  if (next_due_ - first_due_ == slots_.size()) {
    std::vector<Slot> larger(slots_.size() * 2);
    for (uint64_t at = first_due_; at != next_due_; ++at) {
      larger[at & (larger.size() - 1)] = slot(at);
    }
    slots_ = std::move(larger);
  }
  if (next_due_ == first_due_) silence_.arm_ms(limits::kRedisSilenceMs);
  slot(next_due_++) = due;
  stream_->flush_soon();
}

Redis::Slot Redis::pop() { return slot(first_due_++); }

void Redis::take_reply(const RedisReply& reply) {
  if (first_due_ == next_due_) return lose(RedisReason::kProtocol, "it speaks unasked");
  const Slot due = pop();
  switch (due.kind) {
    case Kind::kPassword:
    case Kind::kGreeting:
    case Kind::kScript: take_greeting(due, reply); break;
    case Kind::kTrial: take_trial(reply); break;
    case Kind::kCall:
      if (due.call != nullptr) take_answer(*due.call, reply);
      break;
    case Kind::kTell:
      if (reply.is_error()) take_tell_error(due, reply.text);
      break;
  }
}

void Redis::take_answer(RedisCall& call, const RedisReply& reply) {
  if (!reply.is_error()) {
    call.redis_ = nullptr;
    call.deadline_.cancel();
    RedisCaller& caller = call.caller_;
    if (caller.on_redis_reply(reply)) {
      misses_in_a_row_ = 0;
      return;
    }
    caller.on_redis_miss(RedisReason::kProtocol);
    return lose(RedisReason::kProtocol, "not what the script gives");
  }
  if (is_missing_script(reply.text) && !call.repeated_) {
    load_again(index_of(call.script_));
    call.repeated_ = true;
    return write_call(call);
  }
  const RedisReason why = classify_redis_error(reply.text);
  miss(call, why);
  take_error(why, reply.text);
}

void Redis::take_tell_error(const Slot& due, std::string_view text) {
  const RedisReason why = classify_redis_error(text);
  config_->state->count_error(why);
  if (is_missing_script(text)) return load_again(due.script);
  take_error(why, text);
}

// Of a call or a tell: what it says about the next ones.
void Redis::take_error(RedisReason why, std::string_view text) {
  switch (why) {
    case RedisReason::kReadOnly: return lose(why, shown(text));
    case RedisReason::kLoading:
    case RedisReason::kBusy:
    case RedisReason::kMemory:
    case RedisReason::kDisk:
      if (step_ == Step::kUp) trip(why, shown(text));
      return;
    case RedisReason::kWrongType: return;  // of that key alone
    case RedisReason::kAuth:
      if (text.starts_with("NOAUTH")) return lose(why, shown(text));
      break;  // NOPERM, which may concern this one call
    default: break;
  }
  note_miss(why, shown(text));
}

void Redis::miss(RedisCall& call, RedisReason why) {
  config_->state->count_error(why);
  call.redis_ = nullptr;
  call.deadline_.cancel();
  call.caller_.on_redis_miss(why);
}

void Redis::note_miss(RedisReason why, std::string_view detail) {
  if (++misses_in_a_row_ < limits::kRedisMissesMax || step_ != Step::kUp) return;
  trip(why, detail);
}

// ---- what goes wrong ----

std::string_view Redis::address_text() {
  return config_->servers[targets_[target_].server].address;
}

void Redis::on_bytes(std::string_view bytes) {
  Stream* const from = stream_.get();
  for (;;) {
    const RedisReader::Progress progress = reader_->next(bytes);
    if (progress == RedisReader::Progress::kBroken) {
      return lose(RedisReason::kProtocol, reader_->failure());
    }
    if (progress == RedisReader::Progress::kMore) break;
    take_reply(reader_->reply());
    if (stream_.get() != from) return;
  }
  if (first_due_ == next_due_) {
    silence_.cancel();
  } else {
    silence_.arm_ms(limits::kRedisSilenceMs);
  }
}

void Redis::on_eof() { on_closed(""); }

void Redis::on_closed(const char* detail) {
  const bool unsecured = step_ == Step::kGreeting && config_->tls == nullptr;
  lose(RedisReason::kClosed, unsecured ? "at once; does it want TLS (rediss://)?" : detail);
}

void Redis::on_broken(int uv_error) {
  const Tls* tls = stream_->tls();
  if (tls != nullptr && tls->failed()) return lose(RedisReason::kTls, tls->failure());
  if (step_ == Step::kConnecting) return lose(RedisReason::kConnect, error_name(uv_error));
  on_closed(error_name(uv_error));
}

void Redis::on_silence() { lose(RedisReason::kTimeout, "not a word any more"); }

void Redis::on_timer() {
  switch (step_) {
    case Step::kPause: left_in_round_ == 0 ? next_round() : dial(); break;
    case Step::kConnecting:
    case Step::kGreeting: lose(RedisReason::kTimeout, "while connecting"); break;
    case Step::kTripped:
      if (asked_at_us_ == 0) begin_trial();
      break;
    case Step::kUp:
    case Step::kOff: break;
  }
}

// It is connected, but asked no more until a trial has gone well. Calls under way keep waiting.
void Redis::trip(RedisReason why, std::string_view detail) {
  step_ = Step::kTripped;
  timer_.arm_ms(next_pause_ms());
  config_->state->note_down(
      worker_.index(), why,
      fmt::format("{}{}{}", detail, detail.empty() ? "at " : ", at ", address_text()));
}

// The connection is of no use: another one, after a pause where this one had been good.
void Redis::lose(RedisReason why, std::string_view detail) {
  const bool was_in_use = step_ == Step::kUp || step_ == Step::kTripped;
  std::string text =
      fmt::format("{}{}{}", detail, detail.empty() ? "at " : ", at ", address_text());
  config_->state->count_error(why);
  config_->state->note_down(worker_.index(), why, text);
  if (was_in_use && why != RedisReason::kReadOnly) {
    left_in_round_ = 0;  // the same address may be good again
  } else {
    ++target_;
    left_in_round_ = was_in_use ? 0 : left_in_round_ - 1;
  }
  const uint64_t pause_ms = left_in_round_ > 0 ? 1 : next_pause_ms();
  drop_stream(why);
  timer_.arm_ms(pause_ms);
}

void Redis::drop_stream(RedisReason why) {
  step_ = Step::kPause;
  timer_.cancel();
  silence_.cancel();
  asked_at_us_ = 0;
  if (stream_ != nullptr) {
    stream_->end();
    worker_.bury(std::move(stream_));
  }
  while (first_due_ != next_due_) {
    if (RedisCall* call = pop().call) miss(*call, why);
  }
}

uint64_t Redis::next_pause_ms() {
  const bool was_good =
      up_since_ms_ != 0 && worker_.now_ms() - up_since_ms_ >= limits::kRedisPauseMaxMs;
  up_since_ms_ = 0;
  pause_ms_ = was_good || pause_ms_ == 0 ? limits::kRedisPauseMinMs
                                         : std::min(pause_ms_ * 2, limits::kRedisPauseMaxMs);
  uint8_t spread = 0;
  random_.fill(&spread, 1);
  const uint64_t less_ms = pause_ms_ * spread / 1024;  // a quarter at most: not all at once
  return std::max(pause_ms_ - less_ms, limits::kRedisPauseMinMs);
}

}  // namespace weir::net
