#include "daemon.h"

#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <climits>
#include <cstdio>
#include <ctime>
#include <future>

#include "admin/admin.h"
#include "base/blocks.h"
#include "base/check.h"
#include "base/log.h"
#include "net/clock.h"
#include "net/listener.h"
#include "net/open_files.h"
#include "privileges.h"
#include "proxy/split.h"
#include "upstream/duty.h"

namespace weir {

namespace {

// For those who asked the admin listener for what the end cut short.
constexpr uint64_t kLastAdminAnswersMs = 1000;
constexpr uint64_t kCertificatesEveryMs = 86'400'000;
constexpr uint64_t kMaintenancesEveryMs = 1000;
// Each of the two steps that the lines of the access log take, at an exit that waits for nobody.
constexpr uint64_t kSaveLogMs = 200;

sigset_t handled_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : {SIGHUP, SIGTERM, SIGINT, SIGUSR1, SIGUSR2}) sigaddset(&set, signal);
  return set;
}

void print_lines(const std::vector<std::string>& lines) {
  for (const std::string& line : lines) std::fprintf(stderr, "%s\n", line.c_str());
}

void warn_of_few_open_files(const proxy::Snapshot& snapshot) {
  uint64_t clients = 0;
  for (const proxy::ListenerConfig& listener : snapshot.listeners) {
    clients += listener.max_connections;
  }
  const uint64_t room = net::descriptors_for_clients();
  if (clients <= room) return;
  log_warn(
      "open files: the limit of {} leaves room for {} clients, max_connections of all listeners "
      "is {}: raise LimitNOFILE (ulimit -n) or lower max_connections",
      net::open_files_limit(), room, clients);
}

// What a configuration says of the process as a whole and cannot fail.
void put_in_force(const proxy::Snapshot& snapshot) {
  LogLevel level = LogLevel::kInfo;
  parse_log_level(snapshot.log.level, level);
  configure_log(level, snapshot.log.json);
  BlockBudget::set_limit_bytes(snapshot.memory.buffers_bytes);
}

SocketSet::Wanted wanted_by(const proxy::Snapshot& snapshot) {
  SocketSet::Wanted wanted = {snapshot.listeners, {}};
  if (snapshot.admin.address.length == 0) return wanted;
  proxy::ListenerConfig& admin = wanted.admin.emplace_back();
  admin.name = "admin";
  admin.address = snapshot.admin.address;
  return wanted;
}

std::vector<std::string> unix_paths(const proxy::Snapshot& snapshot) {
  std::vector<std::string> paths;
  if (snapshot.admin.address.is_unix()) paths.push_back(snapshot.admin.address.unix_path.sun_path);
  for (const proxy::ListenerConfig& listener : snapshot.listeners) {
    if (listener.address.is_unix()) paths.push_back(listener.address.unix_path.sun_path);
  }
  return paths;
}

void log_opened(const SocketSet::Wanted& wanted, const SocketSet::Plan& plan) {
  for (const SocketSet::Opened& opened : plan.opened) {
    const auto& slots = opened.admin ? plan.admin_slots : plan.slots;
    const auto& listeners = opened.admin ? wanted.admin : wanted.listeners;
    const auto place = std::find(slots.begin(), slots.end(), opened.slot) - slots.begin();
    log_info("listener {}: listening on {}{}", listeners[static_cast<size_t>(place)].name,
             net::bound_address(opened.fds.front()).text(), opened.inherited ? ", inherited" : "");
  }
}

}  // namespace

Daemon::Daemon(std::string config_path)
    : config_path_(std::move(config_path)),
      environment_(config::system_environment(states_, proxy::labels())),
      started_ms_(net::monotonic_ms()) {}

Daemon::~Daemon() {
  if (wakeup_fd_ >= 0) close(wakeup_fd_);
}

int Daemon::run() {
  signal(SIGPIPE, SIG_IGN);
  const sigset_t signals = handled_signals();
  // Inherited by every thread: only serve() reads them.
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  net::raise_open_files_limit();
  wakeup_fd_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  WEIR_CHECK(wakeup_fd_ >= 0);
  if (!load_first() || !open_sockets() || !become_user()) return 1;
  if (!open_log()) return 1;
  start_all();
  return serve();
}

bool Daemon::load_first() {
  desk_.begin("start");
  config::LoadResult loaded = config::load(config_path_, environment_);
  print_lines(loaded.errors);
  print_lines(loaded.warnings);
  if (!loaded.ok()) return false;
  desk_.end(loaded);
  note_source(loaded);
  snapshot_ = std::move(loaded.snapshot);
  living_.push_back(snapshot_);
  birth_ = {snapshot_->workers, snapshot_->user, snapshot_->pid_file};
  put_in_force(*snapshot_);
  config::put_cache_in_force(loaded, nullptr);
  proxy::begin_maintenances({}, snapshot_->maintenances);
  warn_of_few_open_files(*snapshot_);
  reload_stats_ = {1, 0, static_cast<uint64_t>(std::time(nullptr))};
  return true;
}

// All sockets before any thread, and as root if we are: a failed bind ends the start with nothing
// half done.
bool Daemon::open_sockets() {
  sockets_ = std::make_unique<SocketSet>(snapshot_->workers, inherited_sockets());
  const SocketSet::Wanted wanted = wanted_by(*snapshot_);
  Result<SocketSet::Plan> plan = sockets_->prepare(wanted);
  if (!plan.ok()) {
    log_error("{}", plan.error());
    return false;
  }
  first_plan_ = std::move(plan.value());
  sockets_->commit(wanted, first_plan_);
  bound_ = sockets_->bound_listeners();
  log_opened(wanted, first_plan_);
  for (const std::string& address : sockets_->unused_inherited()) {
    log_warn("inherited socket {}: no listener has its name or address", address);
  }
  return true;
}

bool Daemon::become_user() {
  std::string why;
  if (!snapshot_->pid_file.empty()) why = pid_file_.write(snapshot_->pid_file);
  if (why.empty() && !snapshot_->user.empty()) {
    for (const std::string& path : unix_paths(*snapshot_)) hand_over(snapshot_->user, path);
    for (const SocketSet::Opened& opened : first_plan_.opened) {
      for (const int fd : opened.fds) hand_over(snapshot_->user, fd);
    }
    why = become(snapshot_->user);
  }
  if (why.empty()) return true;
  log_error("{}", why);
  return false;
}

bool Daemon::open_log() {
  auto writer = proxy::LogWriter::open(snapshot_->log.access.path);
  if (!writer.ok()) {  // a log that cannot be written is no reason to serve nobody
    log_warn("{}; the access log goes to stderr", writer.error());
    writer = proxy::LogWriter::open("stderr");
  }
  if (!writer.ok()) {
    log_error("{}", writer.error());
    return false;
  }
  log_writer_ = std::move(writer.value());
  return true;
}

std::unique_ptr<WorkerThread> Daemon::make_thread(uint32_t index, proxy::LogWriter* log_writer) {
  WorkerThread::Options options;
  options.index = index;
  options.log_writer = log_writer;
  options.give_back = [this](SnapshotPtr done) { give_back(std::move(done)); };
  options.on_ended = [this] { wake(); };
  return std::make_unique<WorkerThread>(std::move(options));
}

void Daemon::start_all() {
  for (uint32_t i = 0; i < snapshot_->workers; ++i) {
    workers_.push_back(make_thread(i, log_writer_.get()));
  }
  for (size_t i = 0; i < workers_.size(); ++i) {
    workers_[i]->start(orders_of(first_plan_, snapshot_, i));
  }
  tell_admin(first_plan_, *snapshot_);
  checker_.watch(snapshot_->clusters);
  log_info("ready: {} worker{}", workers_.size(), workers_.size() == 1 ? "" : "s");
  manager_.ready();
  say_that_we_live();
  // serve() does not come to it during a load.
  environment_.on_step = [this] { say_that_we_live(); };
  certificates_at_ms_ = net::monotonic_ms() + kCertificatesEveryMs;
}

// Its thread is started by the first configuration that wants one.
void Daemon::tell_admin(const SocketSet::Plan& plan, const proxy::Snapshot& snapshot) {
  if (admin_ == nullptr && plan.admin_slots.empty()) return;
  WorkerOrders orders = admin_orders_of(plan, admin::make_admin_snapshot(*this, snapshot.admin));
  if (admin_ != nullptr) return admin_->publish(std::move(orders));
  admin_ = make_thread(static_cast<uint32_t>(workers_.size()), nullptr);
  admin_->start(std::move(orders));
}

int Daemon::serve() {
  const sigset_t signals = handled_signals();
  const int signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
  WEIR_CHECK(signal_fd >= 0);
  while (!workers_ended() && !stop_now_) {
    pollfd waits[2] = {{signal_fd, POLLIN, 0}, {wakeup_fd_, POLLIN, 0}};
    poll(waits, 2, wait_ms());
    uint64_t ignored = 0;
    (void)!read(wakeup_fd_, &ignored, sizeof(ignored));
    free_given_back();
    signalfd_siginfo info;
    while (read(signal_fd, &info, sizeof(info)) == sizeof(info)) {
      on_signal(static_cast<int>(info.ssi_signo));
    }
    if (desk_.has_requests() && !draining_.load()) reload("admin");
    on_time();
  }
  close(signal_fd);
  if (!stop_now_) return finish();
  log_warn("stopped at once: what was under way is cut");
  save_log();
  pid_file_.remove();
  for (const auto& worker : workers_) worker->abandon();
  _exit(1);
}

int Daemon::wait_ms() const {
  const uint64_t members_at_ms = draining_.load() ? UINT64_MAX : members_.next_ms();
  const uint64_t at_ms =
      std::min({drain_at_ms_, watchdog_at_ms_, certificates_at_ms_, members_at_ms,
                snapshot_->maintenances.empty() ? UINT64_MAX : maintenances_at_ms_});
  if (at_ms == UINT64_MAX) return -1;
  const uint64_t now_ms = net::monotonic_ms();
  return at_ms <= now_ms ? 0 : static_cast<int>(std::min<uint64_t>(at_ms - now_ms, INT_MAX));
}

void Daemon::on_time() {
  const uint64_t now_ms = net::monotonic_ms();
  if (now_ms >= drain_at_ms_) drain();
  if (now_ms >= watchdog_at_ms_) say_that_we_live();
  if (now_ms >= certificates_at_ms_) warn_of_certificates();
  if (now_ms >= maintenances_at_ms_) {
    maintenances_at_ms_ = now_ms + kMaintenancesEveryMs;
    proxy::look_at_maintenance_files(snapshot_->maintenances);
  }
  if (now_ms >= members_.next_ms() && !draining_.load() && members_.look(now_ms, environment_)) {
    follow_members();
  }
}

void Daemon::warn_of_certificates() {
  certificates_at_ms_ = net::monotonic_ms() + kCertificatesEveryMs;
  for (const auto& certificate : snapshot_->certificates) {
    const std::string text = net::expiry_text(*certificate, std::time(nullptr));
    if (!text.empty()) log_warn("certificate of {}: {}", certificate->label(), text);
  }
}

// A loop that has not taken a message since the last time hangs: then the manager hears nothing.
void Daemon::say_that_we_live() {
  if (manager_.watchdog_ms() == 0) return;
  watchdog_at_ms_ = net::monotonic_ms() + manager_.watchdog_ms();
  bool all_answered = true;
  for (const auto& worker : workers_) all_answered &= worker->is_alive();
  if (all_answered) manager_.alive();
}

// The lines of requests that are over are worth a moment; a worker or a pipe that hangs is not.
void Daemon::save_log() {
  const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(kSaveLogMs);
  std::vector<std::future<void>> flushed;
  for (const auto& worker : workers_) {
    auto promise = std::make_shared<std::promise<void>>();
    std::future<void> future = promise->get_future();
    if (worker->flush_log([promise] { promise->set_value(); })) {
      flushed.push_back(std::move(future));
    }
  }
  for (const std::future<void>& future : flushed) future.wait_until(until);
  log_writer_->wait_written(kSaveLogMs);
}

int Daemon::finish() {
  bool cut = false;
  for (const auto& worker : workers_) {
    worker->join();
    cut |= worker->was_cut();
  }
  if (admin_ != nullptr) {
    admin_->drain(kLastAdminAnswersMs);
    admin_->join();
  }
  log_writer_.reset();
  free_given_back();
  if (cut) log_warn("drain: the grace is over: what was left is cut");
  log_info("stopped");
  return cut ? 1 : 0;
}

void Daemon::on_signal(int signal) {
  switch (signal) {
    case SIGHUP: reload("signal"); break;
    case SIGUSR1: log_writer_->reopen(); break;
    case SIGTERM:
    case SIGINT:
      if (draining_.load()) {
        stop_now_ = true;
      } else {
        begin_shutdown();
      }
      break;
    default: break;  // SIGUSR2 is taken, so that it kills nobody
  }
}

// Atomic: either every worker gets the whole new snapshot, or nothing changes.
void Daemon::reload(const char* cause) {
  if (draining_.load()) {
    log_warn("reload: refused, the process is ending");
    return;
  }
  manager_.reloading();
  desk_.begin(cause);
  say_that_we_live();
  config::LoadResult loaded = config::load(config_path_, environment_);
  say_that_we_live();
  if (loaded.ok()) warn_of_what_needs_a_restart(loaded);
  for (const std::string& line : loaded.warnings) log_warn("{}", line);
  if (loaded.ok()) {
    if (std::string why = apply(loaded); !why.empty()) {
      loaded.errors.push_back(std::move(why));
    }
  }
  for (const std::string& line : loaded.errors) log_error("{}", line);
  const bool good = loaded.errors.empty();
  {
    std::lock_guard lock(mutex_);
    ++(good ? reload_stats_.succeeded : reload_stats_.failed);
    if (good) reload_stats_.last_unix_s = static_cast<uint64_t>(std::time(nullptr));
  }
  desk_.end(loaded);
  if (good) {
    note_source(loaded);
    log_info("reload: done");
  } else {
    log_error("reload: failed, the old configuration stays");
  }
  manager_.ready();
}

// Warnings, so that whoever asked for the reload sees them in its receipt.
void Daemon::warn_of_what_needs_a_restart(config::LoadResult& loaded) const {
  const auto warn = [&loaded](const char* key) {
    loaded.warnings.push_back(std::string("a change of ") + key +
                              " takes effect at the next start");
  };
  if (birth_.workers != loaded.snapshot->workers) warn("workers");
  if (birth_.user != loaded.snapshot->user) warn("user");
  if (birth_.pid_file != loaded.snapshot->pid_file) warn("pid_file");
}

// What can fail comes first: sockets and the log file. Empty: it is what the workers have now.
std::string Daemon::apply(const config::LoadResult& loaded) {
  const SnapshotPtr& next = loaded.snapshot;
  const SocketSet::Wanted wanted = wanted_by(*next);
  Result<SocketSet::Plan> plan = sockets_->prepare(wanted);
  if (!plan.ok()) return plan.error();
  const std::string& log_path = next->log.access.path;
  if (log_path != log_writer_->path()) {
    Result<int> target = proxy::LogWriter::open_target(log_path);
    if (target.ok()) {
      log_writer_->switch_to(log_path, target.value());
    } else if (log_path == snapshot_->log.access.path) {
      log_warn("{}; the access log still goes to {}", target.error(), log_writer_->path());
    } else {
      SocketSet::abandon(plan.value());
      return target.error();
    }
  }
  sockets_->commit(wanted, plan.value());
  log_opened(wanted, plan.value());
  upstream::welcome_newcomers(snapshot_->clusters, next->clusters, net::monotonic_ms());
  proxy::begin_new_splits(*snapshot_, *next);
  proxy::begin_maintenances(snapshot_->maintenances, next->maintenances);
  put_in_force(*next);
  config::put_cache_in_force(loaded, snapshot_.get());
  {
    std::lock_guard lock(mutex_);
    given_back_.push_back(std::exchange(snapshot_, next));
    living_.push_back(next);
    bound_ = sockets_->bound_listeners();
  }
  for (size_t i = 0; i < workers_.size(); ++i) {
    workers_[i]->publish(orders_of(plan.value(), next, i));
  }
  tell_admin(plan.value(), *next);
  checker_.watch(next->clusters);
  return {};
}

void Daemon::note_source(const config::LoadResult& loaded) {
  source_ = loaded.source;
  warnings_ = loaded.warnings;
  members_.watch(loaded.member_files, loaded.srv_names);
  mark_members(*loaded.snapshot, false);
  std::vector<upstream::SrvName> names;
  for (const auto& [name, version] : loaded.srv_names) names.push_back(name);
  environment_.keep_srv(names);
}

// By the way of a reload, and so with its guarantees; but from the text that is in force.
void Daemon::follow_members() {
  const SnapshotPtr before = snapshot_;
  say_that_we_live();
  const config::LoadResult loaded = config::rebuild(source_, environment_);
  say_that_we_live();
  for (const std::string& line : loaded.warnings) {
    const bool known = std::find(warnings_.begin(), warnings_.end(), line) != warnings_.end();
    if (!known) log_warn("{}", line);
  }
  for (const std::string& line : loaded.errors) log_error("{}", line);
  const std::string why = loaded.ok() ? apply(loaded) : "see above";
  if (!why.empty()) {
    mark_members(*snapshot_, true);
    log_error("members: not followed: {}; tried again in {} s", why, members_.put_off() / 1000);
    return;
  }
  note_source(loaded);
  tell_of_members(*before, *loaded.snapshot);
}

// Readiness fails at once; clients are served as before until balancers have seen that.
void Daemon::begin_shutdown() {
  draining_.store(true);
  manager_.stopping();
  const uint64_t delay_ms = snapshot_->shutdown_delay_ms;
  if (delay_ms == 0) {
    drain();
    return;
  }
  log_info("shutdown: not ready any more; draining in {} ms", delay_ms);
  drain_at_ms_ = net::monotonic_ms() + delay_ms;
}

void Daemon::drain() {
  drain_at_ms_ = UINT64_MAX;
  log_info("drain: no new connections, at most {} ms for what is under way",
           snapshot_->shutdown_grace_ms);
  sockets_->close_copies();
  for (const auto& worker : workers_) worker->drain(snapshot_->shutdown_grace_ms);
}

bool Daemon::workers_ended() {
  for (const auto& worker : workers_) {
    if (!worker->ended()) return false;
  }
  return true;
}

void Daemon::wake() {
  const uint64_t one = 1;
  (void)!write(wakeup_fd_, &one, sizeof(one));
}

void Daemon::give_back(std::shared_ptr<const proxy::Snapshot> snapshot) {
  {
    std::lock_guard lock(mutex_);
    given_back_.push_back(std::move(snapshot));
  }
  wake();
}

// A snapshot may be hundreds of megabytes in small pieces, which the allocator would keep.
void Daemon::free_given_back() {
  std::vector<SnapshotPtr> done;
  {
    std::lock_guard lock(mutex_);
    done.swap(given_back_);
  }
  if (done.empty()) return;
  done.clear();
  bool freed = false;
  {
    std::lock_guard lock(mutex_);
    freed = std::erase_if(living_, [](const auto& one) { return one.expired(); }) > 0;
  }
  if (freed) malloc_trim(0);  // takes long: nobody waits for it
}

// ---- StatusSource ----

std::vector<proxy::Metrics*> Daemon::worker_metrics() {
  std::vector<proxy::Metrics*> metrics;
  for (const auto& worker : workers_) metrics.push_back(&worker->metrics());
  return metrics;
}

std::shared_ptr<const proxy::Snapshot> Daemon::snapshot() {
  std::lock_guard lock(mutex_);
  return snapshot_;
}

std::vector<net::SocketAddress> Daemon::bound_listeners(const proxy::Snapshot& snapshot) {
  std::lock_guard lock(mutex_);
  return &snapshot == snapshot_.get() ? bound_ : std::vector<net::SocketAddress>();
}

std::vector<std::shared_ptr<upstream::EndpointState>> Daemon::endpoints() {
  return states_.endpoints();
}

proxy::ReloadStats Daemon::reloads() {
  std::lock_guard lock(mutex_);
  proxy::ReloadStats stats = reload_stats_;
  stats.snapshots = static_cast<uint64_t>(std::count_if(
      living_.begin(), living_.end(), [](const auto& one) { return !one.expired(); }));
  return stats;
}

uint64_t Daemon::request_reload() {
  const uint64_t ticket = desk_.request();
  wake();
  return ticket;
}

uint64_t Daemon::uptime_s() { return (net::monotonic_ms() - started_ms_) / 1000; }

uint64_t Daemon::log_dropped_lines() { return log_writer_->dropped_lines(); }

bool Daemon::post(std::function<void(proxy::ProxyWorker&)> work) {
  return std::any_of(workers_.begin(), workers_.end(),
                     [&](const auto& worker) { return worker->post(work); });
}

}  // namespace weir
