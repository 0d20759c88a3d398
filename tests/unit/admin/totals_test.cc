#include "admin/totals.h"

#include <catch2/catch.hpp>

namespace weir::admin {
namespace {

using proxy::Histogram;
using proxy::Metrics;

TEST_CASE("sums go over all workers") {
  Metrics first;
  Metrics second;
  const Workers workers = {&first, &second};
  first.active_connections.add(2);
  second.active_connections.add(3);
  CHECK(total(workers, &Metrics::active_connections) == 5);

  first.requests.add(7, 1);
  second.requests.add(7, 10);
  second.requests.add(8, 100);
  CHECK(total(workers, &Metrics::requests) == std::map<uint64_t, uint64_t>{{7, 11}, {8, 100}});

  first.request_duration.at(1).observe_us(500);
  second.request_duration.at(1).observe_us(600'000);
  second.request_duration.at(4).observe_us(1);
  const auto histograms = total(workers, &Metrics::request_duration);
  REQUIRE(histograms.size() == 2);
  CHECK(histograms.at(1).count() == 2);
  CHECK(histograms.at(1).sum_us == 600'500);
  CHECK(histograms.at(1).buckets[0] == 1);
  CHECK(histograms.at(4).count() == 1);
}

TEST_CASE("gauges of several workers that go up and down add up") {
  Metrics first;
  Metrics second;
  first.upstream_connections_idle.add(1, 4);
  first.upstream_connections_idle.sub(1, 3);
  second.upstream_connections_idle.add(1);
  const auto sums = total({&first, &second}, &Metrics::upstream_connections_idle);
  CHECK(sums == std::map<uint64_t, uint64_t>{{1, 2}});
}

TEST_CASE("quantiles are interpolated within their bucket") {
  HistogramTotal histogram;
  CHECK(histogram.quantile_seconds(0.5) == 0);

  histogram.buckets[3] = 100;  // 5 to 10 ms
  CHECK(histogram.quantile_seconds(0.5) == Approx(0.0075));
  CHECK(histogram.quantile_seconds(1.0) == Approx(0.010));

  histogram.buckets[0] = 900;  // up to 1 ms
  CHECK(histogram.quantile_seconds(0.5) == Approx(0.001 * 500 / 900));
  CHECK(histogram.quantile_seconds(0.95) == Approx(0.0075));
}

TEST_CASE("what lies above the last bound is reported as that bound") {
  HistogramTotal histogram;
  histogram.buckets.back() = 10;
  CHECK(histogram.quantile_seconds(0.5) ==
        Histogram::bound_seconds(Histogram::kBoundsUs.size() - 1));
}

}  // namespace
}  // namespace weir::admin
