// What lets clients of one listener resume their sessions: the sessions themselves, and the keys of
// tickets. Shared by all workers and by every snapshot that names the listener, so that neither a
// reload nor another worker costs a full handshake. Any thread.
#pragma once

#include <array>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/error.h"
#include "base/strings.h"

namespace weir::net {

// Sessions by id, serialised. The least recently used ones go when the size is reached.
class SessionCache {
 public:
  // What all may hold together, and how long each stays. A smaller bound than the last one is
  // reached over the next calls.
  void put(std::string_view id, std::string session, size_t bytes_max, uint64_t expires_ms);
  // Empty: unknown, or expired at `now_ms`.
  std::string find(std::string_view id, uint64_t now_ms);
  void remove(std::string_view id);
  size_t bytes() const;

 private:
  struct Entry {
    std::string id;
    std::string session;
    uint64_t expires_ms;
  };
  using Entries = std::list<Entry>;
  struct Shard {
    mutable std::mutex mutex;
    Entries entries;                                                // the most recently used first
    std::unordered_map<std::string_view, Entries::iterator> by_id;  // keys point into the entries
    size_t bytes = 0;
    void erase(Entries::iterator entry);
  };
  static constexpr size_t kShards = 16;
  Shard& shard_of(std::string_view id) { return shards_[TextHash()(id) % kShards]; }

  std::array<Shard, kShards> shards_;
};

// RFC 5077 4: AES-256-CBC and HMAC-SHA-256 under a name that says which key it was.
struct TicketKey {
  static constexpr size_t kFileBytes = 80;  // name, HMAC key, AES key: nginx's format
  std::array<uint8_t, 16> name = {};
  std::array<uint8_t, 32> hmac = {};
  std::array<uint8_t, 32> aes = {};
  uint64_t made_ms = 0;
};

// The keys of a file that a fleet shares: the first one makes tickets, the others read them.
Result<std::vector<TicketKey>> read_ticket_keys(std::string_view content);

// Keys that nobody but this process knows, made when they are due and kept as long as a ticket of
// theirs may be good.
class TicketKeys {
 public:
  TicketKey present(uint64_t now_ms, uint64_t rotate_ms, uint64_t lifetime_ms);
  // False: unknown, or too old. `is_present`: no newer one is in use.
  bool find(const uint8_t* name, uint64_t now_ms, uint64_t rotate_ms, uint64_t lifetime_ms,
            TicketKey& out, bool& is_present);

 private:
  static constexpr size_t kKeysMax = 64;  // more rotations than that in a lifetime: the oldest goes
  std::mutex mutex_;
  std::vector<TicketKey> keys_;  // the present one last
};

struct TlsMemory {
  SessionCache sessions;
  TicketKeys ticket_keys;
};

// That of the listener of that name, for as long as anybody holds it.
std::shared_ptr<TlsMemory> tls_memory_of_listener(const std::string& name);

}  // namespace weir::net
