// Cache-Control (RFC 9111 5.2, with RFC 5861 and RFC 8246) and CDN-Cache-Control (RFC 9213): what a
// request asks of caches, and what an answer allows them. Nothing is allocated; views of the head.
#pragma once

#include <cstdint>
#include <string_view>

#include "http/cache_fields.h"

namespace weir::http {

// The directives of one message, over all its lines. Where they contradict each other the strictest
// counts; what is unknown is ignored; what is malformed is as strict as the directive can be: a
// number that is none is 0, so that nothing is fresh by it.
struct CacheControl {
  static constexpr uint32_t kUnsaid = UINT32_MAX;
  static constexpr uint32_t kMostS = uint32_t{1} << 31;  // larger numbers are this one (1.2.2)

  // Of both.
  bool no_store = false;
  bool no_cache = false;  // of an answer: without names; those are in no_cache_fields
  bool no_transform = false;
  uint32_t max_age_s = kUnsaid;
  uint32_t stale_if_error_s = kUnsaid;

  // Of requests.
  bool only_if_cached = false;
  uint32_t max_stale_s = kUnsaid;  // kMostS where no number is given
  uint32_t min_fresh_s = kUnsaid;  // ignored where it is no number

  // Of answers.
  bool is_public = false;
  bool is_private = false;  // without names; those are in private_fields
  bool must_revalidate = false;
  bool proxy_revalidate = false;
  bool must_understand = false;
  bool immutable = false;
  uint32_t s_maxage_s = kUnsaid;
  uint32_t stale_while_revalidate_s = kUnsaid;
  std::string_view no_cache_fields;  // a list, as it stood between its quotes
  std::string_view private_fields;

  // These are an answer's CDN-Cache-Control, which stands for its Cache-Control and Expires.
  bool targeted = false;

  // One more line of Cache-Control.
  void add(std::string_view line);
};

// Of a request: Cache-Control, or else "Pragma: no-cache".
CacheControl request_directives(const CacheFields& request);

// Of an answer: CDN-Cache-Control where there is one that is a dictionary and not empty (RFC 9213
// 2.1, 2.2), or else Cache-Control.
CacheControl answer_directives(const CacheFields& answer);

// True when a list of field names (private="...", no-cache="...") has this one.
bool lists_field(std::string_view names, std::string_view name);

}  // namespace weir::http
