#include "upstream/checks.h"

#include <algorithm>
#include <future>
#include <map>
#include <string>
#include <utility>

#include "net/timer_wheel.h"
#include "net/worker.h"
#include "upstream/census.h"
#include "upstream/outlier.h"
#include "upstream/server_check.h"

namespace weir::upstream {

namespace {

using ClusterPtr = std::shared_ptr<const Cluster>;

// How old what workers have counted may be, and how late an ejection may end.
constexpr uint64_t kTickMs = 100;

bool wants_watching(const Cluster& cluster) {
  return cluster.check || cluster.outlier || cluster.panic > 0;
}

}  // namespace

// Everything that lives on the Checker's thread, and nothing of it anywhere else.
class CheckLoop {
 public:
  CheckLoop()
      : worker_(0),
        context_{worker_, {}},
        tick_(worker_.timers(), this, &net::Timer::call<CheckLoop, &CheckLoop::on_tick>) {}

  net::Worker& worker() { return worker_; }
  void run() { worker_.run(); }

  void take(std::vector<ClusterPtr> clusters) {
    Checks checks;
    Judges judges;
    for (const ClusterPtr& cluster : clusters) {
      if (cluster->check) take_checks(cluster, checks);
      if (cluster->outlier) {
        OutlierJudge& judge = judges[cluster->name];
        if (const auto known = judges_.find(cluster->name); known != judges_.end()) {
          judge = std::move(known->second);
          judges_.erase(known);
        }
        judge.take(cluster);
      }
    }
    for (auto& [name, judge] : judges_) judge.end();
    judges_ = std::move(judges);
    checks_ = std::move(checks);  // the others end
    clusters_ = std::move(clusters);
    on_tick();
  }

  void end() {
    tick_.cancel();
    checks_.clear();
    worker_.stop();
  }

 private:
  using Checks = std::map<const EndpointState*, std::unique_ptr<ServerCheck>>;
  using Judges = std::map<std::string, OutlierJudge>;

  void take_checks(const ClusterPtr& cluster, Checks& checks) {
    for (size_t i = 0; i < cluster->servers.size(); ++i) {
      const Server& server = cluster->servers[i];
      std::unique_ptr<ServerCheck>& check = checks[server.state.get()];
      if (check != nullptr) continue;  // listed twice
      const auto known = checks_.find(server.state.get());
      if (known != checks_.end() && known->second->fits(*cluster, server)) {
        check = std::move(known->second);
        check->adopt(cluster, i);
        checks_.erase(known);
        continue;
      }
      if (known != checks_.end()) checks_.erase(known);
      check = std::make_unique<ServerCheck>(context_, cluster, i);
    }
  }

  void on_tick() {
    for (auto& [state, check] : checks_) check->follow_addresses();
    for (auto& [name, judge] : judges_) judge.look(worker_.now_ms());
    for (const ClusterPtr& cluster : clusters_) take_census(*cluster);
    if (!clusters_.empty()) tick_.arm_ms(kTickMs);
  }

  net::Worker worker_;
  CheckContext context_;
  net::Timer tick_;
  Checks checks_;
  Judges judges_;
  std::vector<ClusterPtr> clusters_;
};

Checker::~Checker() {
  if (loop_ == nullptr) return;
  loop_->worker().post([loop = loop_] { loop->end(); });
  thread_.join();
}

void Checker::watch(std::vector<ClusterPtr> clusters) {
  std::erase_if(clusters, [](const ClusterPtr& cluster) { return !wants_watching(*cluster); });
  if (loop_ == nullptr) {
    if (clusters.empty()) return;
    std::promise<CheckLoop*> started;
    thread_ = std::thread([&started] {
      CheckLoop loop;
      started.set_value(&loop);  // what was captured by reference ends now
      loop.run();
    });
    loop_ = started.get_future().get();
  }
  loop_->worker().post([loop = loop_, clusters = std::move(clusters)]() mutable {
    loop->take(std::move(clusters));
  });
}

}  // namespace weir::upstream
