// Connections open on one listener over all workers, counted against max_connections and, by
// address, against client_connections. Shared by every snapshot that names the listener, so the
// counts outlive a reload. Any thread.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "http/forwarded.h"

namespace weir::proxy {

class Seats;

// One open connection's place; given back when it dies. Owned by the Connection. Move-only.
class Seat {
 public:
  Seat() = default;
  Seat(Seat&& other) noexcept = default;
  Seat& operator=(Seat&& other) = delete;
  ~Seat();
  // Of a taken seat whose client is not counted yet. False: that client has `per_client` of them.
  bool count_client(uint32_t per_client, const http::Address& client);

 private:
  friend class Seats;
  std::shared_ptr<Seats> seats_;
  uint64_t client_ = 0;
  bool client_counted_ = false;  // not while the limit was off
};

class Seats : public std::enable_shared_from_this<Seats> {
 public:
  enum class Answer : uint8_t { kTaken, kListenerFull, kClientFull };
  static constexpr uint32_t kUnlimited = UINT32_MAX;

  // The listener's limit first. `per_client` of kUnlimited counts no addresses and costs nothing.
  Answer take(uint32_t listener_max, uint32_t per_client, const http::Address& client, Seat& out);
  uint32_t open() const { return open_.load(std::memory_order_relaxed); }

  // Who counts as one client: an IPv4 address, or the /64 that an IPv6 host is given whole.
  static uint64_t client_key(const http::Address& client);

 private:
  friend class Seat;
  // Clients with connections open, by address: as large as there are connections, so the listener's
  // limit bounds it. Workers seldom meet in one of its parts.
  class Shard {
   public:
    bool take(uint64_t client, uint32_t limit);
    void give_back(uint64_t client);

   private:
    struct Entry {
      uint64_t client = 0;
      uint32_t count = 0;  // 0: free
    };
    size_t place_of(uint64_t client) const;  // its entry, or the free one where it belongs
    void grow();
    std::mutex mutex_;
    std::vector<Entry> entries_;  // linear probing over a power of two
    size_t used_ = 0;
  };
  static constexpr size_t kShards = 16;
  Shard& shard_of(uint64_t client);
  void give_back(const Seat& seat);

  std::atomic<uint32_t> open_{0};
  std::array<Shard, kShards> shards_;
};

// The seats of the listener of that name for as long as anybody holds them: a reload finds those
// that are taken. Config thread.
std::shared_ptr<Seats> seats_of_listener(const std::string& name);

}  // namespace weir::proxy
