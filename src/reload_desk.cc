#include "reload_desk.h"

#include <chrono>
#include <utility>

#include "net/clock.h"

namespace weir {

namespace {

uint64_t unix_ms() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(now).count());
}

}  // namespace

uint64_t ReloadDesk::request() {
  const std::lock_guard lock(mutex_);
  return ++requests_;
}

std::shared_ptr<const proxy::ReloadReceipt> ReloadDesk::receipt() const {
  const std::lock_guard lock(mutex_);
  return receipt_;
}

std::shared_ptr<const proxy::ConfigDescription> ReloadDesk::description() const {
  const std::lock_guard lock(mutex_);
  return description_;
}

bool ReloadDesk::has_requests() const {
  const std::lock_guard lock(mutex_);
  return requests_ > ticket_;
}

void ReloadDesk::begin(const char* cause) {
  cause_ = cause;
  began_ms_ = net::monotonic_ms();
  const std::lock_guard lock(mutex_);
  ticket_ = requests_;
}

void ReloadDesk::end(const config::LoadResult& loaded) {
  auto receipt = std::make_shared<proxy::ReloadReceipt>();
  receipt->number = ++attempts_;
  receipt->ticket = ticket_;
  receipt->ended_unix_ms = unix_ms();
  receipt->took_ms = net::monotonic_ms() - began_ms_;
  receipt->cause = cause_;
  receipt->errors = loaded.errors;
  receipt->warnings = loaded.warnings;
  std::shared_ptr<const proxy::ConfigDescription> before = description();
  if (receipt->ok() && before != nullptr) {
    receipt->changes = proxy::changes_between(before->outline, loaded.description->outline);
  }
  const std::lock_guard lock(mutex_);
  if (receipt->ok()) description_ = loaded.description;
  receipt_ = std::move(receipt);
}

}  // namespace weir
