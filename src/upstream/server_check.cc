#include "upstream/server_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/limits.h"
#include "base/log.h"
#include "net/worker.h"
#include "upstream/census.h"
#include "upstream/health.h"

namespace weir::upstream {

namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;
// First checks come soon, but not all in one moment.
constexpr uint64_t kFirstWithinMs = 1'000;
constexpr uint64_t kWaitForRoomMs = 20;
// What was found at an address that left its name says little of who has it later.
constexpr uint64_t kRememberedMs = 600'000;

uint64_t unix_ms() {
  using std::chrono::milliseconds;
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return static_cast<uint64_t>(std::chrono::duration_cast<milliseconds>(now).count());
}

}  // namespace

uint64_t CheckContext::random_below(uint64_t bound) {
  if (bound == 0) return 0;
  uint64_t number = 0;
  random.fill(reinterpret_cast<uint8_t*>(&number), sizeof(number));
  return number % bound;
}

// One address, and when it is asked next.
class ServerCheck::AddressCheck final : public Probe::Owner {
 public:
  AddressCheck(ServerCheck& owner, const net::SocketAddress& where, Found before)
      : address(where),
        found(std::move(before)),
        owner_(owner),
        probe_(owner.context_.worker, *this, *owner.cluster_, owner.server(), where),
        next_(owner.context_.worker.timers(), this,
              &net::Timer::call<AddressCheck, &AddressCheck::on_time>) {
    const uint64_t interval_ms = owner.cluster_->check->interval_ms;
    next_.arm_ms(1 + owner.context_.random_below(std::min(interval_ms, kFirstWithinMs)));
  }
  ~AddressCheck() {
    if (probe_.asking()) --owner_.context_.under_way;
  }
  AddressCheck(const AddressCheck&) = delete;
  AddressCheck& operator=(const AddressCheck&) = delete;

  const net::SocketAddress address;
  Found found;

 private:
  void on_time() {
    CheckContext& context = owner_.context_;
    if (context.under_way >= limits::kChecksAtOnce) {
      next_.arm_ms(kWaitForRoomMs);
      return;
    }
    // A tenth more or less each time: many checks, and many proxies, do not fall into step.
    const uint64_t interval_ms = owner_.cluster_->check->interval_ms;
    due_ms_ = context.worker.now_ms() + interval_ms - interval_ms / 10 +
              context.random_below(interval_ms / 5);
    ++context.under_way;
    probe_.ask();
  }

  void on_probed(const ProbeResult& result) override {
    const CheckConfig& check = *owner_.cluster_->check;
    --owner_.context_.under_way;
    if (result.conclusive) take(result, check);
    const uint64_t now_ms = owner_.context_.worker.now_ms();
    next_.arm_ms(due_ms_ > now_ms ? due_ms_ - now_ms : 1);
  }

  void take(const ProbeResult& result, const CheckConfig& check) {
    found.last = result;
    found.up.note(result.passed, check.healthy_after, check.unhealthy_after);
    if (result.passed) {
      owner_.state().silent_since_ms.store(0, kRelaxed);  // it does answer
      const bool in_time =
          check.degraded_over_ms == 0 || result.latency_us <= check.degraded_over_ms * 1000;
      found.quick.note(in_time, check.healthy_after, check.unhealthy_after);
      owner_.report_.latency_us = result.latency_us;
    }
    owner_.report_.checked_unix_ms = unix_ms();
    owner_.judge();
  }

  ServerCheck& owner_;
  Probe probe_;
  net::Timer next_;
  uint64_t due_ms_ = 0;
};

ServerCheck::ServerCheck(CheckContext& context, std::shared_ptr<const Cluster> cluster,
                         size_t server)
    : context_(context), cluster_(std::move(cluster)), server_(server) {
  follow_addresses();
}

ServerCheck::~ServerCheck() {
  addresses_.clear();
  state().barriers.fetch_and(~static_cast<uint32_t>(kCheckFailed), kRelaxed);
  state().degraded.store(false, kRelaxed);
  state().set_unwell({});
  state().set_check_report({});
}

bool ServerCheck::fits(const Cluster& cluster, const Server& server) const {
  return cluster.check == cluster_->check && cluster.transport->same_as(*cluster_->transport) &&
         server.state.get() == &state();
}

void ServerCheck::adopt(std::shared_ptr<const Cluster> cluster, size_t server) {
  cluster_ = std::move(cluster);
  server_ = server;
}

void ServerCheck::follow_addresses() {
  const uint32_t version = state().addresses_version.load(std::memory_order_acquire);
  if (version == version_) return;
  version_ = version;
  const std::shared_ptr<const AddressList> now = state().addresses();
  std::vector<std::unique_ptr<AddressCheck>> before = std::exchange(addresses_, {});
  for (const net::SocketAddress& address : *now) {
    const auto known = std::find_if(before.begin(), before.end(), [&](const auto& one) {
      return one != nullptr && one->address == address;
    });
    addresses_.push_back(known == before.end()
                             ? std::make_unique<AddressCheck>(*this, address, recall(address))
                             : std::move(*known));
  }
  for (const auto& gone : before) {
    if (gone != nullptr) remember(*gone);
  }
  before.clear();
  judge();
}

// A new address of a server that is down has to show first that it is better.
ServerCheck::Found ServerCheck::recall(const net::SocketAddress& address) {
  const uint64_t now_ms = context_.worker.now_ms();
  std::erase_if(left_, [now_ms](const Left& left) { return now_ms - left.at_ms > kRememberedMs; });
  const auto known = std::find_if(left_.begin(), left_.end(),
                                  [&address](const Left& left) { return left.address == address; });
  if (known == left_.end()) {
    return {CheckRecord((state().barriers.load(kRelaxed) & kCheckFailed) == 0), {}, {}};
  }
  Found found = std::move(known->found);
  left_.erase(known);
  return found;
}

void ServerCheck::remember(const AddressCheck& gone) {
  if (left_.size() == limits::kAddressesRemembered) left_.erase(left_.begin());
  left_.push_back({gone.address, gone.found, context_.worker.now_ms()});
}

void ServerCheck::judge() {
  const AddressCheck* bad = nullptr;
  const AddressCheck* late = nullptr;
  size_t well = 0;
  size_t in_time = 0;
  AddressList unwell;
  for (const auto& one : addresses_) {
    if (!one->found.up.good()) {
      if (bad == nullptr || !one->found.last.reason.empty()) bad = one.get();
      unwell.push_back(one->address);
      continue;
    }
    ++well;
    if (one->found.quick.good()) {
      ++in_time;
    } else {
      late = one.get();
    }
  }
  if (well == 0) unwell.clear();  // a panic may use them all
  state().set_unwell(std::move(unwell));
  const std::string where =
      bad != nullptr && addresses_.size() > 1 ? " at " + bad->address.text() : "";
  set_up(well > 0, bad == nullptr || bad->found.last.reason.empty()
                       ? std::string()
                       : "check: " + bad->found.last.reason + where);
  if (well > 0) {
    set_degraded(in_time == 0, late == nullptr
                                   ? std::string()
                                   : fmt::format("degraded: the check took {} ms, more than {} ms",
                                                 late->found.last.latency_us / 1000,
                                                 cluster_->check->degraded_over_ms));
  }
  state().set_check_report(report_);
}

void ServerCheck::set_up(bool up, const std::string& why) {
  const bool was_up = (state().barriers.load(kRelaxed) & kCheckFailed) == 0;
  if (!up && !why.empty()) report_.reason = why;
  if (up == was_up) return;
  if (up) {
    report_.reason.clear();
    // Better news than what requests learned before.
    state().down_until_ms.store(0, kRelaxed);
    state().fails.store(0, kRelaxed);
    begin_slow_start(server(), context_.worker.now_ms());
    state().barriers.fetch_and(~static_cast<uint32_t>(kCheckFailed), kRelaxed);
    log_info("upstream {}: server {} is up again: its checks pass", cluster_->name,
             server().address);
  } else {
    state().set_check_report(report_);  // who sees the barrier is told why
    state().barriers.fetch_or(kCheckFailed, kRelaxed);
    log_warn("upstream {}: server {} is down: {}", cluster_->name, server().address, why);
  }
  take_census(*cluster_);
}

void ServerCheck::set_degraded(bool degraded, const std::string& why) {
  if (degraded) report_.reason = why;
  if (degraded == state().degraded.load(kRelaxed)) return;
  state().degraded.store(degraded, kRelaxed);
  if (degraded) {
    log_warn("upstream {}: server {} is {}", cluster_->name, server().address, why);
  } else {
    report_.reason.clear();
    log_info("upstream {}: server {} is not degraded any more", cluster_->name, server().address);
  }
  take_census(*cluster_);
}

}  // namespace weir::upstream
