// Work of a worker that no client waits for and no snapshot keeps: the rest of an answer that is
// recorded, a stored one that is renewed.
#pragma once

#include "base/intrusive_list.h"
#include "net/mortal.h"

namespace weir::proxy {

class ProxyWorker;

// Owner: its ProxyWorker's list, from adopt_background() to forget(). Thread: the worker's.
class Background : public net::Mortal {
 public:
  // From anywhere, once: stops, and calls ProxyWorker::forget(). A worker that stops ends what is
  // left.
  virtual void end() = 0;
  // Clients of other workers may be reading what comes of it: at drain it has the grace to end by
  // itself. What is not waited for is ended when the worker has no clients any more.
  virtual bool is_waited_for() const { return false; }

 private:
  friend class ProxyWorker;
  ListHook background_;
};

}  // namespace weir::proxy
