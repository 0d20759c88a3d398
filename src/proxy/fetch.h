// A request of weir's own to one of its upstreams: what a filter wants to know before it lets a
// client's request pass, or to keep for later ones.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <utility>

#include "base/buffer.h"
#include "base/error.h"
#include "http/message.h"
#include "proxy/body.h"
#include "proxy/client_side.h"

namespace weir::proxy {

class Exchange;
struct Route;

// The client of an exchange that has no other one: as any request that exchange is balanced,
// queued, retried, hedged and counted by the rules of its upstream; it has no filters and no line
// in the access log, and is no request of a client's in the metrics.
//
// Owner: whoever waits, as a member (a filter); its death cancels it. Thread: the worker's. The
// exchange is its own, and goes to the worker's graves when it is over.
class Fetch final : private ClientSide {
 public:
  // Who waits. Calls come in any turn, from start() too, and may fire a Resume.
  class User {
   public:
    // True: the body is wanted, and one of the other two follows. False: nothing follows; what
    // comes of the body is thrown away, so that the connection can be kept. May not cancel().
    // `head` is good until the end of the turn.
    virtual bool on_fetch_head(const http::ResponseHead& head) = 0;
    virtual void on_fetched(const http::ResponseHead& head, const Buffer& body) = 0;
    // No answer, or only a part of one. A body over the cap is Source::kUpstream, kTooLarge.
    virtual void on_fetch_failed(const Error& error) = 0;

   protected:
    ~User() = default;
  };

  // For `asker`'s client, who the server hears of as of any client (X-Forwarded-For, the PROXY
  // protocol). `route`: of asker's pinned snapshot, with its cluster and timeout_ms, not 0; nothing
  // else of it is looked at. `body_max_bytes`: of the answer.
  Fetch(Exchange& asker, const Route& route, size_t body_max_bytes, User& user);
  // Asker's own request once more, by its own route and to its side of a split, as its filters let
  // it pass. REQUIRES: asker's filters have. Outlives asker.
  Fetch(Exchange& asker, User& user);
  ~Fetch();
  Fetch(const Fetch&) = delete;
  Fetch& operator=(const Fetch&) = delete;

  // A GET of "/" without fields, or asker's, to be edited before start(): its text lives as long as
  // the fetch.
  http::RequestHead& request();
  // The server hears nothing of the asker's client: it is not asked for that one alone. Before
  // start().
  void tell_nothing_of_client();
  void start();  // once
  // From on_fetch_head(), which then returns true: the body goes there, whatever its size, and
  // on_fetched() gets none.
  void record(std::unique_ptr<Recorder> recorder) { recorder_ = std::move(recorder); }
  // Recorder::close(), where it has one.
  bool close_recorder() { return recorder_ != nullptr && recorder_->close(); }
  // The user hears nothing any more. At any time.
  void cancel();

 private:
  // ClientSide
  const http::Address& peer() const override { return peer_; }
  http::ConnectionEnds ends() const override;
  uint32_t listener_slot() const override { return listener_slot_; }
  std::string_view scheme() const override { return scheme_; }
  const net::Tls* tls() const override { return nullptr; }
  bool must_close() const override { return false; }
  void send_informational(const http::ResponseHead&) override {}
  void send_head(const http::ResponseHead& head, const http::ResponseFraming& framing,
                 std::string_view upgrade) override;
  void send_body(std::span<const std::string_view> pieces) override;
  void take(std::string_view piece);
  void send_end(const http::HeaderList*) override {}
  bool congested() const override { return too_large_; }
  size_t unsent() const override { return body_.size(); }
  uint64_t bytes_out() const override { return body_bytes_; }
  void pause_body() override {}
  void resume_body() override {}
  uint64_t body_left() const override { return 0; }
  void start_tunnel() override {}
  void send_tunnel(std::string_view) override {}
  void shutdown_tunnel() override {}
  void exchange_over(bool cut) override;

  const ClientSide* const client_;  // the asker's; null: it may be gone
  const http::Address peer_;
  const uint32_t listener_slot_;
  const std::string_view scheme_;
  const size_t body_max_bytes_;
  User* user_;  // null: nobody waits any more
  std::unique_ptr<Exchange> exchange_;
  const http::ResponseHead* head_ = nullptr;  // of the exchange
  Buffer body_;
  std::unique_ptr<Recorder> recorder_;  // null: body_
  uint64_t body_bytes_ = 0;
  bool too_large_ = false;
};

}  // namespace weir::proxy
