// A thread that asks name servers, again and again: what its users have in common. What to ask, and
// when, is theirs.
#pragma once

#include <atomic>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

#include "net/resolver.h"

namespace weir::upstream {

// Whoever has one keeps it as the last member: its destructor ends the thread, before anything that
// `ask` and the answers touch.
class AskingThread {
 public:
  // Asks what is due, on the thread, and returns for how many ms nothing else will be. What it asks
  // for is answered on the thread, too.
  using Ask = std::function<int(net::Resolver&)>;

  // `servers`: as net::Resolver takes it.
  AskingThread(std::string servers, Ask ask);
  // Questions under way are forgotten.
  ~AskingThread();
  AskingThread(const AskingThread&) = delete;
  AskingThread& operator=(const AskingThread&) = delete;

  // Something new is due: `ask` is called soon. The first call starts the thread. Any thread.
  void wake();

 private:
  void run();
  void signal() const;

  const Ask ask_;
  net::Resolver resolver_;  // the thread's
  const int wakeup_fd_;     // eventfd: there is something new to ask, or it is over
  std::atomic<bool> over_{false};
  std::once_flag started_;
  std::thread thread_;
};

}  // namespace weir::upstream
