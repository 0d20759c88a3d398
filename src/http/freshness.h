// What a shared cache may do with an answer, in the order of RFC 9111: may it be kept (3), what of
// it is kept (3.1), how long is it fresh (4.2.1, 4.2.2), how old is it (4.2.3), may it answer this
// request now (4, 4.2.4, 5.2.1), what a validation changes (3.2, 4.3.4, 4.3.5), and what a write
// makes void (4.4). Pure functions on small plain structs; times are Unix times in milliseconds, so
// that a lifetime of a second is one.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "http/cache_control.h"
#include "http/cache_fields.h"
#include "http/conditional.h"
#include "http/message.h"

namespace weir::http {

// ---- What a route says -----------------------------------------------------------------------

// Answers to requests with Authorization.
enum class Authorized : uint8_t {
  kNever,         // are not kept, and such requests get nothing that is kept
  kWhereAllowed,  // are kept where they say so (3.5)
  kKeyed,         // are kept: the key holds whose they are
};

// From the configuration; immutable.
struct CachePolicy {
  // Of answers that say nothing themselves and have a status that may be kept on its own (200, 204,
  // 301, ...). 0: by Last-Modified (4.2.2). Those of 4xx and 5xx have a ttl of their own.
  uint64_t ttl_ms = 0;
  uint64_t error_ttl_ms = 0;
  // Where the answer does not say, nor forbids: RFC 5861.
  uint64_t stale_while_revalidate_ms = 0;
  uint64_t stale_if_error_ms = 0;
  bool heuristics_with_query = false;  // 4.2.2 for URIs with a query too
  bool store_set_cookie = false;  // with Set-Cookie, where the answer is public or has s-maxage
  bool obey_requests = true;      // Cache-Control and Pragma of requests
  Authorized authorized = Authorized::kWhereAllowed;
};

// ---- What is asked, and what is answered -----------------------------------------------------

// Of a request, as far as caching is concerned.
struct Asked {
  Method method = Method::kGet;
  bool has_query = false;
  bool authorized = false;  // has Authorization
  CacheControl says;        // empty where the policy does not obey requests
};
Asked what_is_asked(const CachePolicy& policy, const RequestHead& head, const CacheFields& fields);

// Of an answer. `fields` are those of its head, which must outlive this.
struct Answered {
  int status = 0;
  const CacheFields& fields;
  CacheControl says;
};

// ---- 3. May it be kept? ----------------------------------------------------------------------

enum class Storable : uint8_t {
  kYes,
  kMethod,         // not the answer to a GET
  kRequest,        // the request's no-store
  kStatus,         // interim, 304, or about a part of the request that no key holds (412, 416, ...)
  kPartial,        // 206
  kNotUnderstood,  // must-understand, and a status that weir knows nothing of
  kNoStore,
  kPrivate,
  kAuthorization,
  kSetCookie,
  kVary,    // nothing matches it
  kSilent,  // nothing says that it may be kept: no lifetime, and not a status of heuristics
};
// In words: for Cache-Status, logs and `weir explain`.
std::string_view word_of(Storable storable);

Storable may_store(const CachePolicy& policy, const Asked& asked, const Answered& answer);

// 4.2.2 and RFC 9110 15.1: statuses of which the mere status allows it.
bool is_heuristically_cacheable(int status);

// ---- 3.1. What of its head is kept? ----------------------------------------------------------

// False for fields of this hop, those that Connection names, those that no-cache="..." and
// private="..." name, Age, which is written anew each time, and Set-Cookie where the policy says
// so.
bool is_kept(const CachePolicy& policy, const Header& field, const HeaderList& head,
             const CacheControl& says);

// ---- 4.2. How long is it fresh, how old is it? -----------------------------------------------

enum class LifetimeBy : uint8_t { kNothing, kSMaxage, kMaxAge, kExpires, kTtl, kHeuristic };

// All that has to be kept of an answer to judge it later. Value type.
struct Lifetime {
  int64_t received_ms = 0;
  int64_t initial_age_ms = 0;  // 4.2.3: when it was received; never negative
  int64_t fresh_ms = 0;        // the freshness lifetime
  int64_t stale_while_revalidate_ms = 0;
  int64_t stale_if_error_ms = 0;
  LifetimeBy by = LifetimeBy::kNothing;
  bool always_validate = false;  // no-cache
  bool never_stale = false;      // must-revalidate, proxy-revalidate, s-maxage: whoever asks
  bool for_authorized = false;   // may answer requests with Authorization, whoever they are of
  bool immutable = false;        // RFC 8246

  int64_t age_ms(int64_t now_ms) const {
    return initial_age_ms + (now_ms > received_ms ? now_ms - received_ms : 0);
  }
  // The value of Age.
  uint64_t age_s(int64_t now_ms) const { return static_cast<uint64_t>(age_ms(now_ms)) / 1000; }
};

// `arrived` are the fields of the message that came at `received_ms` and was asked for at
// `sent_ms`: the answer itself, or the 304 that has brought it up to date. Its Age and Date say how
// old it is.
Lifetime lifetime_of(const CachePolicy& policy, const Asked& asked, const Answered& answer,
                     const CacheFields& arrived, int64_t sent_ms, int64_t received_ms);

// False for what could never be used: nothing is fresh by it, nothing may be stale, and there is
// nothing to validate it by.
bool is_worth_keeping(const Lifetime& lifetime, const Validators& validators);

// ---- 4. May it answer this request now? ------------------------------------------------------

enum class Usable : uint8_t {
  kFresh,              // as it is
  kWhileRevalidating,  // as it is, and is validated meanwhile: stale-while-revalidate, max-stale
  kOnErrorOnly,        // validate; where the server fails (5xx, no answer), it may answer after all
  kMustValidate,       // validate; without success it answers nothing
  kNot,                // as if nothing were kept
};
// With only-if-cached, all but the first two mean 504 (5.2.1.7).
Usable may_use(const CachePolicy& policy, const Asked& asked, const Lifetime& lifetime,
               int64_t now_ms);

// ---- 3.2, 4.3.4, 4.3.5. What does a validation change? ---------------------------------------

// Whether a 304 to a request with the stored validators is about what is stored. One that has none
// of its own is: only one answer was asked about.
bool may_freshen(const Validators& stored, const Validators& not_modified);

// Puts the fields of a 304 (or of a HEAD's answer) into a stored head, in place of those of the
// same names; copies their text to its arena. What says how the content is coded and how long it is
// stays: Content-Encoding, Content-Length, Content-Range. So do cookies.
void freshen(const CachePolicy& policy, HeaderList& stored, const HeaderList& news,
             const CacheControl& says);

// Whether the answer to a HEAD is about what is stored: it then may freshen it, and else makes it
// stale. `length_bytes` are the stored and the new Content-Length.
bool head_agrees(const Validators& stored, const Validators& head, uint64_t stored_length_bytes,
                 std::optional<uint64_t> length_bytes);

// ---- 4.4. What does a write make void? -------------------------------------------------------

// Whether what is stored for the request's URI has to go (and for Location and Content-Location):
// the method is none of the safe ones and the answer is a 2xx or 3xx.
bool invalidates(Method method, int status);

// Where a request went.
struct Place {
  std::string_view scheme;
  std::string_view authority;
  std::string_view path;  // as it came
};
// The path that such a field's value leads to from there (RFC 3986 5.2), where that is of the same
// origin; else empty. In the arena, or a view of what is given.
std::string_view own_path(std::string_view reference, const Place& place, Arena& arena);

}  // namespace weir::http
