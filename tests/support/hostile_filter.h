// Filters that do everything the interface allows at the worst moment, as the request's X-Hostile
// field tells them: one word per filter, two letters each, for on_request and for on_response.
//
//   X-Hostile: nn tA iD        n next           r reply           i park, resume before returning
//                              j park, reply before returning     d park, drop the token at once
//                              t park, resume by a timer          u park, reply by a timer
//                              k park, keep the token until the filter dies
//                              a park, the attic resumes later    b park, the attic drops it later
//                              m park, resume through moved tokens
//                              v park, then answer Next           w park, then reply (tokens:
//                              attic)
//                              s serve                            p park, serve by a timer
//
// And with a server's answer, as it comes: c record it, h record its first bytes, g change its
// body, l wait for all of it.
//
// The attic outlives exchanges: its tokens fire when their exchange has long moved on, or died and
// left its slot to another. Everything is counted and checked; Probe::fault() says what went wrong.
#pragma once

#include <atomic>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/limits.h"
#include "net/worker.h"
#include "proxy/exchange.h"
#include "proxy/filter.h"
#include "proxy/proxy_worker.h"
#include "proxy/summary.h"
#include "support/hostile_bodies.h"

namespace weir::test {

// Tokens that outlive their exchanges. Lives on the worker's thread.
class Attic {
 public:
  explicit Attic(net::Worker& worker) : worker_(worker) {}
  Attic(const Attic&) = delete;
  Attic& operator=(const Attic&) = delete;

  // Fires (or drops) the token after that time.
  void keep(proxy::Resume token, bool drop, uint64_t delay_ms) {
    Entry& entry = entries_.emplace_back(*this, std::move(token), drop);
    entry.at = std::prev(entries_.end());
    entry.timer.arm_ms(delay_ms);
  }

 private:
  struct Entry {
    Entry(Attic& owner, proxy::Resume held, bool drop_it)
        : attic(owner),
          token(std::move(held)),
          drop(drop_it),
          timer(owner.worker_.timers(), this, &net::Timer::call<Entry, &Entry::on_time>) {}
    void on_time() {
      if (!drop) std::move(*token).next();
      attic.entries_.erase(at);  // *this is gone
    }
    Attic& attic;
    std::optional<proxy::Resume> token;
    const bool drop;
    net::Timer timer;
    std::list<Entry>::iterator at;
  };

  net::Worker& worker_;
  std::list<Entry> entries_;
};

// What all hostile filters of a test have done. Counters: any thread.
struct Probe {
  std::atomic<uint64_t> made{0};
  std::atomic<uint64_t> died{0};
  std::atomic<uint64_t> requests{0};   // on_request calls
  std::atomic<uint64_t> responses{0};  // on_response calls
  std::atomic<uint64_t> attempts{0};
  std::atomic<uint64_t> ends{0};
  std::atomic<uint64_t> parked{0};
  std::unique_ptr<Attic> attic;  // the worker's thread only

  void report(const std::string& what) {
    const std::lock_guard lock(mutex_);
    if (fault_.empty()) fault_ = what;
  }
  std::string fault() const {  // the first one, or empty
    const std::lock_guard lock(mutex_);
    return fault_;
  }

 private:
  mutable std::mutex mutex_;
  std::string fault_;
};

class HostileFilter final : public proxy::Filter {
 public:
  HostileFilter(Probe& probe, const proxy::FilterFactory& factory, size_t index)
      : probe_(probe), factory_(factory), index_(index) {
    ++probe_.made;
  }
  ~HostileFilter() override {
    ++probe_.died;
    if (ends_ != requests_) probe_.report("on_end did not match on_request");
    if (factory_.name() != "hostile") probe_.report("the factory died before its filter");
  }

  proxy::Verdict on_request(proxy::FilterContext& context, http::RequestHead& head) override {
    ++probe_.requests;
    if (++requests_ != 1) probe_.report("on_request called twice");
    worker_ = &context.exchange().worker();
    if (const http::Header* id = head.headers.find("X-Id")) id_ = id->value;
    const http::Header* plan = head.headers.find("X-Hostile");
    const size_t at = index_ * 3;
    if (plan != nullptr && plan->value.size() >= at + 2) {
      on_response_ = plan->value[at + 1];
      return act(context, plan->value[at]);
    }
    return proxy::Next{};
  }

  void on_attempt(proxy::FilterContext&, const upstream::Server&,
                  http::RequestHead& head) override {
    ++probe_.attempts;
    const std::string mark = "X-Attempt-" + std::to_string(index_);
    if (head.headers.find(mark) != nullptr) probe_.report("a try saw an earlier try's edit");
    head.headers.add(head.headers.arena().copy(mark), "1");
    check_alive("on_attempt");
  }

  proxy::Verdict on_response(proxy::FilterContext& context, http::ResponseHead& head) override {
    ++probe_.responses;
    // What replaces an answer that did not come whole is seen, too.
    const bool again = std::exchange(awaits_, false) && context.exchange().answer_is_local();
    if (++responses_ != 1 && !again) probe_.report("on_response called twice");
    check_alive("on_response");
    head.headers.add(head.headers.arena().copy("X-Filter-" + std::to_string(index_)), "1");
    const bool of_server = !context.exchange().answer_is_local() && context.source() == nullptr;
    if (std::string_view("chgl").find(on_response_) != std::string_view::npos) {
      return of_server ? handle_body(context, head) : proxy::Verdict(proxy::Next{});
    }
    return act(context, on_response_);
  }

  proxy::Verdict on_whole_response(proxy::FilterContext& context, http::ResponseHead& head,
                                   const Buffer& body) override {
    if (context.exchange().answer_is_local()) probe_.report("awaited: an answer of weir's own");
    awaits_ = false;
    if (body.size() != head.content_length) probe_.report("awaited: a part of an answer");
    return proxy::Next{};
  }

  void on_end(const proxy::Summary&) noexcept override {
    ++probe_.ends;
    check_alive("on_end");
    ++ends_;
  }

 private:
  void check_alive(const char* where) {
    if (requests_ != 1 || ends_ != 0) probe_.report(std::string(where) + " outside of a life");
  }

  proxy::LocalReply refusal() const { return {418, {{"X-Id", id_}}, "by a filter", "hostile"}; }

  proxy::Verdict act(proxy::FilterContext& context, char how) {
    if (how == 'r') return refusal();
    if (how == 'n') return proxy::Next{};
    if (how == 's') return slow_source(context.exchange());
    auto [parked, token] = context.park();
    ++probe_.parked;
    const uint64_t delay_ms = probe_.parked.load() % 5 * 10;
    switch (how) {
      case 'i': std::move(token).next(); break;
      case 'j': std::move(token).reply(refusal()); break;
      case 't':
      case 'u': wait_by_timer(std::move(token), how == 'u', delay_ms); break;
      case 'p':
        served_ = slow_source(context.exchange());
        wait_by_timer(std::move(token), false, delay_ms);
        break;
      case 'k': token_.emplace(std::move(token)); break;
      case 'a': probe_.attic->keep(std::move(token), false, delay_ms); break;
      case 'b': probe_.attic->keep(std::move(token), true, delay_ms); break;
      case 'm': {
        proxy::Resume second(std::move(token));
        proxy::Resume third(std::move(second));
        std::move(third).next();
        break;
      }
      case 'v': probe_.attic->keep(std::move(token), false, delay_ms); return proxy::Next{};
      case 'w': probe_.attic->keep(std::move(token), false, delay_ms); return refusal();
      default: break;  // 'd': the token dies here
    }
    return parked;
  }

  proxy::Serve slow_source(proxy::Exchange& exchange) const {
    return {exchange.arena().make<SlowSource>(exchange, id_)};
  }

  proxy::Verdict handle_body(proxy::FilterContext& context, http::ResponseHead& head) {
    Arena& arena = context.exchange().arena();
    const bool empty = head.framing == http::Framing::kNone;
    if (on_response_ == 'g') {
      if (empty || head.headers.find("X-Capitals") != nullptr) return proxy::Next{};
      head.headers.add("X-Capitals", "1");
      context.transform_body(*arena.make<CapitalStage>());
      return proxy::Next{};
    }
    if (on_response_ == 'l') {
      const bool small = head.framing == http::Framing::kLength &&
                         head.content_length <= limits::kWholeAnswerBytes;
      if (!small || responses_ != 1) return proxy::Next{};
      awaits_ = true;
      return proxy::Whole{};
    }
    constexpr size_t kFirstBytes = 100'000;
    auto kept = std::make_shared<Kept>();
    context.record(
        std::make_unique<KeepingRecorder>(kept, on_response_ == 'h' ? kFirstBytes : SIZE_MAX));
    return proxy::Serve{arena.make<KeptSource>(kept, head)};
  }

  void wait_by_timer(proxy::Resume token, bool reply, uint64_t delay_ms) {
    reply_ = reply;
    token_.emplace(std::move(token));
    timer_.emplace(worker_->net().timers(), this,
                   &net::Timer::call<HostileFilter, &HostileFilter::on_time>);
    timer_->arm_ms(delay_ms);
  }
  void on_time() {
    if (reply_) {
      std::move(*token_).reply(refusal());
    } else if (served_) {
      std::move(*token_).serve(*std::exchange(served_, std::nullopt));
    } else {
      std::move(*token_).next();
    }
  }

  Probe& probe_;
  const proxy::FilterFactory& factory_;
  const size_t index_;
  proxy::ProxyWorker* worker_ = nullptr;
  std::string id_;
  char on_response_ = 'n';
  int requests_ = 0;
  int responses_ = 0;
  int ends_ = 0;
  bool reply_ = false;
  bool awaits_ = false;  // the whole of an answer
  std::optional<proxy::Serve> served_;
  std::optional<proxy::Resume> token_;
  std::optional<net::Timer> timer_;
};

class HostileFactory final : public proxy::FilterFactory {
 public:
  HostileFactory(Probe& probe, size_t index) : probe_(probe), index_(index) {}
  std::string_view name() const override { return name_; }
  proxy::Filter* create(Arena& arena) const override {
    return arena.make<HostileFilter>(probe_, *this, index_);
  }
  bool uses_on_attempt() const override { return true; }

 private:
  Probe& probe_;
  const size_t index_;
  const std::string name_ = "hostile";  // read by its filters until they die
};

}  // namespace weir::test
