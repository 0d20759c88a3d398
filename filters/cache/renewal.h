// A stored answer is brought up to date while clients get the old one (RFC 5861 3).
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "filters/cache/flight.h"
#include "filters/cache/intake.h"
#include "proxy/background.h"
#include "proxy/fetch.h"

namespace weir::proxy {
class Exchange;
}

namespace weir::filters::cache {

// Owner: the worker's list, until the server has answered. Thread: the worker's.
class Renewal final : public proxy::Background, private proxy::Fetch::User {
 public:
  struct Of {
    const Options& options;
    Store& store;
    const http::Asked& asked;
    std::string_view key;
    std::string_view flight_key;
    const Reader& stored;
  };
  // Asks as `asker` would have, unless somebody does already.
  static void start(proxy::Exchange& asker, const Of& of);
  Renewal(proxy::Exchange& asker, const Of& of, Lead lead);
  ~Renewal() override = default;

  void end() override;
  bool is_waited_for() override { return fetch_.close_recorder(); }

 private:
  void begin(std::string_view key);
  void drop_stored();
  bool on_fetch_head(const http::ResponseHead& head) override;
  void on_fetched(const http::ResponseHead&, const Buffer&) override { end(); }
  void on_fetch_failed(const Error&) override { end(); }
  int64_t now_ms() const;

  proxy::ProxyWorker& worker_;
  proxy::Fetch fetch_;  // pins the snapshot that options_ is of, as long as it can call
  const Options& options_;
  Store& store_;
  http::Asked asked_;
  http::HeaderList& fields_;  // of the client's request; in the fetch's arena
  std::string_view key_;      // there, too
  Reader stored_;
  Intake intake_;
  Lead lead_;
  int64_t sent_ms_ = 0;
  bool over_ = false;
};

}  // namespace weir::filters::cache
