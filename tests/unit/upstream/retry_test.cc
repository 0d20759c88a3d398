// What a retry section covers, how long it waits, and how many second tries its budget grants.
#include "upstream/retry.h"

#include <catch2/catch.hpp>

#include <thread>
#include <vector>

namespace weir::upstream {
namespace {

constexpr uint64_t kNow = 1'000'000;  // the beginning of a slot

uint32_t granted(RetryBudget& budget, uint64_t now_ms, double share, uint32_t asked) {
  uint32_t granted = 0;
  for (uint32_t i = 0; i < asked; ++i) granted += budget.take(now_ms, share) ? 1 : 0;
  return granted;
}

TEST_CASE("retry: by itself weir tries again what was not sent or not answered, once") {
  const RetryConfig config;
  const auto covers = [&](ErrorKind kind, Retry retry) {
    return config.covers({Source::kUpstream, kind, retry, ""});
  };
  CHECK(config.attempts == 2);
  CHECK_FALSE(config.budgeted);
  CHECK(covers(ErrorKind::kConnect, Retry::kNothingSent));
  CHECK(covers(ErrorKind::kTls, Retry::kNothingSent));
  CHECK(covers(ErrorKind::kTimeout, Retry::kNothingSent));  // of the dial
  CHECK(covers(ErrorKind::kReset, Retry::kIfIdempotent));
  CHECK(covers(ErrorKind::kTimeout, Retry::kIfIdempotent));  // no answer to a PING
  CHECK_FALSE(covers(ErrorKind::kTimeout, Retry::kNever));   // a slow answer
  CHECK_FALSE(covers(ErrorKind::kMalformed, Retry::kIfIdempotent));
  CHECK_FALSE(config.lists(503));
  for (const http::Method method : {http::Method::kPost, http::Method::kPatch}) {
    CHECK((config.methods & http::bit(method)) == 0);
  }
}

TEST_CASE("retry: reasons and statuses are what is listed") {
  RetryConfig config;
  config.reasons = RetryConfig::kTimeout;
  config.statuses.set(503 - RetryConfig::kStatusMin);
  CHECK(config.covers({Source::kUpstream, ErrorKind::kTimeout, Retry::kNever, ""}));
  CHECK_FALSE(config.covers({Source::kUpstream, ErrorKind::kTimeout, Retry::kNothingSent, ""}));
  CHECK_FALSE(config.covers({Source::kUpstream, ErrorKind::kReset, Retry::kIfIdempotent, ""}));
  for (int status = 100; status < 700; ++status) CHECK(config.lists(status) == (status == 503));
  const Error no_http = {Source::kUpstream, ErrorKind::kMalformed, Retry::kNever, ""};
  CHECK_FALSE(config.covers(no_http));
  config.statuses.set(502 - RetryConfig::kStatusMin);
  CHECK(config.covers(no_http));
}

TEST_CASE("retry: the first comes at once, later ones wait twice as long each, to ten times") {
  RetryConfig config;
  config.backoff_ms = 30;
  const uint64_t expected[] = {0, 0, 30, 60, 120, 240, 300, 300, 300, 300};
  for (uint32_t attempts = 0; attempts < limits::kAttemptsMax; ++attempts) {
    CHECK(config.backoff_max_ms(attempts) == expected[attempts]);
  }
  config.backoff_ms = 0;
  CHECK(config.backoff_max_ms(9) == 0);
}

TEST_CASE("retry budget: some are free, more are a share of the requests") {
  RetryBudget budget;
  CHECK(granted(budget, kNow, 0.2, 100) == limits::kRetriesFree);
  for (int i = 0; i < 200; ++i) budget.note_request(kNow);
  CHECK(granted(budget, kNow, 0.2, 100) == 40 - limits::kRetriesFree);
  CHECK(granted(budget, kNow, 0.5, 100) == 60);
  CHECK(granted(budget, kNow, 0, 100) == 0);
}

TEST_CASE("retry budget: the past counts for 5 to 10 seconds") {
  RetryBudget budget;
  for (int i = 0; i < 100; ++i) budget.note_request(kNow);
  CHECK(granted(budget, kNow + 4'999, 0.5, 100) == 50);
  CHECK(granted(budget, kNow + 5'000, 0.5, 100) == 0);
  CHECK(granted(budget, kNow + 9'999, 0.5, 100) == 0);
  CHECK(granted(budget, kNow + 10'000, 0.5, 100) == limits::kRetriesFree);
  // A word that was not touched for long is about another slot.
  for (int i = 0; i < 100; ++i) budget.note_request(kNow + 3'600'000);
  CHECK(granted(budget, kNow + 3'600'000, 0.5, 100) == 50);
}

TEST_CASE("retry budget: workers together get no more than one", "[threads]") {
  RetryBudget budget;
  for (int i = 0; i < 1000; ++i) budget.note_request(kNow);
  std::vector<uint32_t> each(4);
  std::vector<std::thread> workers;
  for (uint32_t& mine : each) {
    workers.emplace_back([&budget, &mine] { mine = granted(budget, kNow, 0.2, 1000); });
  }
  for (std::thread& worker : workers) worker.join();
  CHECK(each[0] + each[1] + each[2] + each[3] == 200);
}

}  // namespace
}  // namespace weir::upstream
