// What a row of results makes of something that was good or bad before. Pure.
#pragma once

#include <cstdint>

namespace weir::upstream {

class CheckRecord {
 public:
  CheckRecord() = default;  // good: a server that nobody has looked at yet is used
  explicit CheckRecord(bool good) : good_(good) {}
  // It takes so many results in a row that speak against the present state. True: it has changed.
  bool note(bool good, uint32_t good_after, uint32_t bad_after) {
    if (good == good_) {
      against_ = 0;
      return false;
    }
    if (++against_ < (good ? good_after : bad_after)) return false;
    against_ = 0;
    good_ = good;
    return true;
  }
  bool good() const { return good_; }

 private:
  uint32_t against_ = 0;
  bool good_ = true;
};

}  // namespace weir::upstream
