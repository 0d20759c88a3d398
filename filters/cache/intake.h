// A server's answer on its way into the store: whether it may be kept, what of it, and for how
// long. For whoever asked the server: a client's request, or a renewal in the background.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include "base/arena.h"
#include "filters/cache/flight.h"
#include "filters/cache/options.h"
#include "filters/cache/store.h"
#include "filters/cache/tag_maker.h"
#include "filters/cache/tier_draft.h"
#include "http/freshness.h"
#include "http/message.h"
#include "proxy/body.h"

namespace weir::filters::cache {

// What was asked, as far as it matters for what comes back. Views that outlive the intake.
struct Question {
  const Options& options;
  http::Asked asked;
  const http::HeaderList& fields;  // of the client's request, which Vary is about
  int64_t sent_ms = 0;             // when the server was asked
  int64_t now_ms = 0;
};

// An answer about the resource, and not about who asks for it or how often.
inline bool is_of_resource(int status) {
  return (status >= 200 && status < 400) || status == 404 || status == 410;
}

// What a 304 says of what is stored.
enum class Freshened : uint8_t {
  kOther,  // it is about something else
  kKept,   // it is good anew
  kVoid,   // so it is, for the client that it came for: nobody else may have it, or by another Vary
};

// A member of the filter or the renewal. Thread: the worker's.
class Intake {
 public:
  // Before the server is asked: a purge that comes meanwhile is about this answer, too. `draft`: of
  // what is to go into the second tier as well; null: nothing is.
  void begin(Store& store, std::string_view key, std::unique_ptr<TierDraft> draft = nullptr) {
    writer_ = store.begin(key);
    draft_ = std::move(draft);
  }
  void forget() {
    writer_ = Writer();
    draft_.reset();
  }

  // Out of the second tier into the store, under the key of begin(). False: the store does not take
  // it, or it is none that could be given to clients. The intake is empty then.
  bool adopt(const TierValue& value, Arena& arena);

  // Of an answer that is no 304.
  static http::Storable judge(const Question& question, const http::ResponseHead& head);

  // REQUIRES: judge() said yes. False: the store does not take it; it is forgotten then.
  // `made_tag`: of weir's own, for an answer without one; empty: none.
  bool start(const Question& question, const http::ResponseHead& head, std::string_view made_tag);
  // What the store said to start(); kOk where it was not asked.
  Room room() const { return room_; }
  // REQUIRES: start() was good. What begins to be read, and what its variant is told apart by.
  const Meta& meta() const { return meta_; }
  std::string_view packed() const { return packed_; }
  std::string_view vary() const { return vary_; }
  std::string_view secondary() const { return secondary_; }
  Reader reader() const { return writer_.reader(); }
  bool length_known() const { return meta_.length_bytes != Meta::kUnknown; }
  // Takes the body for the store, and for who waits for it. The intake is empty then.
  // `before`: what the server was asked about, which goes once the new one is whole: it may have
  // another Vary. Of nothing: nothing was. `makes_tag`: of the body, once it is whole.
  std::unique_ptr<proxy::Recorder> recorder(Store& store, Lead lead, const Reader& before,
                                            bool makes_tag);

  // A 304 about `stored`, which is brought up to date unless it is void; meta() and packed() say
  // what it is now.
  Freshened freshen(Store& store, const Question& question, const Reader& stored,
                    const http::ResponseHead& not_modified);

 private:
  void describe(const Question& question, const http::HeaderList& kept, int status,
                const http::CacheFields& arrived);
  void rewrite(const Question& question, const Reader& stored, const http::HeaderList& fields);

  Writer writer_;
  std::unique_ptr<TierDraft> draft_;
  Room room_ = Room::kOk;
  Meta meta_;
  std::string_view packed_;
  std::string_view vary_;
  std::string_view secondary_;
};

// The keys of a request's variant, by the Vary lists that are known: SecondaryKey of the store.
class RequestVariant final : public SecondaryKey {
 public:
  RequestVariant(const http::CacheFields& fields, Arena& arena) : fields_(fields), arena_(arena) {}
  // Empty where it is too long to be told: then nothing matches.
  std::string_view by(std::string_view vary) override;
  std::string_view all() const { return all_; }  // what by() said; empty: it was not asked

 private:
  const http::CacheFields& fields_;
  Arena& arena_;
  std::string_view all_;
};

}  // namespace weir::filters::cache
