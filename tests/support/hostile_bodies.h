// What hostile filters do with bodies: sources that keep clients waiting, recorders that refuse, a
// stage that changes every byte.
#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "net/worker.h"
#include "proxy/body.h"
#include "proxy/exchange.h"
#include "proxy/proxy_worker.h"

namespace weir::test {

inline constexpr std::string_view kServed = "served by a filter";

// What a recorder has taken; shared with the source that gives it. The worker's thread.
struct Kept {
  std::string bytes;
  bool complete = false;
  bool broken = false;
};

class KeepingRecorder final : public proxy::Recorder {
 public:
  KeepingRecorder(std::shared_ptr<Kept> kept, size_t room_bytes)
      : kept_(std::move(kept)), room_bytes_(room_bytes) {}
  ~KeepingRecorder() override { kept_->broken = !kept_->complete; }
  bool put(std::string_view piece) override {
    if (kept_->bytes.size() + piece.size() > room_bytes_) return false;
    kept_->bytes.append(piece);
    return true;
  }
  void complete() override { kept_->complete = true; }
  bool wants_rest() const override { return true; }
  bool close() override { return kept_.use_count() > 1; }

 private:
  const std::shared_ptr<Kept> kept_;
  const size_t room_bytes_;
};

// The answer that is recorded, with its own head.
class KeptSource final : public proxy::ResponseSource {
 public:
  KeptSource(std::shared_ptr<Kept> kept, const http::ResponseHead& head)
      : kept_(std::move(kept)), head_(head) {}
  void fill_head(http::ResponseHead& head) override {
    head.status = head_.status;
    head.framing = head_.framing;
    head.content_length = head_.content_length;
    for (const http::Header& field : head_.headers) head.headers.add(field);
  }
  Piece next() override {
    if (given_ < kept_->bytes.size()) {
      piece_ = kept_->bytes.substr(given_);
      given_ += piece_.size();
      span_ = piece_;
      return {State::kBytes, {&span_, 1}};
    }
    if (kept_->complete) return {State::kEnd, {}};
    return {kept_->broken ? State::kBroken : State::kWait, {}};
  }

 private:
  const std::shared_ptr<Kept> kept_;
  const http::ResponseHead& head_;  // in the exchange's arena
  std::string piece_;
  std::string_view span_;  // of it
  size_t given_ = 0;
};

// A text, a few bytes at a time, which has to be waited for between any two.
class SlowSource final : public proxy::ResponseSource {
 public:
  SlowSource(proxy::Exchange& exchange, std::string_view id)
      : worker_(exchange.worker()), exchange_(exchange.id()), id_(id) {}
  void fill_head(http::ResponseHead& head) override {
    head.status = 200;
    head.framing = http::Framing::kLength;
    head.content_length = kServed.size();
    head.headers.add("X-Id", id_);
  }
  Piece next() override {
    if (given_ == kServed.size()) return {State::kEnd, {}};
    if (std::exchange(waits_, !waits_)) {
      worker_.net().defer([&worker = worker_, id = exchange_] {
        if (proxy::Exchange* exchange = worker.exchanges().find(id)) exchange->on_source_ready();
      });
      return {State::kWait, {}};
    }
    span_ = kServed.substr(given_, 5);
    given_ += span_.size();
    return {State::kBytes, {&span_, 1}};
  }

 private:
  proxy::ProxyWorker& worker_;
  const Id exchange_;
  const std::string_view id_;  // the filter's
  std::string_view span_;
  size_t given_ = 0;
  bool waits_ = true;
};

// Letters become capitals, a few bytes late; and a mark stands at the end.
class CapitalStage final : public proxy::BodyStage {
 public:
  void put(std::string_view piece, proxy::BodySink& out) override {
    held_.append(piece);
    if (held_.size() >= 4096) flush(out);
  }
  void flush(proxy::BodySink& out) override {
    for (char& c : held_) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
    if (!held_.empty()) out.put(std::exchange(held_, {}));
  }
  void end(proxy::BodySink& out) override {
    flush(out);
    out.put("!");
  }

 private:
  std::string held_;
};

}  // namespace weir::test
