#include "filters/cache/flight.h"

#include <utility>

#include "base/check.h"

namespace weir::filters::cache {

// Shared by its lead, its passengers and the table. Locks nest: shard, then flight.
struct Flight {
  explicit Flight(std::string_view text) : key(text) {}

  const std::string key;
  std::mutex mutex;
  IntrusiveList<Passenger, &Passenger::hook_> passengers;
  size_t waiting = 0;
  Reader reader;  // of nothing: nobody may read yet
  std::string vary;
  std::string secondary;
  bool over = false;  // has left the table, or is about to

  News news(News::Kind kind) const {
    News out;
    out.kind = kind;
    if (kind != News::Kind::kRead) return out;
    out.reader = reader;
    out.vary = vary;
    out.secondary = secondary;
    return out;
  }
  // REQUIRES: the lock, for both.
  Passenger* take_first() {
    Passenger* first = passengers.front();
    if (first == nullptr) return nullptr;
    first->hook_.unlink();
    --waiting;
    return first;
  }
  void tell_all(News::Kind kind) {
    while (Passenger* passenger = take_first()) passenger->on_news(news(kind));
  }
};

// ---- Lead ----

Lead& Lead::operator=(Lead&& other) noexcept {
  if (this != &other) {
    drop();
    flight_ = std::move(other.flight_);
  }
  return *this;
}

void Lead::publish(const Reader& reader, std::string_view vary, std::string_view secondary,
                   bool at_once) {
  const std::lock_guard<std::mutex> lock(flight_->mutex);
  flight_->vary = vary;
  flight_->secondary = secondary;
  if (!at_once) return;
  flight_->reader = reader;
  flight_->tell_all(News::Kind::kRead);
}

void Lead::finish() { end(News::Kind::kAgain); }

void Lead::fail() { end(News::Kind::kFailed); }

void Lead::end(News::Kind kind) {
  const std::shared_ptr<Flight> flight = std::exchange(flight_, nullptr);
  flights().end(*flight);
  const std::lock_guard<std::mutex> lock(flight->mutex);
  flight->over = true;
  flight->tell_all(kind);
}

bool Lead::close() {
  flights().end(*flight_);
  const std::lock_guard<std::mutex> lock(flight_->mutex);
  flight_->over = true;
  flight_->reader = Reader();
  return flight_->waiting > 0;
}

void Lead::refuse(uint64_t now_ms) {
  uint64_t tag = 0;
  std::atomic<uint64_t>& mark = flights().mark_of(flight_->key, tag);
  mark.store(tag | ((now_ms + Flights::kAloneMs) / 1000 & 0xffff'ffff), std::memory_order_relaxed);
  finish();
}

// Left before there was an answer: the next one takes it on.
void Lead::drop() {
  const std::shared_ptr<Flight> flight = std::exchange(flight_, nullptr);
  if (flight == nullptr) return;
  {
    const std::lock_guard<std::mutex> lock(flight->mutex);
    if (!flight->reader) {
      if (Passenger* next = flight->take_first()) {
        next->leads_ = true;
        next->on_news(flight->news(News::Kind::kLead));
        return;
      }
    }
    flight->over = true;
  }
  flights().end(*flight);
}

// ---- Passenger ----

Lead Passenger::take_lead() {
  if (flight_ == nullptr) return {};
  const std::shared_ptr<Flight> flight = std::exchange(flight_, nullptr);
  const std::lock_guard<std::mutex> lock(flight->mutex);
  return std::exchange(leads_, false) ? Lead(flight) : Lead();
}

void Passenger::leave() {
  if (flight_ == nullptr) return;
  const std::shared_ptr<Flight> flight = std::exchange(flight_, nullptr);
  Lead passed_on;
  {
    const std::lock_guard<std::mutex> lock(flight->mutex);
    if (hook_.linked()) {
      hook_.unlink();
      --flight->waiting;
    }
    if (std::exchange(leads_, false)) passed_on = Lead(flight);
  }
}

// ---- Flights ----

Flights::Flights() : secret_(SipKey::random()) {}

Flights::Shard& Flights::shard_of(std::string_view key) {
  return shards_[secret_.hash(key).low % kShards];
}

std::atomic<uint64_t>& Flights::mark_of(std::string_view key, uint64_t& tag) {
  const Hash128 hash = secret_.hash(key);
  tag = hash.low & 0xffff'ffff'0000'0000;
  return alone_[hash.high % kAloneMarks];
}

bool Flights::is_alone(std::string_view key, uint64_t now_ms) {
  uint64_t tag = 0;
  const uint64_t mark = mark_of(key, tag).load(std::memory_order_relaxed);
  return mark != 0 && (mark & 0xffff'ffff'0000'0000) == tag && (mark & 0xffff'ffff) > now_ms / 1000;
}

Flights::Join Flights::join(std::string_view key, Passenger& passenger, Lead& lead, News& news,
                            uint64_t now_ms) {
  passenger.leave();
  if (is_alone(key, now_ms)) return Join::kAlone;
  Shard& shard = shard_of(key);
  const std::lock_guard<std::mutex> lock(shard.mutex);
  const auto at = shard.flights.find(key);
  if (at != shard.flights.end()) {
    Flight& flight = *at->second;
    const std::lock_guard<std::mutex> flight_lock(flight.mutex);
    if (!flight.over) {
      if (flight.reader) {
        news = flight.news(News::Kind::kRead);
        return Join::kRead;
      }
      if (flight.waiting == kPassengersMax) return Join::kFull;
      passenger.flight_ = at->second;
      flight.passengers.push_back(passenger);
      ++flight.waiting;
      return Join::kWait;
    }
  }
  std::shared_ptr<Flight> flight = std::make_shared<Flight>(key);
  shard.flights.insert_or_assign(flight->key, flight);
  lead = Lead(std::move(flight));
  return Join::kLead;
}

Lead Flights::try_lead(std::string_view key) {
  Shard& shard = shard_of(key);
  const std::lock_guard<std::mutex> lock(shard.mutex);
  if (shard.flights.find(key) != shard.flights.end()) return {};
  std::shared_ptr<Flight> flight = std::make_shared<Flight>(key);
  shard.flights.emplace(flight->key, flight);
  return Lead(std::move(flight));
}

void Flights::outdate(const std::function<bool(std::string_view key)>& which) {
  for (Shard& shard : shards_) {
    const std::lock_guard<std::mutex> lock(shard.mutex);
    std::erase_if(shard.flights, [&](const auto& entry) { return which(entry.first); });
  }
}

// Another one of that key may be under way by now.
void Flights::end(const Flight& flight) {
  Shard& shard = shard_of(flight.key);
  const std::lock_guard<std::mutex> lock(shard.mutex);
  const auto at = shard.flights.find(flight.key);
  if (at != shard.flights.end() && at->second.get() == &flight) shard.flights.erase(at);
}

Flights& flights() {
  static Flights all;
  return all;
}

}  // namespace weir::filters::cache
