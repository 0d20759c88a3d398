#include "upstream/names.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/limits.h"
#include "base/log.h"
#include "net/clock.h"

namespace weir::upstream {

namespace {

constexpr uint64_t kDefaultMs = 30'000;      // for what has no TTL
constexpr uint64_t kShortestMs = 1'000;      // however short the TTL is
constexpr uint64_t kLongestMs = 86'400'000;  // however long it is
constexpr uint64_t kAfterFailureMs = 5'000;

std::string list_of(const AddressList& addresses) {
  std::string text;
  for (const net::SocketAddress& address : addresses) {
    if (!text.empty()) text += ", ";
    text += address.host_text();
  }
  return text;
}

AddressList with_port(AddressList addresses, uint16_t port) {
  for (net::SocketAddress& address : addresses) address.set_port(port);
  return addresses;
}

}  // namespace

uint64_t look_again_ms(uint64_t every_ms, uint64_t ttl_ms, bool failed) {
  ttl_ms = std::min(ttl_ms, kLongestMs);
  const uint64_t by_ttl_ms = ttl_ms == 0 ? kDefaultMs : std::max(ttl_ms, kShortestMs);
  const uint64_t wanted_ms = every_ms == 0 ? by_ttl_ms : std::max(every_ms, ttl_ms);
  return failed ? std::min(wanted_ms, kAfterFailureMs) : wanted_ms;
}

NameWatcher::NameWatcher(std::string servers)
    : thread_(std::move(servers),
              [this](net::Resolver& resolver) { return ask_what_is_due(resolver); }) {}

std::vector<std::string> NameWatcher::watch(const std::vector<NameWatch>& watches) {
  std::vector<std::string> reasons(watches.size());
  if (watches.empty()) return reasons;
  std::unique_lock lock(mutex_);
  for (const NameWatch& watch : watches) {
    Name& name = names_[watch.host];
    name.followers[watch.state.get()] = {watch.state, watch.port, watch.every_ms};
    if (!name.addresses.empty()) {
      watch.state->set_addresses(with_port(name.addresses, watch.port));
    } else if (!name.asking) {  // perhaps just mended: somebody waits
      name.next_ms = 0;
      name.answered = false;
    }
  }
  look_at_ms_ = 0;
  thread_.wake();
  const auto all_known = [&] {
    return std::all_of(watches.begin(), watches.end(), [&](const NameWatch& watch) {
      return watch.state->has_address() || names_[watch.host].answered;
    });
  };
  answered_.wait_for(lock, std::chrono::milliseconds(limits::kFirstLookUpMs), all_known);
  for (size_t i = 0; i < watches.size(); ++i) {
    if (watches[i].state->has_address()) continue;
    const Name& name = names_[watches[i].host];
    reasons[i] = name.answered ? name.error : "no answer yet";
  }
  return reasons;
}

// Returns how long nothing else will be due.
int NameWatcher::ask_what_is_due(net::Resolver& resolver) {
  constexpr uint64_t kLongestWaitMs = 60'000;
  std::vector<std::string> due;
  std::unique_lock lock(mutex_);
  const uint64_t now_ms = net::monotonic_ms();
  if (now_ms >= look_at_ms_) {
    look_at_ms_ = now_ms + kLongestWaitMs;
    for (auto at = names_.begin(); at != names_.end();) {
      Name& name = at->second;
      std::erase_if(name.followers, [](const auto& one) { return one.second.state.expired(); });
      if (name.followers.empty() && !name.asking) {
        at = names_.erase(at);
        continue;
      }
      const bool room = resolver.under_way() + due.size() < limits::kLookUpsAtOnce;
      if (!name.asking && name.next_ms <= now_ms && room) {
        name.asking = true;
        due.push_back(at->first);
      } else if (!name.asking) {
        look_at_ms_ = std::min(look_at_ms_, name.next_ms);
      }
      ++at;
    }
  }
  lock.unlock();
  for (const std::string& host : due) {
    resolver.look_up(host, [this, host](net::NameAnswer answer) { take(host, std::move(answer)); });
  }
  lock.lock();
  const uint64_t looked_at_ms = look_at_ms_;
  lock.unlock();
  // Without room, what is due waits for an answer.
  if (resolver.under_way() >= limits::kLookUpsAtOnce) return kLongestWaitMs;
  const uint64_t then_ms = net::monotonic_ms();
  return looked_at_ms <= then_ms ? 0 : static_cast<int>(looked_at_ms - then_ms);
}

void NameWatcher::take(const std::string& host, net::NameAnswer answer) {
  std::lock_guard lock(mutex_);
  Name& name = names_[host];
  const bool failed_before = !name.error.empty();
  name.asking = false;
  name.answered = true;
  name.error = answer.error;
  if (answer.addresses.empty()) {
    if (!failed_before && !name.addresses.empty()) {
      log_warn("name {} does not resolve: {}; it keeps its last addresses", host, answer.error);
    }
  } else {
    const bool news = answer.addresses != name.addresses;
    if (news && (failed_before || !name.addresses.empty())) {
      log_info("name {} is now {}", host, list_of(answer.addresses));
    } else if (failed_before) {
      log_info("name {} resolves again", host);
    }
    name.addresses = std::move(answer.addresses);
    for (const auto& [key, one] : name.followers) {
      const std::shared_ptr<EndpointState> state = one.state.lock();
      if (state != nullptr) state->set_addresses(with_port(name.addresses, one.port));
    }
  }
  name.next_ms = net::monotonic_ms() + pause_ms(name, answer.ttl_ms);
  look_at_ms_ = std::min(look_at_ms_, name.next_ms);
  answered_.notify_all();
}

// The shortest that any of its servers asks for.
uint64_t NameWatcher::pause_ms(const Name& name, uint64_t ttl_ms) {
  uint64_t shortest_ms = kLongestMs;
  for (const auto& [key, one] : name.followers) {
    shortest_ms = std::min(shortest_ms, look_again_ms(one.every_ms, ttl_ms, !name.error.empty()));
  }
  return shortest_ms;
}

}  // namespace weir::upstream
