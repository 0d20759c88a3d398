#include "upstream/srv_watcher.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/limits.h"
#include "net/clock.h"
#include "upstream/names.h"

namespace weir::upstream {

SrvWatcher::SrvWatcher(std::string servers)
    : thread_(std::move(servers),
              [this](net::Resolver& resolver) { return ask_what_is_due(resolver); }) {}

SrvList SrvWatcher::list(const SrvName& name, uint64_t wait_ms) {
  std::unique_lock lock(mutex_);
  const auto [found, is_new] = questions_.try_emplace(name);
  if (is_new) {
    // The servers stay when only `resolve` changes, even if nobody answers now.
    for (const auto& [other, question] : questions_) {
      if (other.name == name.name && !question.list.records.empty()) {
        found->second.list.records = question.list.records;
      }
    }
    found->second.list.error = "no answer yet";
    found->second.list.version = ++last_version_;
    thread_.wake();
  }
  answered_.wait_for(lock, std::chrono::milliseconds(wait_ms), [&] {
    const auto now = questions_.find(name);
    return now == questions_.end() || now->second.answered;
  });
  const auto now = questions_.find(name);
  return now == questions_.end() ? SrvList() : now->second.list;
}

uint64_t SrvWatcher::version(const SrvName& name) {
  std::lock_guard lock(mutex_);
  const auto found = questions_.find(name);
  return found == questions_.end() ? 0 : found->second.list.version;
}

void SrvWatcher::keep(const std::vector<SrvName>& names) {
  std::lock_guard lock(mutex_);
  std::erase_if(questions_, [&](const auto& one) {
    return std::find(names.begin(), names.end(), one.first) == names.end();
  });
}

// Returns how long nothing else will be due.
int SrvWatcher::ask_what_is_due(net::Resolver& resolver) {
  constexpr uint64_t kLongestWaitMs = 60'000;
  std::vector<SrvName> due;
  uint64_t wait_ms = kLongestWaitMs;
  {
    std::lock_guard lock(mutex_);
    const uint64_t now_ms = net::monotonic_ms();
    for (auto& [name, question] : questions_) {
      if (question.asking) continue;
      if (question.next_ms > now_ms) {
        wait_ms = std::min(wait_ms, question.next_ms - now_ms);
      } else if (resolver.under_way() + due.size() < limits::kLookUpsAtOnce) {
        question.asking = true;
        due.push_back(name);
      }  // without room, it waits for an answer
    }
  }
  const size_t expected = resolver.under_way() + due.size();
  for (const SrvName& name : due) {
    resolver.look_up_srv(name.name,
                         [this, name](net::SrvAnswer answer) { take(name, std::move(answer)); });
  }
  // What was answered at once, by a failure, may be due before all others.
  return resolver.under_way() < expected ? 0 : static_cast<int>(wait_ms);
}

void SrvWatcher::take(const SrvName& name, net::SrvAnswer answer) {
  std::lock_guard lock(mutex_);
  const auto found = questions_.find(name);
  if (found == questions_.end()) return;  // forgotten
  Question& question = found->second;
  question.asking = false;
  const bool failed = !answer.error.empty();
  const bool other_records = !failed && answer.records != question.list.records;
  if (other_records || answer.error != question.list.error) {
    question.list.version = ++last_version_;
  }
  if (!failed) question.list.records = std::move(answer.records);
  question.list.error = std::move(answer.error);
  question.next_ms = net::monotonic_ms() + look_again_ms(name.every_ms, answer.ttl_ms, failed);
  question.answered = true;
  answered_.notify_all();
}

}  // namespace weir::upstream
