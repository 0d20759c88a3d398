// Sums over workers, made when somebody asks. Any thread; numbers of one answer may be some
// microseconds apart.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <vector>

#include "proxy/metrics.h"

namespace weir::admin {

using Workers = std::vector<proxy::Metrics*>;

struct HistogramTotal {
  std::array<uint64_t, proxy::Histogram::kBoundsUs.size() + 1> buckets{};  // not cumulative
  uint64_t sum_us = 0;

  uint64_t count() const;
  // Interpolated within the bucket that holds it, as Prometheus does; the last bound at most.
  double quantile_seconds(double quantile) const;
};

uint64_t total(const Workers& workers, proxy::Counter proxy::Metrics::*counter);
std::map<uint64_t, uint64_t> total(const Workers& workers,
                                   proxy::CounterTable proxy::Metrics::*table);
std::map<uint32_t, HistogramTotal> total(const Workers& workers,
                                         proxy::HistogramTable proxy::Metrics::*table);

}  // namespace weir::admin
