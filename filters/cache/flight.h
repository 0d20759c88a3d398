// Answers that are being fetched: who asks for one meanwhile waits for it instead of asking the
// server too, or reads along.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/intrusive_list.h"
#include "base/siphash.h"
#include "base/strings.h"
#include "filters/cache/reader.h"

namespace weir::filters::cache {

class Flights;
struct Flight;

// What a flight has come to, for one who waited.
struct News {
  enum class Kind : uint8_t {
    kLead,    // fetch it yourself, for the others too: Passenger::take_lead()
    kRead,    // here it is, if it is for you: look at `vary`
    kAgain,   // it is over: look in the store again
    kFailed,  // the server gives no answer that could be kept
  };
  Kind kind = Kind::kAgain;
  Reader reader;          // of kRead; not of nothing
  std::string vary;       // its names, and
  std::string secondary;  // the key by them of whoever it was fetched for
};

// The right, and the duty, to fetch for a flight. Dropped before the flight has an answer, it goes
// to the next who waits. Movable; any thread, one at a time.
class Lead {
 public:
  Lead() = default;  // of nothing
  Lead(Lead&& other) noexcept = default;
  Lead& operator=(Lead&& other) noexcept;
  ~Lead() { drop(); }

  explicit operator bool() const { return flight_ != nullptr; }
  // The answer has begun. Who waits reads along at once if `at_once`, else when it is whole: of an
  // answer that may prove too long to be kept nobody could be given the rest.
  void publish(const Reader& reader, std::string_view vary, std::string_view secondary,
               bool at_once);
  // It is whole and the store's, or has broken off: who waits looks again.
  void finish();
  // The server has failed: who waits takes what is stale, or asks for himself.
  void fail();
  // Nobody boards any more. Whether somebody waits for the end.
  bool close();
  // It is not to be shared; nor will the next ones be, for a while.
  void refuse(uint64_t now_ms);

 private:
  friend class Flights;
  friend class Passenger;
  explicit Lead(std::shared_ptr<Flight> flight) : flight_(std::move(flight)) {}
  void drop();
  void end(News::Kind kind);

  std::shared_ptr<Flight> flight_;
};

// Who waits for a flight. A member of the filter, which calls leave() before it dies.
class Passenger {
 public:
  Passenger() = default;
  Passenger(const Passenger&) = delete;
  Passenger& operator=(const Passenger&) = delete;

  // Once per flight, on any thread, with the flight's lock held: nothing but post the news to the
  // own worker.
  virtual void on_news(News news) noexcept = 0;
  // After News::kLead. Of nothing when it was lost by leave().
  Lead take_lead();
  void leave();
  bool aboard() const { return flight_ != nullptr; }

 protected:
  virtual ~Passenger() = default;

 private:
  friend class Flights;
  friend class Lead;
  friend struct Flight;
  std::shared_ptr<Flight> flight_;  // the owner's
  ListHook hook_;                   // under the flight's lock
  bool leads_ = false;              // under the flight's lock: named, and has not taken it yet
};

// All flights of the process. Any thread.
class Flights {
 public:
  // Waiting for one answer. Reached: the next ones are told so.
  static constexpr size_t kPassengersMax = 10'000;
  // For how long an answer that could not be shared keeps others from waiting for the next one.
  static constexpr uint64_t kAloneMs = 10'000;

  enum class Join : uint8_t {
    kLead,   // `lead` is set: there was no flight
    kWait,   // `passenger` is aboard, and on_news() follows
    kRead,   // `news` has a reader already
    kAlone,  // answers of this key were not to be shared lately: fetch your own
    kFull,
  };
  Flights();
  Join join(std::string_view key, Passenger& passenger, Lead& lead, News& news, uint64_t now_ms);
  // The same, for somebody who would not wait: of nothing where there is a flight.
  Lead try_lead(std::string_view key);
  // Nobody joins flights of these keys any more: what they fetch is void for who asks from now on.
  void outdate(const std::function<bool(std::string_view key)>& which);

 private:
  friend class Lead;
  friend class Passenger;
  friend struct Flight;
  static constexpr size_t kShards = 16;
  static constexpr size_t kAloneMarks = 4096;
  struct Shard {
    std::mutex mutex;
    std::unordered_map<std::string, std::shared_ptr<Flight>, TextHash, std::equal_to<>> flights;
  };

  Shard& shard_of(std::string_view key);
  std::atomic<uint64_t>& mark_of(std::string_view key, uint64_t& tag);
  bool is_alone(std::string_view key, uint64_t now_ms);
  void end(const Flight& flight);

  const SipKey secret_;
  std::array<Shard, kShards> shards_;
  // A tag of the key and until when, in seconds. A tag that two keys share costs one of them
  // nothing but waiting together.
  std::array<std::atomic<uint64_t>, kAloneMarks> alone_{};
};
Flights& flights();  // the process's

}  // namespace weir::filters::cache
