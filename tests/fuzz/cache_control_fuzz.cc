// Any fields of a request and of an answer: more directives never allow more, what is forbidden is
// never kept nor used, and time only makes things older.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"
#include "head_fuzz.h"
#include "http/freshness.h"
#include "http/structured.h"

namespace {

using namespace weir;
using namespace weir::http;

constexpr int64_t kNowMs = 1'764'219'600'000;

bool is_seconds(uint32_t value) {
  return value <= CacheControl::kMostS || value == CacheControl::kUnsaid;
}

bool lies_in(std::string_view part, std::string_view text) {
  return part.empty() ||
         (part.data() >= text.data() && part.data() + part.size() <= text.data() + text.size());
}

void check_sane(const CacheControl& says) {
  WEIR_CHECK(is_seconds(says.max_age_s) && is_seconds(says.s_maxage_s));
  WEIR_CHECK(is_seconds(says.max_stale_s) && is_seconds(says.min_fresh_s));
  WEIR_CHECK(is_seconds(says.stale_while_revalidate_s) && is_seconds(says.stale_if_error_s));
}

// Everything that `less` forbids is forbidden by `more` too.
void check_stricter(const CacheControl& less, const CacheControl& more) {
  WEIR_CHECK(more.max_age_s <= less.max_age_s && more.s_maxage_s <= less.s_maxage_s);
  WEIR_CHECK(more.max_stale_s <= less.max_stale_s);
  WEIR_CHECK(more.stale_while_revalidate_s <= less.stale_while_revalidate_s);
  WEIR_CHECK(more.stale_if_error_s <= less.stale_if_error_s);
  WEIR_CHECK(more.no_store || !less.no_store);
  WEIR_CHECK(more.no_cache || !less.no_cache);
  WEIR_CHECK(more.is_private || !less.is_private);
  WEIR_CHECK(more.must_revalidate || !less.must_revalidate);
  WEIR_CHECK(more.is_private || less.private_fields.empty() ||
             more.private_fields == less.private_fields);
}

void check_line(std::string_view line) {
  CacheControl one;
  one.add(line);
  check_sane(one);
  WEIR_CHECK(lies_in(one.no_cache_fields, line) && lies_in(one.private_fields, line));
  CacheControl two = one;
  two.add("max-age=10, public");
  check_stricter(one, two);
  // Nothing that stands before it hides what follows.
  const std::string longer = std::string(line) + ", no-store";
  CacheControl hidden;
  hidden.add(longer);
  WEIR_CHECK(hidden.no_store);
  check_stricter(one, hidden);

  DictionaryReader reader(line);
  DictionaryMember member;
  size_t members = 0;
  while (reader.next(member)) {
    WEIR_CHECK(lies_in(member.key, line) && lies_in(member.text, line) && !member.key.empty());
    ++members;
  }
  WEIR_CHECK(members <= line.size());
}

void check_over_time(const CachePolicy& policy, const Asked& asked, const Lifetime& lifetime) {
  int64_t age_ms = -1;
  bool was_fresh = true;
  for (const int64_t after_ms : {-5000, 0, 1, 999, 1000, 60'000, 3'600'000, 2'000'000'000}) {
    const int64_t now_ms = kNowMs + after_ms;
    const Usable usable = may_use(policy, asked, lifetime, now_ms);
    WEIR_CHECK(lifetime.age_ms(now_ms) >= age_ms);
    age_ms = lifetime.age_ms(now_ms);
    const bool fresh = usable == Usable::kFresh;
    WEIR_CHECK(was_fresh || !fresh);
    was_fresh = fresh;
    if (fresh) WEIR_CHECK(age_ms < lifetime.fresh_ms && !asked.says.no_cache);
    const bool stale = usable == Usable::kWhileRevalidating;
    if (stale) WEIR_CHECK(!lifetime.never_stale || lifetime.stale_while_revalidate_ms > 0);
    if (lifetime.always_validate) WEIR_CHECK(!fresh && !stale);
  }
}

void check_messages(std::string_view text) {
  fuzz::FuzzHead request(text);
  fuzz::FuzzHead response(text);
  const CacheFields asked_fields = request.index();
  const CacheFields fields = response.index();
  const CachePolicy policy = {.ttl_ms = text.size() % 3 * 1000,
                              .stale_while_revalidate_ms = 5000,
                              .stale_if_error_ms = 9000,
                              .store_set_cookie = text.size() % 2 == 1};
  Asked asked;
  asked.authorized = asked_fields.has(HeaderId::kAuthorization);
  asked.says = request_directives(asked_fields);
  check_sane(asked.says);
  for (const int status : {200, 206, 302, 404, 412, 299}) {
    const Answered answer = {status, fields, answer_directives(fields)};
    check_sane(answer.says);
    const Storable storable = may_store(policy, asked, answer);
    if (answer.says.no_store && !answer.says.must_understand) {
      WEIR_CHECK(storable != Storable::kYes);
    }
    if (answer.says.is_private || asked.says.no_store) WEIR_CHECK(storable != Storable::kYes);
    WEIR_CHECK(!word_of(storable).empty());
    const Lifetime lifetime = lifetime_of(policy, asked, answer, fields, kNowMs - 5, kNowMs);
    WEIR_CHECK(lifetime.fresh_ms >= 0 && lifetime.initial_age_ms >= 0);
    check_over_time(policy, asked, lifetime);
  }
  // What a 304 brought is there once it is merged in, and merging it again changes nothing.
  const CacheControl says = answer_directives(fields);
  freshen(policy, request.list(), response.list(), says);
  const size_t merged = request.list().size();
  freshen(policy, request.list(), response.list(), says);
  WEIR_CHECK(request.list().size() == merged);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  check_line(text);
  check_messages(text);
  return 0;
}
