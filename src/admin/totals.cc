#include "admin/totals.h"

#include <numeric>

namespace weir::admin {

using proxy::Counter;
using proxy::CounterTable;
using proxy::Histogram;
using proxy::HistogramTable;
using proxy::Metrics;

uint64_t HistogramTotal::count() const {
  return std::accumulate(buckets.begin(), buckets.end(), uint64_t{0});
}

double HistogramTotal::quantile_seconds(double quantile) const {
  const double rank = quantile * static_cast<double>(count());
  double before = 0;
  double lower = 0;
  for (size_t i = 0; i < Histogram::kBoundsUs.size(); ++i) {
    const double upper = Histogram::bound_seconds(i);
    const auto here = static_cast<double>(buckets[i]);
    if (here > 0 && before + here >= rank) return lower + (upper - lower) * (rank - before) / here;
    before += here;
    lower = upper;
  }
  return count() == 0 ? 0 : lower;
}

uint64_t total(const Workers& workers, Counter Metrics::*counter) {
  uint64_t sum = 0;
  for (const Metrics* worker : workers) sum += (worker->*counter).value();
  return sum;
}

std::map<uint64_t, uint64_t> total(const Workers& workers, CounterTable Metrics::*table) {
  std::map<uint64_t, uint64_t> sums;
  for (const Metrics* worker : workers) {
    (worker->*table).for_each([&sums](uint64_t key, uint64_t value) { sums[key] += value; });
  }
  return sums;
}

std::map<uint32_t, HistogramTotal> total(const Workers& workers, HistogramTable Metrics::*table) {
  std::map<uint32_t, HistogramTotal> sums;
  for (const Metrics* worker : workers) {
    const HistogramTable& histograms = worker->*table;
    for (uint32_t id = 0; id < histograms.size(); ++id) {
      const Histogram* const histogram = histograms.find(id);
      if (histogram == nullptr) continue;
      HistogramTotal& sum = sums[id];
      for (size_t i = 0; i < sum.buckets.size(); ++i) sum.buckets[i] += histogram->bucket(i);
      sum.sum_us += histogram->sum_us();
    }
  }
  return sums;
}

}  // namespace weir::admin
