// The running process: workers, admin listener, signals, reloads. The one object that knows them
// all. Owned by main() and confined to the main thread, but for what StatusSource says.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "config/load.h"
#include "member_watch.h"
#include "net/worker.h"
#include "proxy/access_log.h"
#include "proxy/proxy_worker.h"
#include "proxy/status_source.h"
#include "reload_desk.h"
#include "service.h"
#include "sockets.h"
#include "upstream/checks.h"
#include "upstream/cluster.h"
#include "worker_thread.h"

namespace weir {

class Daemon final : public proxy::StatusSource {
 public:
  explicit Daemon(std::string config_path);
  ~Daemon();

  // Blocks until a signal ends the process. Returns the exit status: 0 after a clean drain, 1 on a
  // bad config, a failed bind, or a drain past its grace.
  int run();

  // StatusSource: any thread.
  std::vector<proxy::Metrics*> worker_metrics() override;
  std::shared_ptr<const proxy::Snapshot> snapshot() override;
  std::vector<net::SocketAddress> bound_listeners(const proxy::Snapshot& snapshot) override;
  std::vector<std::shared_ptr<upstream::EndpointState>> endpoints() override;
  proxy::ReloadStats reloads() override;
  std::shared_ptr<const proxy::ReloadReceipt> reload_receipt() override { return desk_.receipt(); }
  uint64_t request_reload() override;
  std::shared_ptr<const proxy::ConfigDescription> description() override {
    return desk_.description();
  }
  uint64_t uptime_s() override;
  bool draining() override { return draining_.load(); }
  uint64_t log_dropped_lines() override;
  bool post(std::function<void(proxy::ProxyWorker&)> work) override;

 private:
  using SnapshotPtr = std::shared_ptr<const proxy::Snapshot>;

  bool load_first();
  bool open_sockets();
  bool become_user();
  bool open_log();
  std::unique_ptr<WorkerThread> make_thread(uint32_t index, proxy::LogWriter* log_writer);
  void start_all();
  void tell_admin(const SocketSet::Plan& plan, const proxy::Snapshot& snapshot);
  int serve();
  int wait_ms() const;
  void on_time();
  void save_log();
  int finish();
  void on_signal(int signal);
  void reload(const char* cause);
  std::string apply(const config::LoadResult& loaded);
  void note_source(const config::LoadResult& loaded);
  void follow_members();
  void begin_shutdown();
  void drain();
  bool workers_ended();
  void say_that_we_live();
  void warn_of_certificates();
  void warn_of_what_needs_a_restart(config::LoadResult& loaded) const;
  void free_given_back();
  void wake();
  void give_back(SnapshotPtr snapshot);

  const std::string config_path_;
  upstream::StateRegistry states_;
  config::Environment environment_;
  upstream::Checker checker_;
  ReloadDesk desk_;
  ServiceManager manager_;
  PidFile pid_file_;
  std::unique_ptr<proxy::LogWriter> log_writer_;
  std::unique_ptr<SocketSet> sockets_;
  SocketSet::Plan first_plan_;  // between open_sockets() and start_all()
  std::vector<std::unique_ptr<WorkerThread>> workers_;
  std::unique_ptr<WorkerThread> admin_;
  int wakeup_fd_ = -1;  // eventfd: a worker ended, or gave a snapshot back
  const uint64_t started_ms_;
  uint64_t drain_at_ms_ = UINT64_MAX;         // the end of shutdown.delay
  uint64_t watchdog_at_ms_ = UINT64_MAX;      // the next word to the service manager
  uint64_t certificates_at_ms_ = UINT64_MAX;  // the next look at their ends; a load looks, too
  uint64_t maintenances_at_ms_ = 0;           // the next look at their files
  bool stop_now_ = false;
  // What the process was started with, whatever later configurations say.
  struct Birth {
    uint32_t workers = 0;
    std::string user;
    std::string pid_file;
  };
  Birth birth_;
  // Of the configuration in force.
  std::shared_ptr<const config::Source> source_;  // null: nothing but it names servers
  std::vector<std::string> warnings_;
  MemberWatch members_;

  std::atomic<bool> draining_{false};  // not ready: from the first SIGTERM on
  std::mutex mutex_;                   // guards what follows
  SnapshotPtr snapshot_;
  std::vector<net::SocketAddress> bound_;  // of snapshot_->listeners
  std::vector<SnapshotPtr> given_back_;
  std::vector<std::weak_ptr<const proxy::Snapshot>> living_;
  proxy::ReloadStats reload_stats_;
};

}  // namespace weir
