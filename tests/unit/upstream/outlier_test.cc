// Who is ejected, for how long, and who never is. On a clock that the test moves.
#include "upstream/outlier.h"

#include <catch2/catch.hpp>

#include "net/clock.h"
#include "upstream/census.h"
#include "upstream/health.h"

namespace weir::upstream {
namespace {

class Court {
 public:
  explicit Court(size_t servers) {
    auto cluster = std::make_shared<Cluster>();
    cluster->name = "app";
    cluster->state = std::make_shared<ClusterState>("app", 0);
    cluster->outlier = OutlierConfig();
    for (size_t i = 0; i < servers; ++i) {
      Server& server = cluster->servers.emplace_back();
      server.address = std::to_string(i);
      server.state = std::make_shared<EndpointState>("app", server.address, i);
      server.state->set_addresses({net::parse_address("127.0.0.1:9").value()});
    }
    cluster_ = cluster;
    judge_.take(cluster);
    judge_.look(now_ms_);
  }
  Cluster& cluster() { return *cluster_; }
  OutlierJudge& judge() { return judge_; }
  void take() { judge_.take(cluster_); }
  void answers(size_t server, int count, int status, uint64_t latency_us = 1'000) {
    for (int i = 0; i < count; ++i) {
      note_answer(*cluster_, cluster_->servers[server], status, latency_us);
    }
  }
  void pass(uint64_t ms) {
    constexpr uint64_t kStepMs = 100;
    for (const uint64_t end = now_ms_ + ms; now_ms_ < end;) {
      now_ms_ += kStepMs;
      judge_.look(now_ms_);
    }
  }
  bool ejected(size_t server) const {
    return (cluster_->servers[server].state->barriers.load() & kEjected) != 0;
  }
  uint64_t now_ms() const { return now_ms_; }

 private:
  std::shared_ptr<Cluster> cluster_;
  OutlierJudge judge_;
  uint64_t now_ms_ = 1'000'000;
};

TEST_CASE("outlier: a server whose answers are errors is ejected, and comes back by time") {
  Court court(2);
  court.answers(0, 9, 200);
  court.answers(0, 10, 503);
  court.answers(1, 100, 200);
  court.pass(100);
  CHECK_FALSE(court.ejected(0));  // 19 answers are too few
  court.answers(0, 1, 0);         // a failed try
  court.pass(100);
  CHECK(court.ejected(0));
  CHECK_FALSE(court.ejected(1));
  CHECK(court.cluster().servers[0].state->ejections_for_errors.load() == 1);
  court.pass(29'900);
  CHECK(court.ejected(0));
  court.pass(200);
  CHECK_FALSE(court.ejected(0));
  court.pass(60'000);
  CHECK_FALSE(court.ejected(0));  // what it did before counts no more
}

TEST_CASE("outlier: errors below the rate, or before the window, eject nobody") {
  Court court(2);
  court.answers(0, 51, 200);
  court.answers(0, 50, 500);
  court.answers(0, 10, 404);
  court.pass(1'000);
  CHECK_FALSE(court.ejected(0));
  court.pass(11'000);
  court.answers(0, 15, 500);
  court.pass(100);
  CHECK_FALSE(court.ejected(0));
  court.pass(11'000);
  court.answers(0, 15, 500);
  court.pass(100);
  CHECK_FALSE(court.ejected(0));
}

TEST_CASE("outlier: by latency, when most answers are late") {
  Court court(2);
  court.cluster().outlier->latency_ms = 100;
  court.answers(0, 10, 200, 300'000);
  court.answers(0, 10, 200, 1'000);
  court.pass(100);
  CHECK_FALSE(court.ejected(0));
  court.answers(0, 1, 200, 300'000);
  court.pass(100);
  CHECK(court.ejected(0));
  CHECK(court.cluster().servers[0].state->ejections_for_latency.load() == 1);
}

TEST_CASE("outlier: never more than max_ejected, and the worst one first") {
  Court court(4);
  court.cluster().outlier->max_ejected = 0.34;
  court.answers(0, 15, 500);
  court.answers(0, 10, 200);
  court.answers(1, 25, 500);
  court.answers(2, 25, 500);
  court.pass(500);
  CHECK_FALSE(court.ejected(0));
  CHECK(court.ejected(1));
  CHECK_FALSE(court.ejected(2));
  Court alone(1);
  alone.answers(0, 100, 500);
  alone.pass(500);
  CHECK_FALSE(alone.ejected(0));
}

TEST_CASE("outlier: backups are judged by nobody and do not count") {
  Court court(3);
  court.cluster().servers[2].backup = true;
  court.take();
  court.answers(0, 30, 500);
  court.answers(1, 30, 500);
  court.answers(2, 30, 500);
  court.pass(500);
  CHECK(court.ejected(0));
  CHECK_FALSE(court.ejected(1));
  CHECK_FALSE(court.ejected(2));
}

TEST_CASE("outlier: who is bad again soon stays out twice as long, up to eight times") {
  Court court(2);
  for (const uint64_t seconds : {30, 60, 120, 240, 240}) {
    court.answers(0, 30, 500);
    court.pass(100);
    REQUIRE(court.ejected(0));
    court.pass(seconds * 1000 - 200);
    CHECK(court.ejected(0));
    court.pass(300);
    CHECK_FALSE(court.ejected(0));
  }
  court.pass(300'000);
  court.answers(0, 30, 500);
  court.pass(100);
  court.pass(30'100);
  CHECK_FALSE(court.ejected(0));  // it had been good for long
}

TEST_CASE("outlier: a reload keeps ejections, the end of the feature ends them") {
  Court court(2);
  court.answers(0, 30, 500);
  court.pass(100);
  court.take();
  CHECK(court.ejected(0));
  court.judge().end();
  CHECK_FALSE(court.ejected(0));
}

TEST_CASE("outlier: without it nothing is counted") {
  Court court(1);
  court.cluster().outlier.reset();
  note_answer(court.cluster(), court.cluster().servers[0], 500, 1);
  CHECK(court.cluster().servers[0].state->answers.load() == 0);
}

TEST_CASE(
    "census: a panic begins below the share and ends at it; operators' servers do not count") {
  Court court(4);
  Cluster& cluster = court.cluster();
  cluster.panic = 0.5;
  const auto barrier = [&](size_t server, uint32_t bits) {
    cluster.servers[server].state->barriers = bits;
    take_census(cluster);
    return cluster.state->panic.load();
  };
  CHECK_FALSE(barrier(0, kCheckFailed));
  CHECK_FALSE(barrier(1, kEjected));
  CHECK(barrier(2, kCheckFailed));
  CHECK(barrier(2, kTakenDown));      // one of three
  CHECK_FALSE(barrier(1, kDrained));  // one of two
  CHECK(barrier(3, kEjected));
  cluster.panic = 0;
  CHECK_FALSE(barrier(3, kCheckFailed));
}

TEST_CASE("census: no panic while a backup is up and takes it all") {
  Court court(4);
  Cluster& cluster = court.cluster();
  cluster.panic = 0.5;
  cluster.servers[3].backup = true;
  EndpointState& backup = *cluster.servers[3].state;
  for (size_t i = 0; i < 3; ++i) cluster.servers[i].state->barriers = kCheckFailed;
  const auto panics = [&] {
    take_census(cluster);
    return cluster.state->panic.load();
  };
  CHECK_FALSE(panics());
  backup.down_until_ms = net::monotonic_ms() + 60'000;
  CHECK(panics());
  backup.down_until_ms = 1;  // due for its trial: one request would be
  CHECK(panics());
  backup.down_until_ms = 0;
  CHECK_FALSE(panics());
  cluster.servers[0].state->barriers = 0;  // the one that is left would get everything
  CHECK(panics());
  cluster.servers[0].state->barriers = kCheckFailed;
  backup.barriers = kDrained;
  CHECK(panics());
}

TEST_CASE("census: degraded servers are spared as long as half of the others are not") {
  Court court(4);
  Cluster& cluster = court.cluster();
  for (size_t i = 0; i < 4; ++i) {
    cluster.servers[i].state->degraded = true;
    take_census(cluster);
    CHECK(cluster.state->spares_degraded.load() == (i < 2));
  }
}

}  // namespace
}  // namespace weir::upstream
