// Answers that filters serve, keep or change: a source that gives the body, a recorder that keeps
// what a server sends, a stage that it goes through on its way to the client.
//
//   recorder_  source_  source_tail_  held_response_   where a recorded answer is
//   set        set      no            what came early  record_held() gives that to the recorder
//   set        set      no            -                pieces go to the recorder, on to the source
//   -          set      no            -                complete: the source has all of it
//   -          set      yes           the rest         refused a piece; the source ends first
//   -          -        yes           the rest         relayed, as if it had never been recorded
//
// Without a recorder from the beginning, a source is another answer instead of the server's.
#include <memory>
#include <string_view>
#include <utility>

#include "base/check.h"
#include "base/limits.h"
#include "base/strings.h"
#include "net/worker.h"
#include "proxy/exchange.h"
#include "proxy/proxy_worker.h"
#include "proxy/remainder.h"

namespace weir::proxy {

namespace {

// Of what nobody gets, for the sake of its connection.
class NoRecorder final : public Recorder {
 public:
  bool put(std::string_view) override { return true; }
  void complete() override {}
  bool wants_rest() const override { return true; }
  bool close() override { return false; }
};

}  // namespace

// ---- sources ----

// Instead of asking a server. The filter that serves sees nothing of its own answer.
Step Exchange::serve(ResponseSource& source) {
  response_begun_ = true;
  response_filter_ = filters_seen_ - 1;
  return answer_from(source);
}

Step Exchange::answer_from(ResponseSource& source) {
  discard_body_ = true;
  source_ = &source;
  response_ = arena_.make<http::ResponseHead>(arena_);
  source.fill_head(*response_);
  tell_length_to_head();
  return Step::kResponse;
}

// Instead of what a server, or weir itself, has answered; or of a server's answer that is recorded.
// kWait: until that answer has ended.
Step Exchange::serve_from_response(ResponseSource& source) {
  const bool empty = response_->framing == http::Framing::kNone;
  const bool is_short = response_->framing == http::Framing::kLength &&
                        response_->content_length <= limits::kUnwantedRestBytes;
  source_ = &source;
  stage_ = nullptr;  // of what it replaces
  response_ = arena_.make<http::ResponseHead>(arena_);
  source.fill_head(*response_);
  tell_length_to_head();
  if (local_) {
    local_ = false;
  } else if (recorder_ != nullptr) {
    record_held();
  } else {
    held_response_.clear();
    response_trailers_ = nullptr;
    if (!request_ended_) discard_body_ = true;
    if (in_flight_ == nullptr) return Step::kResponse;
    // Its end comes in this turn, and the connection can be kept.
    if (empty && request_ended_) return Step::kWait;
    if (is_short && may_leave_rest()) {
      leave_rest(std::make_unique<NoRecorder>(), limits::kUnwantedRestMs);
    } else {
      settle_attempt(false);
    }
  }
  return Step::kResponse;
}

Step Exchange::pump_source() {
  if (framing_.framing == http::Framing::kNone) return Step::kFinish;
  size_t left = stage_ == nullptr ? limits::kPumpBytes : limits::kStagePumpBytes;
  while (!client_.congested()) {
    if (left == 0) {
      pump_later();
      return Step::kWait;
    }
    const ResponseSource::Piece piece = source_->next();
    switch (piece.state) {
      case ResponseSource::State::kBytes: left -= std::min(left, relay_piece(piece)); break;
      case ResponseSource::State::kFile: {
        const size_t sent = client_.send_file(piece.file, piece.offset_bytes, piece.bytes);
        source_->sent(sent);
        left -= std::min(left, sent);
        break;
      }
      case ResponseSource::State::kWait: return Step::kWait;
      case ResponseSource::State::kEnd: return Step::kFinish;
      case ResponseSource::State::kBroken: {
        const Error why = std::exchange(source_, nullptr)->why_broken();
        if (source_tail_) return relay();
        fail(why);
        return Step::kOver;
      }
    }
  }
  return Step::kWait;
}

// Several spans at once where nothing changes them: one system call for all. Returns how much of
// them is done with.
size_t Exchange::relay_piece(const ResponseSource::Piece& piece) {
  ResponseSource& source = *source_;
  size_t done = total_size(piece.spans);
  if (stage_ != nullptr) {
    for (const std::string_view span : piece.spans) stage_piece(span);
  } else if (piece.keeps_rest) {
    done = client_.offer_body(piece.spans);
  } else {
    client_.send_body(piece.spans);
  }
  if (piece.keeps_rest) source.sent(done);
  return done;
}

// In another iteration of the loop: others have their turn before.
void Exchange::pump_later() {
  worker_.net().post([&worker = worker_, id = id_] {
    if (Exchange* exchange = worker.exchanges().find(id)) exchange->on_source_ready();
  });
}

void Exchange::on_source_ready() {
  if (!over() && step_ == Step::kRelay && source_ != nullptr) advance();
}

// ---- recorders ----

void Exchange::record_piece(std::string_view piece) {
  if (!recorder_->put(piece)) {
    recorder_ = nullptr;
    source_tail_ = true;
    held_response_.append(piece);
    if (holds_enough(held_response_) && conn_ != nullptr) conn_->pause();
  }
  if (step_ == Step::kRelay) advance();
}

// What has come while the filters were at the head.
void Exchange::record_held() {
  while (recorder_ != nullptr && !held_response_.empty()) {
    const std::string_view front = held_response_.front();
    if (recorder_->put(front)) {
      held_response_.consume(front.size());
    } else {
      recorder_ = nullptr;
      source_tail_ = true;
    }
  }
  if (recorder_ == nullptr) return;
  if (response_done_) {
    recorder_->complete();
    recorder_ = nullptr;
  } else if (conn_ != nullptr) {
    conn_->resume();
  }
}

// The exchange ends before the server's answer does.
void Exchange::leave_remainder() {
  const bool well = !error_ || error_.source == Source::kClient;
  if (well && recorder_->wants_rest() && may_leave_rest()) {
    leave_rest(std::move(recorder_), deadline_.armed() ? deadline_.left_ms() : 0);
  }
  recorder_ = nullptr;
}

bool Exchange::may_leave_rest() const {
  return conn_ != nullptr && request_ended_ && pinned_ != nullptr &&
         worker_.has_room_for_remainder();
}

// REQUIRES: may_leave_rest().
void Exchange::leave_rest(std::unique_ptr<Recorder> recorder, uint64_t left_ms) {
  Remainder::Rest rest;
  rest.recorder = std::move(recorder);
  rest.conn = std::exchange(conn_, nullptr);
  rest.in_flight = std::exchange(in_flight_, nullptr);
  rest.gate = std::exchange(gate_, nullptr);
  rest.cluster = cluster_;
  rest.epoch = pinned_;
  rest.started_us = attempt_started_us_;
  rest.left_ms = left_ms;
  upstream_us_ = worker_.net().now_us() - attempt_started_us_;
  server_ = nullptr;
  worker_.adopt_background(std::make_unique<Remainder>(worker_, std::move(rest)));
}

// Another one replaces it: what filters wanted of it, and have made of it.
void Exchange::forget_answer() {
  awaits_whole_ = false;
  recorder_ = nullptr;
  source_ = nullptr;
  source_tail_ = false;
  stage_ = nullptr;
}

// ---- stages ----

void Exchange::put(std::string_view bytes) { client_.send_body(bytes); }

// What it keeps back is let go at the end of the turn, when nothing more is at hand.
void Exchange::stage_piece(std::string_view piece) {
  if (piece.empty()) return;
  stage_->put(piece, *this);
  if (flush_due_) return;
  flush_due_ = true;
  worker_.net().defer([&worker = worker_, id = id_] {
    if (Exchange* exchange = worker.exchanges().find(id)) exchange->flush_stage();
  });
}

void Exchange::flush_stage() {
  flush_due_ = false;
  if (!over() && stage_ != nullptr) stage_->flush(*this);
}

void Exchange::end_stage() {
  BodyStage* const stage = std::exchange(stage_, nullptr);
  if (framing_.framing != http::Framing::kNone) stage->end(*this);
}

}  // namespace weir::proxy
