// Ending is not destroying. An object that ends is moved to its worker's graves at once and deleted
// when the outermost Turn is over, when no frame can hold its `this` and libuv holds none of its
// memory.
#pragma once

#include <cstdint>

#include "base/check.h"
#include "base/intrusive_list.h"

namespace weir::net {

class Worker;

// Base of everything that callbacks can reach. Owned by exactly one unique_ptr until
// Worker::bury() takes it.
class Mortal {
 public:
  virtual ~Mortal() { WEIR_CHECK(pending_ops_ == 0); }
  Mortal(const Mortal&) = delete;
  Mortal& operator=(const Mortal&) = delete;

 protected:
  Mortal() = default;
  // libuv holds memory of this object until the matching op_done() (rule L4).
  void op_started() { ++pending_ops_; }
  void op_done(Worker& worker);

 private:
  friend class Worker;
  ListHook grave_;
  uint32_t pending_ops_ = 0;
  bool buried_ = false;
};

}  // namespace weir::net
