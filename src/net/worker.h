// A worker: one thread, one libuv loop, and everything that lives on it. Nothing of a worker is
// touched by another thread, except through post().
#pragma once

#include <uv.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "base/blocks.h"
#include "base/intrusive_list.h"
#include "base/slot_map.h"
#include "net/helpers.h"
#include "net/mortal.h"
#include "net/stream.h"
#include "net/timer_wheel.h"
#include "net/tls_desk.h"

namespace weir::net {

// Opened by every trampoline that libuv calls. The outermost one, when it ends, runs what was
// deferred and then reaps: until then every `this` on the stack is valid (rule L7).
class Turn {
 public:
  explicit Turn(Worker& worker);
  ~Turn();
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;

 private:
  Worker& worker_;
};

// Created and destroyed on the thread that runs it. Never copied, never moved.
class Worker {
 public:
  static constexpr size_t kReadBufferBytes = 512 * 1024;

  // `longest_iteration_us` (may be null, outlives the worker): raised to the longest time that one
  // iteration of the loop took; whoever reads it sets it back.
  explicit Worker(uint32_t index, std::atomic<uint64_t>* longest_iteration_us = nullptr);
  ~Worker();  // closes the loop: WEIR_CHECKs uv_loop_close() == 0
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  // Runs until nothing is alive on the loop but the worker's own handles and stop() was called.
  void run();
  // Lets run() return once every other handle has closed.
  void stop();

  uint32_t index() const { return index_; }
  uv_loop_t* loop() { return &loop_; }
  bool on_thread() const { return std::this_thread::get_id() == thread_; }
  uint64_t now_ms() const { return timers_.now_ms(); }  // frozen per turn
  // Monotonic. Read once per turn, when first asked for.
  uint64_t now_us() {
    if (now_us_ == 0) now_us_ = uv_hrtime() / 1000;
    return now_us_;
  }
  TimerWheel& timers() { return timers_; }
  BlockPool& blocks() { return blocks_; }
  char* read_buffer() { return read_buffer_.get(); }
  // How much one read may bring: what a slow peer does not take of it has to be kept.
  uint32_t read_max_bytes() const { return read_max_bytes_; }
  void set_read_max_bytes(uint64_t bytes) {
    read_max_bytes_ = static_cast<uint32_t>(std::min<uint64_t>(bytes, kReadBufferBytes));
  }

  TlsDesk& tls_desk() { return tls_desk_; }

  // Takes an object that has ended. It is deleted at the end of the outermost Turn, or later, when
  // its last pending operation is done.
  void bury(std::unique_ptr<Mortal> dead);
  // Runs `action` at the end of this turn, after the stack has unwound. Captures Ids, never
  // pointers.
  void defer(std::function<void()> action);
  SlotMap<Errand>& errands() { return errands_; }  // what helpers do for somebody here
  // For messages of threads that may outlive the worker. Kept until it has ended, or longer.
  const std::shared_ptr<MailSlot>& mail_slot() const { return mail_slot_; }
  // The only thread-safe method: `message` runs on this worker in a turn of its own.
  void post(std::function<void()> message);

 private:
  friend class Turn;
  friend class Mortal;
  friend class Stream;

  void end_turn();
  void reap();
  void flush_dirty();
  void shake_hands();
  void arm_loop_timer();
  void drain_mailbox();
  void measure_iteration();

  const uint32_t index_;
  const std::thread::id thread_;
  uv_loop_t loop_;
  uv_timer_t timer_;      // armed for the wheel's next wake-up
  uv_prepare_t prepare_;  // flushes what timers wrote
  uv_check_t check_;      // flushes what reads wrote, once per iteration
  uv_async_t wakeup_;     // mailbox
  uv_idle_t again_;       // keeps the loop from sleeping while deferred work is left
  uv_idle_t handshakes_;  // the same, while handshakes wait
  TimerWheel timers_;
  BlockPool blocks_;
  std::unique_ptr<char[]> read_buffer_;
  uint32_t read_max_bytes_ = kReadBufferBytes;
  TlsDesk tls_desk_;

  int turn_depth_ = 0;
  uint64_t now_us_ = 0;  // 0: not read in this turn
  std::vector<std::function<void()>> deferred_;
  IntrusiveList<Mortal, &Mortal::grave_> graves_;  // to delete at the end of the turn
  IntrusiveList<Mortal, &Mortal::grave_> limbo_;   // dead, but libuv still holds memory of theirs
  IntrusiveList<Stream, &Stream::dirty_> dirty_;  // streams with bytes to flush or bad news to tell

  SlotMap<Errand> errands_;
  const std::shared_ptr<MailSlot> mail_slot_;

  std::mutex mailbox_mutex_;
  std::vector<std::function<void()>> mailbox_;  // any thread, under the mutex
  std::atomic<uint64_t>* longest_iteration_us_;
};

}  // namespace weir::net
