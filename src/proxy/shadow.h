// A request that goes to a mirror's upstream as well. Nothing of it reaches the client: it has
// copies of its own, goes out after the real one, takes a place only where one is free at once, and
// ends by itself. What it leaves behind is a count of same and different statuses.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "base/arena.h"
#include "base/buffer.h"
#include "base/error.h"
#include "base/intrusive_list.h"
#include "base/pooled.h"
#include "base/slot_map.h"
#include "http/message.h"
#include "net/mortal.h"
#include "net/timer_wheel.h"
#include "proxy/mirror.h"
#include "upstream/balancer.h"
#include "upstream/server_side.h"

namespace weir::proxy {

class ProxyWorker;
class Shadows;
struct Epoch;
struct Route;

// Owner: its worker's Shadows, until it ends (then the worker's graves). Thread: the worker's. The
// exchange that it copies knows its Id only; which of the two ends first does not matter. Pins its
// snapshot.
class Shadow final : public net::Mortal, public upstream::ConnUser, public Pooled<Shadow> {
 public:
  Shadow(Shadows& shadows, const Route& route, Epoch& epoch);
  ~Shadow() override;

  Id id() const { return id_; }

  // ---- from the exchange; each may end it ----
  // The head as the real server got it, `request_hash` being that of the mirror's hash_key and
  // `preface` what its servers get before everything else. Copied, as all that follows.
  void take_head(const upstream::OutgoingHead& sent, std::optional<uint64_t> request_hash,
                 std::string_view preface);
  void take_body(std::string_view piece);
  void take_body(const Buffer& held);
  // All of the request is here: it goes out in a later iteration of the loop.
  void complete(const http::HeaderList* trailers);
  void note_real_status(int status);
  void on_exchange_over();  // no call comes after this one

 private:
  friend class Shadows;
  enum class Phase : uint8_t { kCollecting, kReady, kUnderWay, kAnswered, kOver };

  void start();
  bool take_place();
  void give_back_place();
  void lease();
  void send();
  void pump();
  void finish_answer(bool whole);
  void fail(const Error& error, bool of_the_server);
  void note_failure(const Error& error);
  void on_deadline();
  void compare();
  void log_difference() const;
  void conclude(MirrorResult result);
  void cut();  // the worker ends
  void end();
  bool reserve(size_t bytes);
  const Mirror& mirror() const;
  const upstream::Cluster& cluster() const { return *mirror().cluster; }

  // From the server's connection.
  void write_preface(Buffer& out) override { out.append(preface_); }
  void on_conn_ready(upstream::ServerSide& side) override;
  void on_conn_failed(const Error& error) override;
  void on_conn_drained() override;
  http::ResponseHead& next_response_head() override;
  void on_informational() override;
  void on_upgraded() override;
  void on_response_head() override;
  void on_response_body(std::string_view piece) override;
  void on_response_end() override;
  http::HeaderList& response_trailers() override;
  void on_tunnel_bytes(std::string_view) override {}
  void on_tunnel_eof() override {}

  // Constant after construction.
  Shadows& shadows_;
  ProxyWorker& worker_;
  Epoch& epoch_;        // pinned
  const Route& route_;  // of epoch_'s snapshot
  Arena arena_;
  Id id_;

  // This worker only.
  ListHook live_;
  ListHook ready_;
  Phase phase_ = Phase::kCollecting;
  http::RequestHead head_;
  http::ExtraField* extras_ = nullptr;
  size_t extras_count_ = 0;
  http::HeaderList* trailers_ = nullptr;
  std::string_view preface_;
  std::optional<uint64_t> hash_;
  Buffer body_;            // not sent yet
  Buffer sent_;            // sent, but a second connection might be needed
  size_t held_bytes_ = 0;  // of both; on the account of shadows_
  int real_status_ = 0;    // 0: not known yet
  int status_ = 0;         // the same, of its own answer
  bool exchange_over_ = false;

  // The try.
  const upstream::Server* server_ = nullptr;  // with its in-flight count
  upstream::Gate* gate_ = nullptr;            // with a place, where the upstream's load is limited
  upstream::ServerSide* conn_ = nullptr;
  bool trial_ = false;
  bool judged_ = false;  // the server was shown to be good or bad
  bool fresh_ = false;   // once more, after a connection that the server had left
  bool sent_all_ = false;
  uint32_t informational_ = 0;
  uint64_t started_us_ = 0;
  uint64_t answer_due_us_ = 0;  // since when the server has had all of the request
  uint64_t answer_bytes_ = 0;
  http::ResponseHead* response_ = nullptr;
  http::HeaderList* response_trailers_ = nullptr;
  net::Timer deadline_;
};

// All shadows of one worker. Thread-confined.
class Shadows {
 public:
  explicit Shadows(ProxyWorker& worker);
  ~Shadows();
  Shadows(const Shadows&) = delete;
  Shadows& operator=(const Shadows&) = delete;

  // A shadow for a request of `route`, which has a mirror. Null: the lot says no, or there is no
  // room, which is counted. The caller gives it the head at once.
  Shadow* begin(const Route& route, Epoch& epoch, const http::RequestHead& request);
  Shadow* find(Id id) const { return slots_.find(id); }
  // Ends all. Before the pools end their connections.
  void cut_all();
  size_t size() const { return slots_.size(); }

 private:
  friend class Shadow;
  bool drawn(double sample);
  void count(const Route& route, MirrorResult result);
  void queue(Shadow& shadow);
  void start_some();
  void forget(Shadow& shadow);

  ProxyWorker& worker_;
  SlotMap<Shadow> slots_;
  IntrusiveList<Shadow, &Shadow::live_> live_;    // owned
  IntrusiveList<Shadow, &Shadow::ready_> ready_;  // that have all of their request
  size_t held_bytes_ = 0;
  bool posted_ = false;  // a message to start some of ready_ is under way
};

}  // namespace weir::proxy
