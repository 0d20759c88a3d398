#include "filters/rate_limit/shared_script.h"

#include "net/redis_reply.h"

namespace weir::filters::rate_limit {

// A value is "123.456", when the bucket will be full; "3:123", a count and the end of its window;
// or "x123", until when the key is blocked. What is none of these is nothing. Times beyond what a
// rule can make are of a clock that was set back, and are cut; one before 2026 counts below zero.
// Stamps are from 1970, so that they never are. A bucket that is full again, or reset, is no DEL,
// which would be another right to have, but ends at once.
const net::RedisScript kSharedScript = {R"(if ARGV[1] == 'reset' then
  for _, key in ipairs(KEYS) do redis.call('SET', key, '', 'PX', 1) end
  return 1
end
local time = redis.call('TIME')
local epoch = 1767225600000000
local now = time[1] * 1000000 - epoch + time[2]
local limits, answers, all = {}, {}, true
local function keep(l, used)
  if l.window then
    local value = string.format('%d:%.0f', l.count + used, l.ends)
    redis.call('SET', l.key, value, 'PX', math.ceil((l.ends - now) / 1000))
  else
    local ahead = l.ahead + used * l.span
    redis.call('SET', l.key, string.format('%.3f', now + ahead), 'PX',
               math.max(math.ceil(ahead / 1000), 1))
  end
end
for i, key in ipairs(KEYS) do
  local at = (i - 1) * 7 + 1
  local l = {
    key = key, window = ARGV[at + 1] == 'w', span = tonumber(ARGV[at + 2]),
    room = tonumber(ARGV[at + 3]), block = tonumber(ARGV[at + 4]), want = tonumber(ARGV[at + 5]),
    debt = tonumber(ARGV[at + 6]), stamp = tonumber(ARGV[at + 7]) - epoch
  }
  l.full = l.window and l.span or l.room + l.span
  local value = redis.call('GET', key)
  local blocked = value and tonumber(string.match(value, '^x(.+)$'))
  if blocked then
    local left = math.min(blocked - now, math.max(l.block, l.window and l.span or 0))
    value = false
    if left > 0 then
      l.wait, l.blocked = left, true
    elseif not l.window then
      value = blocked - l.block + l.full
    end
  end
  if l.window then
    local count, ends = string.match(value or '', '^(%d+):(.+)$')
    l.count, l.ends = tonumber(count) or 0, tonumber(ends) or now
    if l.ends <= now then l.count, l.ends = 0, now + l.span end
    l.stale = l.ends > now + l.span + 1000000
    l.ends = math.min(l.ends, now + l.span)
    l.count = math.max(l.count, math.min(l.debt, l.room))
    l.free = l.room - l.count
    if l.free < 1 then l.wait = l.wait or l.ends - now end
  else
    l.ahead = math.max((tonumber(value) or now) - now, l.debt, 0)
    l.stale = l.ahead > l.full + 1000000
    l.ahead = math.min(l.ahead, l.full)
    l.free = math.floor((l.room - l.ahead) / l.span + 1e-6) + 1
    if l.ahead - l.room > 0.01 then l.wait = l.wait or l.ahead - l.room end
  end
  if l.wait then all = false end
  limits[i] = l
end
if ARGV[1] == 'back' then
  for _, l in ipairs(limits) do
    if l.window and l.ends == l.stamp and l.count >= l.want then
      keep(l, -l.want)
    elseif not l.window and not l.blocked and l.stamp > now then
      l.ahead = math.max(l.ahead - l.want * l.span, 0)
      keep(l, 0)
    end
  end
  return 1
end
for i, l in ipairs(limits) do
  local used = l.window and l.count or math.ceil(l.ahead)
  local left = l.window and l.ends - now or 0
  if all then
    local given = math.min(l.want, math.max(l.free, 1))  -- as l.wait has it, whatever is rounded
    keep(l, given)
    if l.window then
      answers[i] = {given, used + given, left, l.ends + epoch}
    else
      local ahead = math.ceil(l.ahead + given * l.span)
      answers[i] = {given, ahead, 0, now + ahead + epoch}
    end
  elseif l.wait then
    local blocked = (l.blocked or l.block > 0) and 1 or 0
    if l.block > 0 and not l.blocked then
      l.wait = math.max(l.block, l.window and l.ends - now or 0)
      redis.call('SET', l.key, 'x' .. string.format('%.0f', now + l.wait), 'PX',
                 math.ceil(math.max(l.wait, l.full) / 1000))
    elseif (l.debt > 0 or l.stale) and not l.blocked then
      keep(l, 0)
    end
    answers[i] = {0, used, math.ceil(l.wait), blocked}
  else
    if l.debt > 0 then keep(l, 0) end
    answers[i] = {-1, used, left, 0}
  end
end
return answers
)"};

void add_key(net::RedisCommand& command, std::string_view prefix, std::string_view limit,
             uint64_t bucket) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  constexpr size_t kHexDigits = 16;
  char text[256];
  size_t size = 0;
  for (const std::string_view part :
       {prefix, std::string_view("rl:"), limit, std::string_view(":")}) {
    size += part.copy(text + size, sizeof(text) - kHexDigits - size);
  }
  for (size_t i = 0; i < kHexDigits; ++i) {
    text[size++] = kDigits[bucket >> (60 - 4 * i) & 15];
  }
  command.add(std::string_view(text, size));
}

}  // namespace weir::filters::rate_limit
