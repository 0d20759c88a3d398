#include "proxy/seats.h"

#include <cstring>
#include <random>
#include <unordered_map>

#include "base/check.h"

namespace weir::proxy {

namespace {

// Mixed with a number that nobody outside knows: clients cannot choose addresses that collide.
uint64_t hash_of(uint64_t client) {
  static const uint64_t seed = [] {
    std::random_device random;
    return uint64_t{random()} << 32 | random();
  }();
  uint64_t mixed = client ^ seed;
  mixed = (mixed ^ mixed >> 32) * 0x9e3779b97f4a7c15;
  mixed = (mixed ^ mixed >> 29) * 0xbf58476d1ce4e5b9;
  return mixed ^ mixed >> 32;
}

}  // namespace

Seat::~Seat() {
  if (seats_ != nullptr) seats_->give_back(*this);
}

bool Seat::count_client(uint32_t per_client, const http::Address& client) {
  WEIR_CHECK(seats_ != nullptr && !client_counted_);
  if (per_client == Seats::kUnlimited) return true;
  const uint64_t key = Seats::client_key(client);
  if (!seats_->shard_of(key).take(key, per_client)) return false;
  client_ = key;
  client_counted_ = true;
  return true;
}

Seats::Answer Seats::take(uint32_t listener_max, uint32_t per_client, const http::Address& client,
                          Seat& out) {
  WEIR_CHECK(out.seats_ == nullptr);
  if (open_.fetch_add(1, std::memory_order_relaxed) >= listener_max) {
    open_.fetch_sub(1, std::memory_order_relaxed);
    return Answer::kListenerFull;
  }
  out.seats_ = shared_from_this();
  if (out.count_client(per_client, client)) return Answer::kTaken;
  out.seats_.reset();
  open_.fetch_sub(1, std::memory_order_relaxed);
  return Answer::kClientFull;
}

void Seats::give_back(const Seat& seat) {
  if (seat.client_counted_) shard_of(seat.client_).give_back(seat.client_);
  open_.fetch_sub(1, std::memory_order_relaxed);
}

// A v4 address, as ::ffff:a.b.c.d, counts by its lower half; no IPv6 host has such a prefix.
uint64_t Seats::client_key(const http::Address& client) {
  uint64_t key = 0;
  std::memcpy(&key, client.bytes + (client.v4 ? sizeof(key) : 0), sizeof(key));
  return key;
}

Seats::Shard& Seats::shard_of(uint64_t client) {
  return shards_[hash_of(client) >> 60 & (kShards - 1)];
}

bool Seats::Shard::take(uint64_t client, uint32_t limit) {
  const std::lock_guard lock(mutex_);
  if ((used_ + 1) * 4 > entries_.size() * 3) grow();
  Entry& entry = entries_[place_of(client)];
  if (entry.count >= limit) return false;
  if (entry.count++ == 0) {
    entry.client = client;
    ++used_;
  }
  return true;
}

void Seats::Shard::give_back(uint64_t client) {
  const std::lock_guard lock(mutex_);
  size_t hole = place_of(client);
  WEIR_CHECK(entries_[hole].count > 0);
  if (--entries_[hole].count > 0) return;
  --used_;
  // Entries behind the hole that would no longer be found move up.
  const size_t mask = entries_.size() - 1;
  for (size_t at = (hole + 1) & mask; entries_[at].count != 0; at = (at + 1) & mask) {
    const size_t home = hash_of(entries_[at].client) & mask;
    if (((at - home) & mask) < ((at - hole) & mask)) continue;
    entries_[hole] = entries_[at];
    entries_[at].count = 0;
    hole = at;
  }
}

size_t Seats::Shard::place_of(uint64_t client) const {
  const size_t mask = entries_.size() - 1;
  size_t at = hash_of(client) & mask;
  while (entries_[at].count != 0 && entries_[at].client != client) at = (at + 1) & mask;
  return at;
}

void Seats::Shard::grow() {
  constexpr size_t kFirst = 16;
  std::vector<Entry> before(entries_.empty() ? kFirst : entries_.size() * 2);
  before.swap(entries_);
  for (const Entry& entry : before) {
    if (entry.count != 0) entries_[place_of(entry.client)] = entry;
  }
}

std::shared_ptr<Seats> seats_of_listener(const std::string& name) {
  static std::mutex mutex;
  static std::unordered_map<std::string, std::weak_ptr<Seats>> by_name;
  const std::lock_guard lock(mutex);
  std::erase_if(by_name, [](const auto& entry) { return entry.second.expired(); });
  std::weak_ptr<Seats>& known = by_name[name];
  std::shared_ptr<Seats> seats = known.lock();
  if (seats == nullptr) known = seats = std::make_shared<Seats>();
  return seats;
}

}  // namespace weir::proxy
