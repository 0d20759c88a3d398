#include "filters/cache/validators.h"

#include "filters/cache/stored_head.h"
#include "http/cache_fields.h"

namespace weir::filters::cache {

void drop_conditions(http::HeaderList& request) {
  request.remove_if([](const http::Header& field) {
    switch (field.id) {
      case http::HeaderId::kIfNoneMatch:
      case http::HeaderId::kIfModifiedSince:
      case http::HeaderId::kIfRange:
      case http::HeaderId::kRange: return true;
      default: return false;
    }
  });
}

bool add_validators(const Reader& stored, http::HeaderList& request) {
  Arena& arena = request.arena();
  http::HeaderList head(arena);
  unpack_head(stored.head(), head);
  const http::CacheFields fields(head);
  const std::string_view tag = fields.single(http::HeaderId::kEtag);
  const std::string_view modified = fields.single(http::HeaderId::kLastModified);
  const bool knows_tag = !tag.empty() && !stored.meta().etag_made;
  if (knows_tag) request.add("If-None-Match", arena.copy(tag));
  if (!modified.empty()) request.add("If-Modified-Since", arena.copy(modified));
  return knows_tag || !modified.empty();
}

}  // namespace weir::filters::cache
