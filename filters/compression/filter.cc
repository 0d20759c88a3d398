#include "filters/compression/filter.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "filters/compression/judge.h"
#include "filters/compression/weak_tags.h"
#include "proxy/body.h"
#include "proxy/exchange.h"
#include "proxy/metrics.h"
#include "proxy/proxy_worker.h"

namespace weir::filters::compression {

namespace {

// Server-sent events are small, and there may be many streams: they get small tables.
constexpr uint64_t kLongLivedHintBytes = 32 * 1024;

// The body of one answer. Owner: its filter. An encoder is borrowed from the head to the last
// byte, not longer: most answers come in one piece, and one encoder is enough for all of these. Of
// an answer that is cut it goes back with the exchange's arena, not before: what is written may end
// the exchange while the encoder is at work.
class Stage final : public proxy::BodyStage, private Sink {
 public:
  void start(EncoderPool::Lease encoder, std::optional<uint64_t> length_bytes,
             proxy::CodingBytes& bytes) {
    encoder_ = std::move(encoder);
    length_bytes_ = length_bytes;
    bytes_ = &bytes;
  }

  void put(std::string_view piece, Sink& out) override {
    if (!encoder_) return;  // more than was announced
    out_ = &out;
    in_bytes_ += piece.size();
    bytes_->in.add(piece.size());
    if (length_bytes_ && in_bytes_ >= *length_bytes_) {
      finish(piece);
    } else {
      encoder_->put(piece, *this);
    }
  }

  void flush(Sink& out) override {
    out_ = &out;
    if (encoder_) encoder_->flush(*this);
  }

  void end(Sink& out) override {
    out_ = &out;
    if (encoder_) finish({});
  }

 private:
  void finish(std::string_view piece) {
    encoder_->finish(piece, *this);
    encoder_.release();
  }

  void put(std::string_view bytes) override {  // of the encoder
    bytes_->out.add(bytes.size());
    out_->put(bytes);
  }

  EncoderPool::Lease encoder_;
  std::optional<uint64_t> length_bytes_;
  uint64_t in_bytes_ = 0;
  proxy::CodingBytes* bytes_ = nullptr;  // the worker's
  Sink* out_ = nullptr;                  // of the present call
};

class Compression final : public proxy::Filter {
 public:
  explicit Compression(const Options& options) : options_(options) {}

  proxy::Verdict on_request(proxy::FilterContext&, http::RequestHead& head) override {
    const http::CacheFields fields(head.headers);
    wish_ = wish_of(head, fields);
    place_ = {head.host, head.target};  // before an edit of Host
    if_none_match_ = fields.first(http::HeaderId::kIfNoneMatch);
    if (!if_none_match_.empty() || fields.has(http::HeaderId::kIfMatch)) {
      restore_tags(weak_tags(), place_, head.headers);
    }
    return proxy::Next{};
  }

  proxy::Verdict on_response(proxy::FilterContext& context, http::ResponseHead& head) override {
    const proxy::ResponseSource* const source = context.source();
    const http::HeaderList* const whole = source == nullptr ? nullptr : source->whole_fields();
    const http::CacheFields fields(whole == nullptr ? head.headers : *whole);
    const Judgement judgement = judge(options_, wish_, head, fields);
    if (judgement.varies) add_vary(head.headers, "Accept-Encoding");
    if (head.status == 304 && weaken_known_tag(if_none_match_, head.headers)) {
      add_vary(head.headers, "Accept-Encoding");
    }
    if (!judgement.compressible) return proxy::Next{};
    const Encoding encoding = encoding_for(options_, wish_);
    if (encoding != Encoding::kIdentity) compress(context, judgement, encoding, head);
    return proxy::Next{};
  }

 private:
  void compress(proxy::FilterContext& context, const Judgement& judgement, Encoding encoding,
                http::ResponseHead& head) {
    proxy::ResponseSource* const source = context.source();
    using Turned = proxy::ResponseSource::Turned;
    uint64_t stored_bytes = 0;
    // What was compressed before is the same for all, as padding must not be.
    const Turned turned = source == nullptr || options_.padding
                              ? Turned::kNone
                              : source->turn_to(encoding, stored_bytes);
    if (turned == Turned::kPlain) return;
    if (turned == Turned::kCoded) {
      head.framing = http::Framing::kLength;
      head.content_length = stored_bytes;
    } else if (!wish_.is_head) {
      proxy::Metrics& metrics = context.exchange().worker().metrics();
      if (!has_place(judgement.long_lived)) {
        metrics.compression_refused.add();
        return;
      }
      const auto index = static_cast<size_t>(encoding);
      stage_.start(EncoderPool::of_thread().lease(encoding, stream_options(judgement, encoding),
                                                  judgement.long_lived),
                   judgement.length_bytes, metrics.compression[index]);
      context.transform_body(stage_);
    }
    weaken_tag(weak_tags(), place_, head.headers);
    tell_encoding(head.headers, encoding);
  }

  // Streams that may stand open for hours leave half of the places to others.
  bool has_place(bool long_lived) const {
    const EncoderPool& pool = EncoderPool::of_thread();
    if (pool.leased() >= options_.max_concurrent) return false;
    return !long_lived || pool.long_lived() < (options_.max_concurrent + 1) / 2;
  }

  StreamOptions stream_options(const Judgement& judgement, Encoding encoding) const {
    StreamOptions out;
    out.level = options_.level_for(encoding);
    out.size_bytes =
        judgement.long_lived ? kLongLivedHintBytes : judgement.length_bytes.value_or(0);
    if (options_.padding) out.padding_bytes = EncoderPool::of_thread().random_padding();
    return out;
  }

  const Options& options_;  // the snapshot's, which the exchange pins
  Wish wish_;
  Place place_;
  std::string_view if_none_match_;  // as the client sent it
  Stage stage_;
};

class Factory : public proxy::FilterFactory {
 public:
  explicit Factory(std::shared_ptr<const Options> options) : options_(std::move(options)) {}
  std::string_view name() const override { return "compression"; }
  proxy::FilterParts parts() const override { return proxy::parts_of<Compression>(); }
  proxy::Filter* create(Arena& arena) const override { return arena.make<Compression>(*options_); }

  std::vector<std::string> explain(const proxy::Explained& asked) const override {
    const http::CacheFields fields(asked.head.headers);
    const Encoding encoding = encoding_for(*options_, wish_of(asked.head, fields));
    if (encoding == Encoding::kIdentity) return {"the answer goes out as it is"};
    return {std::string(http::encoding_name(encoding)) + " at level " +
            std::to_string(options_->level_for(encoding)) +
            ", of the types that are compressed, from " + std::to_string(options_->min_size_bytes) +
            " bytes on"};
  }

 private:
  const std::shared_ptr<const Options> options_;
};

}  // namespace

std::unique_ptr<proxy::FilterFactory> make_factory(std::shared_ptr<const Options> options) {
  return std::make_unique<Factory>(std::move(options));
}

}  // namespace weir::filters::compression
