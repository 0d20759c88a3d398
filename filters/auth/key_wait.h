// A request that waits for the keys of its token's issuer.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "filters/auth/key_source.h"
#include "net/timer_wheel.h"
#include "proxy/exchange.h"
#include "proxy/fetch.h"

namespace weir::filters::auth {

// As configured. Immutable but for the source; any thread.
struct KeyPlace {
  proxy::Route route;  // where to ask, and for how long
  std::string target;
  std::string host;
  uint64_t refresh_ms = 600'000;
  std::shared_ptr<KeySource> source;
};

// Owner: the filter, as a member, from its on_request to its on_end at most. Thread: the worker's.
class KeyWait final : public proxy::Fetch::User {
 public:
  class User {
   public:
    virtual void on_keys() = 0;  // once, from start() too: there are new ones, or there are not

   protected:
    ~User() = default;
  };

  KeyWait(const KeyPlace& place, KeySource::Need need, proxy::Resume resume,
          proxy::Exchange& exchange, User& user);
  ~KeyWait();
  // `turn`: what the place's source said.
  void start(KeySource::Turn turn);

  proxy::Exchange& exchange() { return exchange_; }
  proxy::Resume take_resume() { return std::move(resume_); }

  bool on_fetch_head(const http::ResponseHead& head) override;
  void on_fetched(const http::ResponseHead& head, const Buffer& body) override;
  void on_fetch_failed(const Error& error) override;

 private:
  void fetch();
  void fail(std::string_view why);
  void on_tick();
  uint64_t now_ms() const;

  const KeyPlace& place_;  // the snapshot's, which the exchange pins
  const KeySource::Need need_;
  proxy::Resume resume_;
  proxy::Exchange& exchange_;
  User& user_;
  net::Timer tick_;
  std::optional<proxy::Fetch> fetch_;
  bool fetching_ = false;
};

}  // namespace weir::filters::auth
