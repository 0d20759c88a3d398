// The scratch of an encoder while one of its methods runs: filled from the front, handed to the
// sink whenever it is full and at the end.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "filters/compression/encoder.h"

namespace weir::filters::compression {

class ScratchOut {
 public:
  ScratchOut(Scratch scratch, Sink& sink) : scratch_(scratch), sink_(sink) {}

  uint8_t* at() const { return reinterpret_cast<uint8_t*>(scratch_.data()) + used_; }
  size_t room() const { return scratch_.size() - used_; }
  // The library wrote up to here, `room` being left.
  void set_room(size_t room) { used_ = scratch_.size() - room; }
  void drain_when_full() {
    if (room() == 0) drain();
  }
  void drain() {
    if (used_ > 0) sink_.put({scratch_.data(), used_});
    used_ = 0;
  }

 private:
  const Scratch scratch_;
  Sink& sink_;
  size_t used_ = 0;
};

}  // namespace weir::filters::compression
