#include "filters/cache/tier_scripts.h"

#include <fmt/format.h>

#include "base/siphash.h"

namespace weir::filters::cache {

// Of purges that came later so many are looked through: most are about something else. A mark is
// "WRITTEN UNTIL": when its URL was last written to, or may have been, for nobody knows that where
// there was no mark; and until when it stands, which is longer than any value that it is about.
const net::RedisScript kTierGetScript = {R"(
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local most, bytes_most = 1000, 65536
local function name_of(entry) return string.match(entry, '^%S*') end
local last = redis.call('ZRANGE', KEYS[3], -1, -1, 'WITHSCORES')
if not last[1] then return {0, now, 0, ''} end
local number = tonumber(last[2])
local reply = {0, now, number, name_of(last[1])}
local value = redis.call('GET', KEYS[1])
if not value then return reply end
reply[1] = 2
if #value > tonumber(ARGV[1]) then return reply end
local vary = string.match(value, '^weirvary1 ([^\n]*)$')
if vary then
  reply[1], reply[5] = 4, vary
  return reply
end
local asked, at, name = string.match(value, '^weir1 (%d+) (%d+) (%S+)\n')
reply[1] = 3
if not asked then return reply end
reply[1] = 2
asked, at = tonumber(asked), tonumber(at)
local written = string.match(redis.call('GET', KEYS[2]) or '', '^(%d+) %d+$')
if not written or tonumber(written) >= asked or asked > now then return reply end
local place = at - (number - redis.call('ZCARD', KEYS[3]) + 1)
local news = place >= 0 and redis.call('ZRANGE', KEYS[3], place, place + most + 1) or {}
if not news[1] or name_of(news[1]) ~= name or #news > most + 1 then return reply end
local bytes = 0
for i = 2, #news do
  bytes = bytes + #news[i]
  reply[4 + i] = news[i]
end
if bytes > bytes_most then return {2, now, number, reply[4]} end
reply[1], reply[5] = 1, value
return reply
)"};

// An answer that took so long that a mark may have ended meanwhile is not taken.
const net::RedisScript kTierSetScript = {R"(
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local asked, life = tonumber(ARGV[2]), tonumber(ARGV[3])
if asked > now or now - asked > 100000 then return 0 end
local mark = redis.call('GET', KEYS[2]) or ''
local written, till = string.match(mark, '^(%d+) (%d+)$')
written, till = tonumber(written or asked - 1), tonumber(till or 0)
if written >= asked then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', life)
if till < now + life then
  till = now + life + 1000
  redis.call('SET', KEYS[2], string.format('%d %d', written, till), 'PX', till - now)
end
if ARGV[4] ~= '' then
  redis.call('SET', KEYS[3], 'weirvary1 ' .. ARGV[4], 'PX', till - now)
end
return 1
)"};

// What is being fetched meanwhile is written within 100 s, or not at all.
const net::RedisScript kTierWrittenScript = {R"(
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
for _, key in ipairs(KEYS) do
  local till = tonumber(string.match(redis.call('GET', key) or '', '^%d+ (%d+)$') or 0)
  till = math.max(till, now + 120000)
  redis.call('SET', key, now .. ' ' .. till, 'PX', till - now)
end
return #KEYS
)"};

namespace {

// The same in every instance. Who finds two texts of one hash gains nothing by it: values have
// their whole key, and a mark that is shared outdates more than it must.
std::string hash_of(std::string_view text) {
  const Hash128 hash = SipKey(0, 0).hash(text);
  return fmt::format("{:016x}{:016x}", hash.high, hash.low);
}

}  // namespace

std::string tier_key(std::string_view prefix, std::string_view primary) {
  return fmt::format("{}cache:{}", prefix, hash_of(primary));
}

std::string tier_key(std::string_view prefix, std::string_view primary, std::string_view vary,
                     std::string_view secondary) {
  if (vary.empty()) return tier_key(prefix, primary);
  return tier_key(prefix, fmt::format("{}\n\n{}\n{}", primary, vary, secondary));
}

std::string tier_mark_key(std::string_view prefix, std::string_view url) {
  return fmt::format("{}cache:url:{}", prefix, hash_of(url));
}

std::string_view tier_url_of(std::string_view primary) {
  return primary.substr(0, primary.find_first_of("?\n"));
}

}  // namespace weir::filters::cache
