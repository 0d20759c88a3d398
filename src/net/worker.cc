#include "net/worker.h"

#include <algorithm>

#include "base/check.h"
#include "base/limits.h"

namespace weir::net {

namespace {

// More rounds of deferred work than this in one turn would starve the loop: the rest waits for the
// next.
constexpr int kDeferredRoundsMax = 16;

uint64_t start_loop(uv_loop_t& loop) {
  WEIR_CHECK(uv_loop_init(&loop) == 0);
  return uv_now(&loop);
}

}  // namespace

void Mortal::op_done(Worker& worker) {
  WEIR_CHECK(pending_ops_ > 0);
  if (--pending_ops_ == 0 && buried_) {
    grave_.unlink();
    worker.graves_.push_back(*this);
  }
}

Turn::Turn(Worker& worker) : worker_(worker) {
  WEIR_ASSERT(worker.on_thread());
  if (worker_.turn_depth_++ > 0) return;
  worker_.timers_.set_now_ms(uv_now(&worker_.loop_));
  worker_.now_us_ = 0;
}

Turn::~Turn() {
  if (worker_.turn_depth_ == 1) worker_.end_turn();
  --worker_.turn_depth_;
}

Worker::Worker(uint32_t index, std::atomic<uint64_t>* longest_iteration_us)
    : index_(index),
      thread_(std::this_thread::get_id()),
      timers_(start_loop(loop_)),
      read_buffer_(new char[kReadBufferBytes]),
      errands_(limits::kErrandsMax),
      mail_slot_(std::make_shared<MailSlot>(*this)),
      longest_iteration_us_(longest_iteration_us) {
  loop_.data = this;
  WEIR_CHECK(uv_timer_init(&loop_, &timer_) == 0);
  WEIR_CHECK(uv_prepare_init(&loop_, &prepare_) == 0);
  WEIR_CHECK(uv_check_init(&loop_, &check_) == 0);
  WEIR_CHECK(uv_idle_init(&loop_, &again_) == 0);
  WEIR_CHECK(uv_idle_init(&loop_, &handshakes_) == 0);
  WEIR_CHECK(uv_async_init(&loop_, &wakeup_, [](uv_async_t* async) {
               auto* worker = static_cast<Worker*>(async->loop->data);
               worker->drain_mailbox();
             }) == 0);
  uv_prepare_start(&prepare_, [](uv_prepare_t* prepare) {
    auto* worker = static_cast<Worker*>(prepare->loop->data);
    worker->flush_dirty();
    worker->measure_iteration();
  });
  uv_check_start(&check_, [](uv_check_t* check) {
    auto* worker = static_cast<Worker*>(check->loop->data);
    if (worker->tls_desk_.used()) worker->shake_hands();
    worker->flush_dirty();
  });
  // What the worker itself keeps on the loop does not keep the loop alive once stop() was called.
  uv_unref(reinterpret_cast<uv_handle_t*>(&timer_));
  uv_unref(reinterpret_cast<uv_handle_t*>(&prepare_));
  uv_unref(reinterpret_cast<uv_handle_t*>(&check_));
  timers_.on_earlier([](void* self) { static_cast<Worker*>(self)->arm_loop_timer(); }, this);
}

Worker::~Worker() {
  mail_slot_->close();
  const auto close = [](auto& handle) {
    uv_close(reinterpret_cast<uv_handle_t*>(&handle), nullptr);
  };
  close(timer_);
  close(prepare_);
  close(check_);
  close(wakeup_);
  close(again_);
  close(handshakes_);
  uv_run(&loop_, UV_RUN_DEFAULT);
  {
    Turn turn(*this);  // reaps what died last
  }
  WEIR_CHECK(uv_loop_close(&loop_) == 0);
  WEIR_CHECK(graves_.empty() && limbo_.empty());
}

void Worker::run() {
  WEIR_CHECK(on_thread());
  uv_run(&loop_, UV_RUN_DEFAULT);
}

void Worker::stop() { uv_unref(reinterpret_cast<uv_handle_t*>(&wakeup_)); }

void Worker::bury(std::unique_ptr<Mortal> dead) {
  WEIR_ASSERT(on_thread());
  if (dead == nullptr) return;
  Mortal* mortal = dead.release();
  WEIR_CHECK(!mortal->buried_);
  mortal->buried_ = true;
  if (mortal->pending_ops_ == 0) {
    graves_.push_back(*mortal);
  } else {
    limbo_.push_back(*mortal);
  }
}

void Worker::defer(std::function<void()> action) {
  WEIR_ASSERT(on_thread());
  deferred_.push_back(std::move(action));
}

void Worker::post(std::function<void()> message) {
  {
    std::lock_guard lock(mailbox_mutex_);
    mailbox_.push_back(std::move(message));
  }
  uv_async_send(&wakeup_);
}

void Worker::drain_mailbox() {
  std::vector<std::function<void()>> messages;
  {
    std::lock_guard lock(mailbox_mutex_);
    messages.swap(mailbox_);
  }
  for (auto& message : messages) {
    Turn turn(*this);
    message();
  }
}

void Worker::end_turn() {
  for (int round = 0; !deferred_.empty() && round < kDeferredRoundsMax; ++round) {
    std::vector<std::function<void()>> actions;
    actions.swap(deferred_);
    for (auto& action : actions) action();
  }
  reap();
  if (!deferred_.empty()) {  // too many rounds, or a destructor deferred
    uv_idle_start(&again_, [](uv_idle_t* idle) {
      uv_idle_stop(idle);
      Turn turn(*static_cast<Worker*>(idle->loop->data));
    });
  }
}

// The only place where a Mortal is deleted (rule L2). Destructors may bury more: FIFO, until done.
void Worker::reap() {
  while (Mortal* dead = graves_.pop_front()) delete dead;
}

void Worker::flush_dirty() {
  if (dirty_.empty()) return;
  Turn turn(*this);
  while (Stream* stream = dirty_.pop_front()) stream->on_flush();
}

void Worker::shake_hands() {
  Turn turn(*this);
  if (tls_desk_.next_iteration()) {
    uv_idle_start(&handshakes_, [](uv_idle_t*) {});
  } else {
    uv_idle_stop(&handshakes_);
  }
}

// From the loop's clock update, right after its poll, to the next poll: what a new event waits for
// at worst.
void Worker::measure_iteration() {
  if (longest_iteration_us_ == nullptr) return;
  const uint64_t now_us = uv_hrtime() / 1000;
  const uint64_t started_us = uv_now(&loop_) * 1000;
  const uint64_t took_us = now_us > started_us ? now_us - started_us : 0;
  if (took_us > longest_iteration_us_->load(std::memory_order_relaxed)) {
    longest_iteration_us_->store(took_us, std::memory_order_relaxed);
  }
}

void Worker::arm_loop_timer() {
  const uint64_t at_ms = timers_.promise_wakeup_ms();
  if (at_ms == 0) return;
  const uint64_t now_ms = uv_now(&loop_);
  uv_timer_start(
      &timer_,
      [](uv_timer_t* timer) {
        auto* worker = static_cast<Worker*>(timer->loop->data);
        {
          Turn turn(*worker);
          worker->timers_.advance(uv_now(&worker->loop_));
        }
        worker->arm_loop_timer();
      },
      at_ms > now_ms ? at_ms - now_ms : 0, 0);
}

}  // namespace weir::net
