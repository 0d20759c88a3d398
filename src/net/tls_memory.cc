#include "net/tls_memory.h"

#include <openssl/rand.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/check.h"

namespace weir::net {

namespace {

// An entry costs more than its bytes: two nodes and what the allocator adds.
constexpr size_t kEntryBytes = 200;

template <size_t kSize>
void take(std::string_view& from, std::array<uint8_t, kSize>& out) {
  std::memcpy(out.data(), from.data(), kSize);
  from.remove_prefix(kSize);
}

}  // namespace

void SessionCache::Shard::erase(Entries::iterator entry) {
  bytes -= entry->id.size() + entry->session.size() + kEntryBytes;
  by_id.erase(entry->id);
  entries.erase(entry);
}

void SessionCache::put(std::string_view id, std::string session, size_t bytes_max,
                       uint64_t expires_ms) {
  Shard& shard = shard_of(id);
  const std::lock_guard lock(shard.mutex);
  if (const auto known = shard.by_id.find(id); known != shard.by_id.end()) {
    shard.erase(known->second);
  }
  shard.entries.push_front({std::string(id), std::move(session), expires_ms});
  const auto added = shard.entries.begin();
  shard.by_id.emplace(added->id, added);
  shard.bytes += added->id.size() + added->session.size() + kEntryBytes;
  while (shard.bytes > bytes_max / kShards) shard.erase(std::prev(shard.entries.end()));
}

std::string SessionCache::find(std::string_view id, uint64_t now_ms) {
  Shard& shard = shard_of(id);
  const std::lock_guard lock(shard.mutex);
  const auto known = shard.by_id.find(id);
  if (known == shard.by_id.end()) return {};
  const Entries::iterator entry = known->second;
  if (entry->expires_ms <= now_ms) {
    shard.erase(entry);
    return {};
  }
  shard.entries.splice(shard.entries.begin(), shard.entries, entry);
  return entry->session;
}

void SessionCache::remove(std::string_view id) {
  Shard& shard = shard_of(id);
  const std::lock_guard lock(shard.mutex);
  const auto known = shard.by_id.find(id);
  if (known != shard.by_id.end()) shard.erase(known->second);
}

size_t SessionCache::bytes() const {
  size_t sum = 0;
  for (const Shard& shard : shards_) {
    const std::lock_guard lock(shard.mutex);
    sum += shard.bytes;
  }
  return sum;
}

Result<std::vector<TicketKey>> read_ticket_keys(std::string_view content) {
  using Keys = Result<std::vector<TicketKey>>;
  constexpr size_t kKeysMax = 32;
  if (content.empty() || content.size() % TicketKey::kFileBytes != 0) {
    return Keys::failure("holds " + std::to_string(content.size()) +
                         " bytes, not a multiple of 80");
  }
  if (content.size() > kKeysMax * TicketKey::kFileBytes) return Keys::failure("holds more than 32");
  std::vector<TicketKey> keys;
  while (!content.empty()) {
    TicketKey& key = keys.emplace_back();
    take(content, key.name);
    take(content, key.hmac);
    take(content, key.aes);
  }
  return keys;
}

TicketKey TicketKeys::present(uint64_t now_ms, uint64_t rotate_ms, uint64_t lifetime_ms) {
  const std::lock_guard lock(mutex_);
  if (!keys_.empty() && now_ms - keys_.back().made_ms < rotate_ms) return keys_.back();
  // The last ticket of a key was made when the next key was.
  while (keys_.size() > 1 && keys_[1].made_ms + lifetime_ms < now_ms) keys_.erase(keys_.begin());
  if (keys_.size() == kKeysMax) keys_.erase(keys_.begin());
  TicketKey& key = keys_.emplace_back();
  key.made_ms = now_ms;
  WEIR_CHECK(RAND_bytes(key.name.data(), static_cast<int>(key.name.size())) == 1);
  WEIR_CHECK(RAND_priv_bytes(key.hmac.data(), static_cast<int>(key.hmac.size())) == 1);
  WEIR_CHECK(RAND_priv_bytes(key.aes.data(), static_cast<int>(key.aes.size())) == 1);
  return key;
}

bool TicketKeys::find(const uint8_t* name, uint64_t now_ms, uint64_t rotate_ms,
                      uint64_t lifetime_ms, TicketKey& out, bool& is_present) {
  const std::lock_guard lock(mutex_);
  for (size_t i = keys_.size(); i-- > 0;) {
    if (std::memcmp(keys_[i].name.data(), name, keys_[i].name.size()) != 0) continue;
    is_present = i + 1 == keys_.size() && now_ms - keys_[i].made_ms < rotate_ms;
    if (!is_present && i + 1 < keys_.size() && keys_[i + 1].made_ms + lifetime_ms < now_ms) {
      return false;
    }
    out = keys_[i];
    return true;
  }
  return false;
}

std::shared_ptr<TlsMemory> tls_memory_of_listener(const std::string& name) {
  static std::mutex mutex;
  static std::unordered_map<std::string, std::weak_ptr<TlsMemory>> by_name;
  const std::lock_guard lock(mutex);
  std::erase_if(by_name, [](const auto& entry) { return entry.second.expired(); });
  std::weak_ptr<TlsMemory>& known = by_name[name];
  std::shared_ptr<TlsMemory> memory = known.lock();
  if (memory == nullptr) known = memory = std::make_shared<TlsMemory>();
  return memory;
}

}  // namespace weir::net
