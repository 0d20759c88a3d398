// Plain numbers of one worker. The worker is the only writer, the admin thread reads at any time:
// every number is an atomic that is loaded and stored relaxed (no locked instruction on the path of
// a request). Sums over workers are made at scrape. Names and labels: config/README.md, section
// metrics.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <initializer_list>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "http/accept_encoding.h"
#include "http/message.h"
#include "proxy/cache_result.h"
#include "proxy/mirror.h"

namespace weir::proxy {

// Single writer, many readers.
class Counter {
 public:
  void add(uint64_t n = 1) { set(value() + n); }
  void sub(uint64_t n = 1) { set(value() - n); }
  void set(uint64_t value) { value_.store(value, std::memory_order_relaxed); }
  uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> value_{0};
};

// http_request_duration_seconds and weir_upstream_duration_seconds.
class Histogram {
 public:
  static constexpr std::array<uint64_t, 13> kBoundsUs = {
      1'000,   2'500,   5'000,     10'000,    25'000,    50'000,    100'000,
      250'000, 500'000, 1'000'000, 2'500'000, 5'000'000, 10'000'000};
  static constexpr double bound_seconds(size_t index) {
    return static_cast<double>(kBoundsUs[index]) / 1e6;
  }
  void observe_us(uint64_t duration_us);
  uint64_t bucket(size_t index) const { return buckets_[index].value(); }  // not cumulative
  uint64_t sum_us() const { return sum_us_.value(); }

 private:
  std::array<Counter, kBoundsUs.size() + 1> buckets_;
  Counter sum_us_;
};

// Counters by a packed key: open addressing, grows by publishing a bigger table. Retired tables are
// kept until the end (each is half the next one), so readers need no lock. One writer.
class CounterTable {
 public:
  CounterTable();
  CounterTable(const CounterTable&) = delete;
  CounterTable& operator=(const CounterTable&) = delete;

  void add(uint64_t key, uint64_t n = 1) { slot(key).value.add(n); }  // key != 0
  void sub(uint64_t key, uint64_t n = 1) { slot(key).value.sub(n); }  // for gauges
  // Calls visit(key, value) for every counter. Any thread.
  template <typename Visit>
  void for_each(Visit visit) const;

 private:
  struct Slot {
    std::atomic<uint64_t> key{0};
    Counter value;
  };
  struct Table {
    explicit Table(size_t capacity) : slots(capacity) {}
    Slot& find(uint64_t key);  // the key's slot, or the free one where it belongs
    std::vector<Slot> slots;   // a power of two of them
    size_t used = 0;           // the writer's
  };
  Slot& slot(uint64_t key);
  void grow();

  std::atomic<Table*> table_;                   // the last of tables_
  std::vector<std::unique_ptr<Table>> tables_;  // the writer's
};

// One histogram per dense id, made at first use. One writer.
class HistogramTable {
 public:
  HistogramTable() = default;
  HistogramTable(const HistogramTable&) = delete;
  HistogramTable& operator=(const HistogramTable&) = delete;
  ~HistogramTable();

  Histogram& at(uint32_t id);                // the worker
  const Histogram* find(uint32_t id) const;  // any thread; null when never used
  uint32_t size() const;                     // one past the highest id that was used

  // A million routes; ids above share the last histogram.
  static constexpr size_t kIdsMax = size_t{1} << 20;

 private:
  static constexpr size_t kChunk = 256;
  struct Chunk {
    std::array<std::atomic<Histogram*>, kChunk> histograms{};
    ~Chunk();
  };
  std::array<std::atomic<Chunk*>, kIdsMax / kChunk> chunks_{};
  std::atomic<uint32_t> size_{0};
};

// Of bodies that were compressed: before and after.
struct CodingBytes {
  Counter in;
  Counter out;
};

// All numbers of one worker.
struct Metrics {
  Counter active_connections;
  Counter requests_in_flight;
  Counter tls_full;  // handshakes with clients
  Counter tls_resumed;
  Counter tls_failed;
  Counter access_log_dropped;
  std::atomic<uint64_t> loop_lag_us{0};  // longest iteration since the last scrape, which resets it
  HistogramTable request_duration;       // by route label
  HistogramTable upstream_duration;      // by cluster index
  CounterTable requests;                 // key: request_key()
  CounterTable upstream_requests;        // key: upstream_key()
  CounterTable upstream_connections_idle;                 // by endpoint index + 1
  CounterTable split_requests;                            // key: split_key()
  CounterTable mirror_requests;                           // key: mirror_key()
  std::array<Counter, kCacheResults> cache_requests;      // by CacheResult
  CounterTable rate_limits;                               // key: limit_key() (limit_stats.h)
  std::array<CodingBytes, http::kEncodings> compression;  // by http::Encoding
  Counter compression_refused;                            // too many were under way

  // `id`: a route label (requests) or an endpoint's index (upstream_requests, any method).
  struct Key {
    uint32_t id = 0;
    http::Method method = http::Method::kOther;
    int status = 0;
  };
  static uint64_t request_key(uint32_t route_label, http::Method method, int status) {
    return pack({route_label, method, status});
  }
  static uint64_t upstream_key(uint32_t endpoint_index, int status) {
    return pack({endpoint_index, http::Method::kOther, status});
  }
  static uint64_t split_key(uint32_t route_label, uint32_t cluster_index) {
    return (uint64_t{route_label} + 1) << 32 | cluster_index;
  }
  struct MirrorKey {
    uint32_t route_label;
    uint32_t cluster_index;
    MirrorResult result;
  };
  static uint64_t mirror_key(uint32_t route_label, uint32_t cluster_index, MirrorResult result) {
    return (uint64_t{route_label} + 1) << 28 | (uint64_t{cluster_index} & 0xff'ffff) << 4 |
           static_cast<uint64_t>(result);
  }
  static MirrorKey unpack_mirror(uint64_t key) {
    return {static_cast<uint32_t>((key >> 28) - 1), static_cast<uint32_t>(key >> 4 & 0xff'ffff),
            static_cast<MirrorResult>(key & 15)};
  }
  static Key unpack(uint64_t key) {
    return {static_cast<uint32_t>((key >> 16) - 1), static_cast<http::Method>(key >> 12 & 15),
            static_cast<int>(key & 0xfff)};
  }

 private:
  static uint64_t pack(Key key) {
    return (uint64_t{key.id} + 1) << 16 | static_cast<uint64_t>(key.method) << 12 |
           (static_cast<uint64_t>(key.status) & 0xfff);
  }
};

// Events that are rare or come with words: failures, retries, refusals, protocol errors.
// Process-wide, behind a mutex; label values come from the config and closed lists, never from
// traffic. Any thread.
class RareCounters {
 public:
  using Labels = std::vector<std::pair<std::string, std::string>>;
  using Values = std::map<std::pair<std::string, Labels>, uint64_t>;  // by (metric, labels)

  // add("weir_upstream_retries_total", {{"upstream", name}, {"reason", "timeout"}})
  void add(const char* metric,
           std::initializer_list<std::pair<const char*, std::string_view>> labels, uint64_t n = 1);
  Values values() const;
  // Of servers, what is of none of these (upstream, server) is forgotten: they come and go.
  using Servers = std::set<std::pair<std::string, std::string>>;
  void keep_servers(const Servers& servers);

 private:
  mutable std::mutex mutex_;
  Values values_;
};
RareCounters& rare_counters();

// Who and what of an Error in one word each: the access log's `error`, the `reason` labels.
std::string_view source_word(Source source);
std::string_view kind_word(ErrorKind kind);

template <typename Visit>
void CounterTable::for_each(Visit visit) const {
  const Table* table = table_.load(std::memory_order_acquire);
  for (const Slot& slot : table->slots) {
    const uint64_t key = slot.key.load(std::memory_order_acquire);
    if (key != 0) visit(key, slot.value.value());
  }
}

}  // namespace weir::proxy
