#include "proxy/purge_log.h"

#include <algorithm>

#include "base/log.h"
#include "proxy/answer_store.h"
#include "proxy/snapshot.h"

namespace weir::proxy {

// A sorted set: the number is the score, so that one key holds all. Numbers are given one by one,
// and entries go from the bottom only, so that places tell numbers: one command reads all there is
// to read, and a user of Redis needs the right to ZRANGE alone besides what other scripts need. An
// entry that stands already was told by a call whose reply got lost. Replies stay below what a
// reader takes (limits::kRedisReplyBytes).
const net::RedisScript kPurgeScript = {R"(
local list, at, name = KEYS[1], tonumber(ARGV[1]), ARGV[2]
local keep, most, bytes_most, day_ms = 10000, 256, 40000, 86400000
local function name_of(entry) return string.match(entry, '^%S*') end
local last = redis.call('ZRANGE', list, -1, -1, 'WITHSCORES')
local fresh = not last[1]
if fresh then
  redis.call('ZADD', list, 1, ARGV[3])
  last = {ARGV[3], '1'}
end
local number, last_name = tonumber(last[2]), name_of(last[1])
for i = 5, #ARGV do
  if redis.call('ZADD', list, 'NX', number + 1, ARGV[i]) == 1 then
    number, last_name = number + 1, name_of(ARGV[i])
  end
end
if fresh or ARGV[4] == '1' or #ARGV > 4 then
  redis.call('ZREMRANGEBYSCORE', list, '-inf', number - keep)
  redis.call('PEXPIRE', list, day_ms)
end
local place = at - (number - redis.call('ZCARD', list) + 1)
local news = place >= 0 and redis.call('ZRANGE', list, place, place + most) or {}
if not news[1] or name_of(news[1]) ~= name then return {0, number, last_name, 0} end
local reply, bytes = {1, at, name, 0}, 0
for i = 2, #news do
  bytes = bytes + #news[i]
  if i > 2 and bytes > bytes_most then break end
  reply[2], reply[3], reply[3 + i] = at + i - 1, name_of(news[i]), news[i]
end
if reply[2] < number then reply[4] = 1 end
return reply
)"};

namespace {

std::string_view owner_of(std::string_view name) { return name.substr(0, name.find('.')); }

}  // namespace

void PurgeLog::tell(const PurgeOrder& order) {
  const std::lock_guard lock(mutex_);
  if (waiting_.size() >= kWaitingMax) {
    log_warn("cache: {} purges wait for Redis: other instances will purge all instead, softly",
             waiting_.size());
    waiting_.clear();
    waiting_.push_back(
        {std::to_string(++named_), text_of_order({PurgeOrder::What::kAll, "", true})});
  } else {
    waiting_.push_back({std::to_string(++named_), text_of_order(order)});
  }
  for (const auto& [owner, wake] : wakers_) wake();
}

bool PurgeLog::begin(const net::RedisState& redis, uint64_t now_ms, Question& out) {
  const std::lock_guard lock(mutex_);
  const bool due = now_ms >= asked_at_ms_ + kAskMs || !waiting_.empty();
  const bool busy = token_ != 0 && now_ms < asked_at_ms_ + kBusyMs;
  if (!due || busy) return false;
  asked_at_ms_ = now_ms;
  token_ = ++tokens_;
  if (instance_ != redis.instance()) {
    instance_ = redis.instance();
    number_ = 0;
    name_.clear();
  }
  out = {token_, instance_, number_, name_, token_ % kRenewEvery == 1, {}};
  size_t bytes = 0;
  for (const Waiting& one : waiting_) {
    bytes += one.order.size();
    if (out.entries.size() == kBatchMax || (bytes > kBatchBytes && !out.entries.empty())) break;
    out.entries.emplace_back(instance_ + "." + one.name, one.order);
  }
  return true;
}

bool PurgeLog::has_untold() const {
  const std::lock_guard lock(mutex_);
  return !waiting_.empty();
}

bool PurgeLog::knows(const net::RedisState& redis) const {
  const std::lock_guard lock(mutex_);
  return number_ != 0 && instance_ == redis.instance();
}

// Those that stand in front still: meanwhile they may have become one purge of all.
void PurgeLog::drop_told(const Question& asked) {
  for (const auto& [name, order] : asked.entries) {
    if (waiting_.empty() || instance_ + "." + waiting_.front().name != name) return;
    waiting_.pop_front();
  }
}

bool PurgeLog::take(const Question& asked, const net::RedisReply& reply, News& out) {
  using Kind = net::RedisReply::Kind;
  constexpr size_t kFixed = 4;
  const std::lock_guard lock(mutex_);
  if (asked.token != token_) return true;  // it took so long that another one has asked
  token_ = 0;
  const int64_t known = reply.integer_at(0, -1);
  const int64_t number = reply.integer_at(1, -1);
  if (known < 0 || number < 1 || reply.size < kFixed || reply.items[2].kind != Kind::kText) {
    return false;
  }
  drop_told(asked);
  out.lost = known == 0;
  number_ = static_cast<uint64_t>(number);
  name_ = std::string(reply.items[2].text);
  out.more = reply.integer_at(3, 0) == 1 || !waiting_.empty();
  for (size_t i = kFixed; i < reply.size; ++i) {
    const std::string_view entry = reply.items[i].text;
    const size_t blank = entry.find(' ');
    if (owner_of(entry) == asked.instance || blank == std::string_view::npos) continue;
    std::optional<PurgeOrder> order = order_of_text(entry.substr(blank + 1));
    if (order) {
      out.orders.push_back(std::move(*order));
    } else {
      out.lost = true;  // of a newer weir: whatever it was
    }
  }
  return true;
}

void PurgeLog::miss(const Question& asked) {
  const std::lock_guard lock(mutex_);
  if (asked.token == token_) token_ = 0;
}

void PurgeLog::add_waker(const void* owner, std::function<void()> wake) {
  const std::lock_guard lock(mutex_);
  wakers_.emplace_back(owner, std::move(wake));
}

void PurgeLog::remove_waker(const void* owner) {
  const std::lock_guard lock(mutex_);
  wakers_.erase(std::remove_if(wakers_.begin(), wakers_.end(),
                               [&](const auto& one) { return one.first == owner; }),
                wakers_.end());
}

// Never destroyed: the admin may still use it while the process ends.
PurgeLog& purge_log() {
  static PurgeLog& log = *new PurgeLog;
  return log;
}

// Told before it is done: what is looked up in between must not come back out of Redis.
uint64_t purge_everywhere(const Snapshot& snapshot, const PurgeOrder& order) {
  if (snapshot.answers == nullptr) return 0;
  if (snapshot.redis != nullptr) purge_log().tell(order);
  return snapshot.answers->purge(order, snapshot);
}

}  // namespace weir::proxy
