// The estimate of the 95th percentile that hedging waits for.
#include "upstream/hedge.h"

#include <catch2/catch.hpp>

#include <random>

namespace weir::upstream {
namespace {

TEST_CASE("latency tail: says nothing before a hundred answers") {
  LatencyTail tail;
  for (int i = 0; i < 99; ++i) tail.note(1000);
  CHECK(tail.p95_us() == 0);
  tail.note(1000);
  CHECK(tail.p95_us() > 0);
}

TEST_CASE("latency tail: is near the 95th percentile, whatever the scale, and follows it") {
  std::mt19937 random(7);
  for (const uint64_t scale_us : {10, 1000, 1'000'000}) {
    LatencyTail tail;
    for (const uint64_t factor : {1, 10, 1}) {
      std::uniform_int_distribution<uint64_t> latency(0, scale_us * factor);
      for (int i = 0; i < 3000; ++i) tail.note(latency(random));
      double sum = 0;
      for (int i = 0; i < 1000; ++i) {
        tail.note(latency(random));
        sum += static_cast<double>(tail.p95_us());
      }
      const double mean = sum / 1000 / static_cast<double>(scale_us * factor);
      CAPTURE(scale_us, factor, mean);
      CHECK(mean > 0.80);
      CHECK(mean < 1.05);
    }
  }
}

TEST_CASE("latency tail: what was given up counts as long, not as what it was given") {
  // One in ten takes forever and is given up right after the estimate: it must not creep down to
  // where the others are.
  LatencyTail tail;
  for (int i = 0; i < 10'000; ++i) {
    const bool endless = i % 10 == 0;
    tail.note(endless ? tail.p95_us() + 1 : 1000);
  }
  CHECK(tail.p95_us() > 1500);
}

}  // namespace
}  // namespace weir::upstream
