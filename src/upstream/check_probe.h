// One question to one address of a server: is it well? Asked as requests are, by a connection of
// its own over the same H1Conn and H2Conn.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/arena.h"
#include "net/timer_wheel.h"
#include "upstream/cluster.h"
#include "upstream/pool.h"
#include "upstream/server_side.h"

namespace weir::upstream {

struct ProbeResult {
  bool passed = false;
  bool conclusive = true;   // false: weir itself could not ask
  uint64_t latency_us = 0;  // from the dial to what decided
  std::string reason;       // why it did not pass
};

// Owner: whoever asks. Thread: the worker's. ask() again and again, one at a time.
class Probe final : public ConnUser {
 public:
  class Owner {
   public:
    // May ask() in a later turn; must not destroy the probe.
    virtual void on_probed(const ProbeResult& result) = 0;

   protected:
    ~Owner() = default;
  };

  // REQUIRES: cluster.check. What it needs of the cluster is copied.
  Probe(net::Worker& worker, Owner& owner, const Cluster& cluster, const Server& server,
        const net::SocketAddress& address);
  ~Probe();

  void ask();
  bool asking() const { return asking_; }

 private:
  void write_preface(Buffer& out) override;
  void on_conn_ready(ServerSide& side) override;
  void on_conn_failed(const Error& error) override;
  void on_conn_drained() override {}
  http::ResponseHead& next_response_head() override;
  void on_informational() override {}
  void on_upgraded() override;
  void on_response_head() override;
  void on_response_body(std::string_view piece) override;
  void on_response_end() override;
  http::HeaderList& response_trailers() override;
  void on_tunnel_bytes(std::string_view) override {}
  void on_tunnel_eof() override {}

  void send_request();
  void on_timeout();
  void pass() { end_with({}); }
  void end_with(std::string why, bool conclusive = true);  // empty: it passed

  // Its connections are no requests: nothing of them is in the metrics.
  struct NoObserver final : IdleObserver {
    void on_idle_added(uint32_t) override {}
    void on_idle_removed(uint32_t) override {}
  };

  net::Worker& worker_;
  Owner& owner_;
  Cluster cluster_;  // of the one address alone
  NoObserver observer_;
  std::unique_ptr<Pool> pool_;
  net::Timer timer_;
  Arena arena_;
  ServerSide* conn_ = nullptr;
  http::ResponseHead* head_ = nullptr;
  http::HeaderList* trailers_ = nullptr;
  std::string body_;  // as far as it matters
  uint64_t asked_us_ = 0;
  bool asking_ = false;
};

}  // namespace weir::upstream
