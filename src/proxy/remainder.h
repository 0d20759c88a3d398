// The rest of a server's answer, whose exchange is over: it is read to its end for the recorder.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "base/arena.h"
#include "http/message.h"
#include "net/timer_wheel.h"
#include "proxy/background.h"
#include "proxy/body.h"
#include "upstream/server_side.h"

namespace weir::upstream {
struct Cluster;
struct EndpointState;
class Gate;
}  // namespace weir::upstream

namespace weir::proxy {

struct Epoch;

// Ends with the answer, with the first failure, when the recorder takes no more, when its time is
// over (some answers never end), or with the worker, where nobody else reads it. Pins its snapshot.
class Remainder final : public Background, public upstream::ConnUser {
 public:
  // What the exchange had of its try. The connection is handed on; the place among the server's
  // requests is kept to the end.
  struct Rest {
    std::unique_ptr<Recorder> recorder;
    upstream::ServerSide* conn = nullptr;
    upstream::EndpointState* in_flight = nullptr;
    upstream::Gate* gate = nullptr;  // null: the upstream's load is not limited
    const upstream::Cluster* cluster = nullptr;
    Epoch* epoch = nullptr;
    uint64_t started_us = 0;
    uint64_t left_ms = 0;  // of the total time; 0: it has no limit, limits::kRemainderMs holds
  };
  Remainder(ProxyWorker& worker, Rest&& rest);
  ~Remainder() override;

  void end() override { finish(false); }
  bool is_remainder() const override { return true; }
  bool is_waited_for() override { return rest_.recorder != nullptr && rest_.recorder->close(); }

 private:
  // ConnUser
  void write_preface(Buffer&) override {}
  void on_conn_ready(upstream::ServerSide&) override {}
  void on_conn_failed(const Error&) override;
  void on_conn_drained() override {}
  http::ResponseHead& next_response_head() override { return head_; }
  void on_informational() override {}
  void on_upgraded() override {}
  void on_response_head() override {}
  void on_response_body(std::string_view piece) override;
  void on_response_end() override;
  http::HeaderList& response_trailers() override { return head_.headers; }
  void on_tunnel_bytes(std::string_view) override {}
  void on_tunnel_eof() override {}

  void finish(bool keep_connection);

  ProxyWorker& worker_;
  Rest rest_;
  Arena arena_;
  http::ResponseHead head_;  // nobody reads it
  net::Timer deadline_;
  bool over_ = false;
};

}  // namespace weir::proxy
