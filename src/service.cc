#include "service.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <string_view>

#include "base/log.h"

namespace weir {

namespace {

uint64_t number_in(const char* variable) {
  uint64_t number = 0;
  const char* text = std::getenv(variable);
  if (text != nullptr) std::from_chars(text, text + std::strlen(text), number);
  return number;
}

}  // namespace

ServiceManager::ServiceManager() {
  const char* text = std::getenv("NOTIFY_SOCKET");
  const std::string_view path = text == nullptr ? std::string_view() : text;
  sockaddr_un address = {};
  if (path.size() < 2 || path.size() >= sizeof(address.sun_path)) return;
  if (path.front() != '/' && path.front() != '@') return;
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  if (path.front() == '@') address.sun_path[0] = '\0';  // an abstract name
  fd_ = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd_ < 0) return;
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size());
  if (connect(fd_, reinterpret_cast<const sockaddr*>(&address), length) != 0) {
    log_warn("the service manager's socket {}: {}", path, strerror(errno));
    close(fd_);
    fd_ = -1;
    return;
  }
  const uint64_t pid = number_in("WATCHDOG_PID");
  if (pid == 0 || pid == static_cast<uint64_t>(getpid())) {
    constexpr uint64_t kHalfInMs = 2000;
    const uint64_t allowed_us = number_in("WATCHDOG_USEC");
    if (allowed_us > 0) watchdog_ms_ = std::max<uint64_t>(allowed_us / kHalfInMs, 1);
  }
}

ServiceManager::~ServiceManager() {
  if (fd_ >= 0) close(fd_);
}

// Type=notify-reload wants to know when the reload began, by the clock of the next READY=1.
void ServiceManager::reloading() {
  timespec now = {};
  clock_gettime(CLOCK_MONOTONIC, &now);
  const uint64_t now_us =
      static_cast<uint64_t>(now.tv_sec) * 1'000'000 + static_cast<uint64_t>(now.tv_nsec) / 1000;
  notify("RELOADING=1\nMONOTONIC_USEC=" + std::to_string(now_us));
}

void ServiceManager::notify(const std::string& state) {
  if (fd_ < 0) return;
  if (send(fd_, state.data(), state.size(), MSG_NOSIGNAL) < 0) {
    log_warn("the service manager does not hear: {}", strerror(errno));
  }
}

std::string PidFile::write(const std::string& path) {
  const auto why = [&path] { return "pid_file " + path + ": " + strerror(errno); };
  fd_ = open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
  if (fd_ < 0) return why();
  if (flock(fd_, LOCK_EX | LOCK_NB) != 0) {
    return "pid_file " + path + ": a process that lives holds it";
  }
  const std::string text = std::to_string(getpid()) + "\n";
  if (ftruncate(fd_, 0) != 0 || ::write(fd_, text.data(), text.size()) < 0) return why();
  path_ = path;
  return {};
}

PidFile::~PidFile() {
  remove();
  if (fd_ >= 0) close(fd_);
}

void PidFile::remove() {
  if (!path_.empty() && unlink(path_.c_str()) != 0) (void)!ftruncate(fd_, 0);
  path_.clear();
}

}  // namespace weir
