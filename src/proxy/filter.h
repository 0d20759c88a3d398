// A filter is one small step on a request's way. Core calls the filter; the filter answers with a
// Verdict and never calls core back, except through FilterContext while its callback is running.
// See filters/README.md for how to add one.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "base/arena.h"
#include "base/buffer.h"
#include "base/error.h"
#include "base/slot_map.h"
#include "http/message.h"
#include "upstream/cluster.h"

namespace weir::proxy {

class BodyStage;
class Exchange;
class ProxyWorker;
class Recorder;
class ResponseSource;
struct Route;
struct Summary;

// An answer that weir makes itself. Headers are added to the standard ones of local_reply.h. An
// empty body with a status of 400 or more gets the standard error body.
struct LocalReply {
  int status = 500;
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
  // For the log: in words (a literal, or in the exchange's arena), whose doing it is, and what.
  const char* why = "";
  Source who = Source::kWeir;
  ErrorKind kind = ErrorKind::kRefused;

  Error error() const { return {who, kind, Retry::kNever, why}; }
};

struct Next {};
// From on_response: not before its body is here; on_whole_response() follows, or, where it never
// comes, on_response() once more for what the client gets instead. For answers of a known length
// that is not over limits::kWholeAnswerBytes.
struct Whole {};
struct Serve {  // an answer from elsewhere (body.h), in the exchange's arena
  ResponseSource* source;
};

// The right, and the duty, to continue a parked exchange. Fires once. A no-op when the exchange has
// ended or moved on. Dropped unfired, it fails the exchange with 500, so nothing can hang.
// Thread: the exchange's worker.
class Resume {
 public:
  Resume(Resume&& other) noexcept;
  Resume& operator=(Resume&&) = delete;
  ~Resume();
  void next() &&;
  void reply(LocalReply reply) &&;
  void serve(Serve serve) &&;

  using Outcome = std::variant<Next, LocalReply, Serve>;

 private:
  friend class FilterContext;
  Resume(ProxyWorker& worker, Id exchange, uint32_t epoch);
  void fire(Outcome outcome);
  ProxyWorker* worker_;  // null once fired or moved from
  Id exchange_;
  uint32_t epoch_;
};

class Parked {  // no wait without a waker: only FilterContext::park() makes one
  Parked() = default;
  friend class FilterContext;
};
// Returned, never called.
using Verdict = std::variant<Next, Parked, LocalReply, Serve, Whole>;

// Valid only during the callback.
class FilterContext {
 public:
  explicit FilterContext(Exchange& exchange) : exchange_(exchange) {}
  // Once per callback; the Resume may be fired before the callback returns.
  std::pair<Parked, Resume> park();
  Exchange& exchange() { return exchange_; }  // route, client, clock, arena
  // From on_response of a server's answer, together with a Serve: the body goes to `recorder`, and
  // the source is what gives it to the client.
  void record(std::unique_ptr<Recorder> recorder);
  // From on_response: what goes to the client is what `stage`, in the arena, makes of the body. Its
  // length is not known then. One per answer; not where no body follows (HEAD, 204, 304).
  void transform_body(BodyStage& stage);
  // What a filter behind this one has served, in on_response; null: a server's or weir's own
  // answer.
  ResponseSource* source();

 private:
  Exchange& exchange_;
};

// One per exchange, in its arena; runs forwards on the request, backwards on the response.
class Filter {
 public:
  virtual ~Filter() = default;
  virtual Verdict on_request(FilterContext&, http::RequestHead&) { return Next{}; }  // once
  // Once, when every filter has let the request pass: the last edits of the head. An answer refuses
  // it after all. Only of factories that edit last.
  virtual std::optional<LocalReply> on_passed(FilterContext&, http::RequestHead&) { return {}; }
  // Per try, on the head that this try sends; once, with whichever server, where a Fetch asks the
  // same again.
  virtual void on_attempt(FilterContext&, const upstream::Server&, http::RequestHead&) {}
  // Once, before the head leaves; also for weir's own answers, from the replying filter backwards.
  // A Serve replaces the answer; the filters before this one see its head next.
  virtual Verdict on_response(FilterContext&, http::ResponseHead&) { return Next{}; }
  // After a Whole.
  virtual Verdict on_whole_response(FilterContext&, http::ResponseHead&, const Buffer& /*body*/) {
    return Next{};
  }
  // Exactly once for every filter whose on_request was called.
  virtual void on_end(const Summary&) noexcept {}
};

// The callbacks that filters of a kind have: what is none of theirs is not called.
struct FilterParts {
  bool on_request = true;
  bool on_response = true;
  bool on_end = true;
};

// Those that F overrides, which has to show them: a name that it inherits is a member of Filter.
template <typename F>
constexpr FilterParts parts_of() {
  return {!std::is_same_v<decltype(&F::on_request), decltype(&Filter::on_request)>,
          !std::is_same_v<decltype(&F::on_response), decltype(&Filter::on_response)>,
          !std::is_same_v<decltype(&F::on_end), decltype(&Filter::on_end)>};
}

// A request that nobody has sent.
struct Explained {
  const http::RequestHead& head;
  std::string_view scheme;
  std::string_view path;  // as routes match it
  const Route* route;     // null: none takes it
  std::string_view route_name;
  uint64_t tier_object_bytes = 0;  // Snapshot's
};

// Immutable, owned by the config snapshot, shared by all workers.
class FilterFactory {
 public:
  virtual ~FilterFactory() = default;
  virtual std::string_view name() const = 0;
  virtual Filter* create(Arena&) const = 0;  // the arena runs the destructor
  virtual FilterParts parts() const { return {}; }
  // Its filters edit the head per try: only then is a copy of the head made for each.
  virtual bool uses_on_attempt() const { return false; }
  // Answers the preflights of its route (CORS), which are then found by the method they ask for.
  virtual bool answers_preflights() const { return false; }
  // Its on_response asks nothing of a route or of on_request: of the defaults' filters it is for
  // answers to requests that no site takes as well (Snapshot::stray_filters).
  virtual bool is_for_any_answer() const { return false; }
  // Its filters see answers without the cookies by which weir itself tells a client its side of a
  // split or its server. Such factories come last.
  virtual bool sees_bare_answers() const { return false; }
  virtual bool edits_last() const { return false; }  // its filters have an on_passed()
  // Its filters look for what proves who a client is, and may ask for it: never in the clear where
  // the listener leads to https.
  virtual bool asks_for_proof() const { return false; }
  // Request fields that only its filters may set. Whatever clients send in them, or in what a
  // backend may take for them, is dropped on every route of the site; on those with such a filter
  // by that itself, once it has looked at it (Exchange::drop_site_fields()).
  virtual std::span<const std::string> own_fields() const { return {}; }
  // Lines for `weir explain`: what it looks at in such a request.
  virtual std::vector<std::string> explain(const Explained& /*asked*/) const { return {}; }
};

}  // namespace weir::proxy
