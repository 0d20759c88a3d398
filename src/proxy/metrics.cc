#include "proxy/metrics.h"

#include <algorithm>

#include "base/check.h"

namespace weir::proxy {

// ---- Histogram ----

void Histogram::observe_us(uint64_t duration_us) {
  size_t bucket = 0;  // most requests are over within the first
  while (bucket < kBoundsUs.size() && duration_us > kBoundsUs[bucket]) ++bucket;
  buckets_[bucket].add();
  sum_us_.add(duration_us);
}

// ---- CounterTable ----

namespace {

constexpr size_t kFirstCapacity = 64;

}  // namespace

CounterTable::CounterTable() {
  tables_.push_back(std::make_unique<Table>(kFirstCapacity));
  table_.store(tables_.back().get(), std::memory_order_release);
}

CounterTable::Slot& CounterTable::Table::find(uint64_t key) {
  const size_t mask = slots.size() - 1;
  const uint64_t hash = key * 0x9e3779b97f4a7c15ULL;  // Fibonacci: the high bits are well mixed
  for (size_t at = hash >> 32 & mask;; at = (at + 1) & mask) {
    const uint64_t found = slots[at].key.load(std::memory_order_relaxed);
    if (found == key || found == 0) return slots[at];
  }
}

CounterTable::Slot& CounterTable::slot(uint64_t key) {
  WEIR_ASSERT(key != 0);
  Table* table = table_.load(std::memory_order_relaxed);
  Slot* slot = &table->find(key);
  if (slot->key.load(std::memory_order_relaxed) == key) return *slot;
  if ((table->used + 1) * 2 > table->slots.size()) {
    grow();
    table = table_.load(std::memory_order_relaxed);
    slot = &table->find(key);
  }
  ++table->used;
  slot->key.store(key, std::memory_order_release);
  return *slot;
}

void CounterTable::grow() {
  const Table& old = *tables_.back();
  auto bigger = std::make_unique<Table>(old.slots.size() * 2);
  for (const Slot& from : old.slots) {
    const uint64_t key = from.key.load(std::memory_order_relaxed);
    if (key == 0) continue;
    Slot& to = bigger->find(key);
    to.key.store(key, std::memory_order_relaxed);
    to.value.set(from.value.value());
    ++bigger->used;
  }
  tables_.push_back(std::move(bigger));
  table_.store(tables_.back().get(), std::memory_order_release);
}

// ---- HistogramTable ----

HistogramTable::Chunk::~Chunk() {
  for (const auto& histogram : histograms) delete histogram.load(std::memory_order_relaxed);
}

HistogramTable::~HistogramTable() {
  for (const auto& chunk : chunks_) delete chunk.load(std::memory_order_relaxed);
}

Histogram& HistogramTable::at(uint32_t id) {
  id = std::min(id, static_cast<uint32_t>(kIdsMax - 1));
  std::atomic<Chunk*>& at = chunks_[id / kChunk];
  Chunk* chunk = at.load(std::memory_order_relaxed);
  if (chunk == nullptr) {
    chunk = new Chunk;
    at.store(chunk, std::memory_order_release);
  }
  std::atomic<Histogram*>& entry = chunk->histograms[id % kChunk];
  Histogram* histogram = entry.load(std::memory_order_relaxed);
  if (histogram == nullptr) {
    histogram = new Histogram;
    entry.store(histogram, std::memory_order_release);
    if (id >= size_.load(std::memory_order_relaxed)) {
      size_.store(id + 1, std::memory_order_relaxed);
    }
  }
  return *histogram;
}

const Histogram* HistogramTable::find(uint32_t id) const {
  if (id >= kIdsMax) return nullptr;
  const Chunk* chunk = chunks_[id / kChunk].load(std::memory_order_acquire);
  return chunk == nullptr ? nullptr
                          : chunk->histograms[id % kChunk].load(std::memory_order_acquire);
}

uint32_t HistogramTable::size() const { return size_.load(std::memory_order_relaxed); }

// ---- RareCounters ----

void RareCounters::add(const char* metric,
                       std::initializer_list<std::pair<const char*, std::string_view>> labels,
                       uint64_t n) {
  Labels owned;
  owned.reserve(labels.size());
  for (const auto& [name, value] : labels) owned.emplace_back(name, value);
  const std::lock_guard lock(mutex_);
  values_[{metric, std::move(owned)}] += n;
}

RareCounters::Values RareCounters::values() const {
  const std::lock_guard lock(mutex_);
  return values_;
}

void RareCounters::keep_servers(const Servers& servers) {
  const auto has_left = [&servers](const Values::value_type& value) {
    const std::string* upstream = nullptr;
    const std::string* server = nullptr;
    for (const auto& [name, text] : value.first.second) {
      if (name == "upstream") upstream = &text;
      if (name == "server") server = &text;
    }
    return upstream != nullptr && server != nullptr && !servers.contains({*upstream, *server});
  };
  const std::lock_guard lock(mutex_);
  std::erase_if(values_, has_left);
}

RareCounters& rare_counters() {
  static RareCounters counters;
  return counters;
}

// ---- words ----

std::string_view source_word(Source source) {
  switch (source) {
    case Source::kNone: return "";
    case Source::kClient: return "client";
    case Source::kUpstream: return "upstream";
    case Source::kWeir: return "weir";
  }
  return "";
}

std::string_view kind_word(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::kNone: return "";
    case ErrorKind::kMalformed: return "malformed";
    case ErrorKind::kTooLarge: return "too_large";
    case ErrorKind::kTimeout: return "timeout";
    case ErrorKind::kConnect: return "connect";
    case ErrorKind::kTls: return "tls";
    case ErrorKind::kCertificate: return "certificate";
    case ErrorKind::kReset: return "reset";
    case ErrorKind::kNoServer: return "no_server";
    case ErrorKind::kRefused: return "refused";
    case ErrorKind::kOverload: return "overload";
    case ErrorKind::kShutdown: return "shutdown";
    case ErrorKind::kInternal: return "internal";
  }
  return "";
}

}  // namespace weir::proxy
