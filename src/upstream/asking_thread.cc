#include "upstream/asking_thread.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cstdint>
#include <utility>

#include "base/check.h"

namespace weir::upstream {

AskingThread::AskingThread(std::string servers, Ask ask)
    : ask_(std::move(ask)),
      resolver_(std::move(servers)),
      wakeup_fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  WEIR_CHECK(wakeup_fd_ >= 0);
}

AskingThread::~AskingThread() {
  over_ = true;
  signal();
  if (thread_.joinable()) thread_.join();
  close(wakeup_fd_);
}

void AskingThread::wake() {
  std::call_once(started_, [this] { thread_ = std::thread([this] { run(); }); });
  signal();
}

void AskingThread::signal() const {
  const uint64_t one = 1;
  (void)!write(wakeup_fd_, &one, sizeof(one));
}

void AskingThread::run() {
  while (!over_) {
    const int wait_ms = ask_(resolver_);
    resolver_.wait(wakeup_fd_, wait_ms);
    uint64_t ignored = 0;
    (void)!read(wakeup_fd_, &ignored, sizeof(ignored));
  }
}

}  // namespace weir::upstream
