#include "http/cache_fields.h"

namespace weir::http {

static_assert(kCacheFields <= 32);

namespace {

struct Named {
  std::string_view name;
  CacheField field;
};

// By length: most names of a head are of a length where nothing, or one name, is looked for.
constexpr Named kLength4[] = {
    {"date", CacheField::kDate}, {"etag", CacheField::kEtag}, {"vary", CacheField::kVary}};
constexpr Named kLength8[] = {{"if-match", CacheField::kIfMatch},
                              {"if-range", CacheField::kIfRange}};
constexpr Named kLength13[] = {{"authorization", CacheField::kAuthorization},
                               {"cache-control", CacheField::kCacheControl},
                               {"content-range", CacheField::kContentRange},
                               {"if-none-match", CacheField::kIfNoneMatch},
                               {"last-modified", CacheField::kLastModified}};
constexpr Named kLength16[] = {{"content-encoding", CacheField::kContentEncoding},
                               {"content-location", CacheField::kContentLocation}};
constexpr Named kLength17[] = {{"cdn-cache-control", CacheField::kCdnCacheControl},
                               {"if-modified-since", CacheField::kIfModifiedSince}};

// REQUIRES names of one length. The ends tell nearly all others apart.
bool is_name(std::string_view name, std::string_view wanted) {
  return to_lower(name.front()) == wanted.front() && to_lower(name.back()) == wanted.back() &&
         iequals(name, wanted);
}

CacheField one_of(std::string_view name, std::string_view wanted, CacheField field) {
  return is_name(name, wanted) ? field : CacheField::kNone;
}

template <size_t Size>
CacheField one_of(std::string_view name, const Named (&wanted)[Size]) {
  for (const Named& candidate : wanted) {
    if (is_name(name, candidate.name)) return candidate.field;
  }
  return CacheField::kNone;
}

// Half of a head's fields are known not to be one of these.
CacheField field_of(const Header& header) {
  switch (header.id) {
    case HeaderId::kOther: return cache_field(header.name);
    case HeaderId::kAuthorization: return CacheField::kAuthorization;
    case HeaderId::kDate: return CacheField::kDate;
    default: return CacheField::kNone;
  }
}

}  // namespace

CacheField cache_field(std::string_view name) {
  switch (name.size()) {
    case 3: return one_of(name, "age", CacheField::kAge);
    case 4: return one_of(name, kLength4);
    case 5: return one_of(name, "range", CacheField::kRange);
    case 6: return one_of(name, "pragma", CacheField::kPragma);
    case 7: return one_of(name, "expires", CacheField::kExpires);
    case 8: return one_of(name, kLength8);
    case 10: return one_of(name, "set-cookie", CacheField::kSetCookie);
    case 13: return one_of(name, kLength13);
    case 15: return one_of(name, "accept-encoding", CacheField::kAcceptEncoding);
    case 16: return one_of(name, kLength16);
    case 17: return one_of(name, kLength17);
    case 19: return one_of(name, "if-unmodified-since", CacheField::kIfUnmodifiedSince);
    default: return CacheField::kNone;
  }
}

CacheFields::CacheFields(const HeaderList& headers) : headers_(&headers) {
  for (const Header& header : headers) {
    const CacheField field = field_of(header);
    if (field == CacheField::kNone) continue;
    const uint32_t mark = 1u << index(field);
    repeated_ |= present_ & mark;
    if ((present_ & mark) == 0) first_[index(field)] = &header;
    present_ |= mark;
  }
}

}  // namespace weir::http
