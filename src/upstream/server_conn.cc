#include "upstream/server_conn.h"

#include <utility>

#include "base/limits.h"
#include "base/log.h"
#include "net/tls.h"
#include "net/uv_error.h"
#include "net/worker.h"
#include "upstream/pool.h"

namespace weir::upstream {

ServerConn::ServerConn(Pool& pool, Target& target, const UpstreamTimeouts& timeouts)
    : pool_(pool),
      target_(&target),
      timeouts_(timeouts),
      timer_(pool.worker().timers(), this, &net::Timer::call<ServerConn, &ServerConn::on_timeout>) {
}

ServerConn::ServerConn(Pool& pool, Target& target, const UpstreamTimeouts& timeouts,
                       std::unique_ptr<net::Stream> stream)
    : ServerConn(pool, target, timeouts) {
  stream_ = std::move(stream);
  stream_->hand_to(*this);
  dialling_ = false;
}

void ServerConn::dial() {
  ++dials_;
  stream_ = net::Stream::dial(pool_.worker(), *this, target_->address);
  pool_.start_tls(*target_, *stream_);
  if (stream_->tls() != nullptr) write_preface(stream_->before_tls());
  timer_.arm_ms(timeouts_.connect_ms);
}

// No connection to this address: to another one of the same server, or it has failed.
void ServerConn::dial_next(ErrorKind kind, const char* detail) {
  Target* next = pool_.after_failure(*target_);
  if (next == nullptr || dials_ == limits::kDialsMax) {
    on_dial_failed({Source::kUpstream, kind, Retry::kNothingSent, detail});
    return;
  }
  static LogThrottle throttle(10'000);
  log_warn_once_per(throttle, "upstream {}: server {} at {}: {}; its other addresses are used",
                    pool_.state().upstream, pool_.state().server, target_->address.text(), detail);
  stream_->end();
  pool_.worker().bury(std::move(stream_));
  pool_.move(*this, *next);
  dial();
}

void ServerConn::on_connected() {
  dialling_ = false;
  timer_.cancel();
  stream_->detect_dead_peer(timeouts_.send_ms);
  stream_->hear_out_when_broken();
  stream_->start_reading();  // with TLS it has begun before
  if (stream_->tls() == nullptr) write_preface(stream_->out());
  on_dialled();
}

void ServerConn::on_broken(int uv_error) {
  if (!dialling_) {
    on_lost(uv_error);
  } else if (net::is_out_of_descriptors(uv_error)) {
    // No server's fault, and no other one would do better.
    on_dial_failed(
        {Source::kWeir, ErrorKind::kOverload, Retry::kNever, "no file descriptor is left"});
  } else if (const net::Tls* tls = stream_->tls(); tls != nullptr && tls->failed()) {
    dial_next(tls->distrusts() ? ErrorKind::kCertificate : ErrorKind::kTls, tls->failure());
  } else {
    dial_next(ErrorKind::kConnect, net::error_name(uv_error));
  }
}

void ServerConn::on_timeout() {
  if (dialling_) {
    dial_next(ErrorKind::kTimeout, "connect timeout");
  } else {
    on_deadline();
  }
}

void ServerConn::count_user() {
  ++users_;
  ++target_->users;
}

void ServerConn::discount_user() {
  --users_;
  --target_->users;
}

std::unique_ptr<net::Stream> ServerConn::take_stream() { return std::move(stream_); }

void ServerConn::end() {
  if (over_) return;
  over_ = true;
  timer_.cancel();
  on_end();
  if (stream_ != nullptr) {
    stream_->end();
    pool_.worker().bury(std::move(stream_));
  }
  pool_.forget(*this);
}

}  // namespace weir::upstream
