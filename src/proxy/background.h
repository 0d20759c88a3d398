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
  // Counts for limits::kRemaindersMax.
  virtual bool is_remainder() const { return false; }
  // Asked once the worker has no clients any more, and now and then. Clients of other workers read
  // what comes of it: it has the grace to end by itself. False: it is ended.
  virtual bool is_waited_for() { return false; }

 private:
  friend class ProxyWorker;
  ListHook background_;
};

}  // namespace weir::proxy
