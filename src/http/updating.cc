#include "base/strings.h"
#include "http/freshness.h"

namespace weir::http {
namespace {

// What the stored content is, as it is stored, and not as the server would send it now (3.2).
bool describes_content(const Header& field) {
  if (field.id == HeaderId::kContentLength) return true;
  const CacheField known = cache_field(field.name);
  return known == CacheField::kContentEncoding || known == CacheField::kContentRange;
}

}  // namespace

bool may_freshen(const Validators& stored, const Validators& not_modified) {
  const EntityTag& tag = not_modified.tag;
  if (tag && !tag.weak) return equal(stored.tag, tag, TagComparison::kStrong);
  if (tag) return equal(stored.tag, tag, TagComparison::kWeak);
  if (not_modified.last_modified_s) return stored.last_modified_s == not_modified.last_modified_s;
  return true;
}

void freshen(const CachePolicy& policy, HeaderList& stored, const HeaderList& news,
             const CacheControl& says) {
  Arena& arena = stored.arena();
  HeaderList kept(arena);
  for (const Header& field : news) {
    if (describes_content(field) || !is_kept(policy, field, news, says)) continue;
    kept.add(arena.copy(field.name), arena.copy(field.value), field.id);
  }
  stored.remove_if([&kept](const Header& old) { return kept.find(old.name) != nullptr; });
  for (const Header& field : kept) stored.add(field);
}

bool head_agrees(const Validators& stored, const Validators& head, uint64_t stored_length_bytes,
                 std::optional<uint64_t> length_bytes) {
  if (head.tag && !equal(stored.tag, head.tag, TagComparison::kWeak)) return false;
  if (head.last_modified_s && stored.last_modified_s != head.last_modified_s) return false;
  return !length_bytes || *length_bytes == stored_length_bytes;
}

bool invalidates(Method method, int status) {
  constexpr MethodSet kSafe = bit(Method::kGet) | bit(Method::kHead) | bit(Method::kOptions) |
                              bit(Method::kTrace) | bit(Method::kConnect);
  return (bit(method) & kSafe) == 0 && status >= 200 && status < 400;
}

std::string_view own_target(std::string_view reference, std::string_view scheme,
                            std::string_view authority) {
  reference = reference.substr(0, reference.find('#'));
  if (reference.size() > scheme.size() && reference[scheme.size()] == ':' &&
      iequals(reference.substr(0, scheme.size()), scheme)) {
    reference.remove_prefix(scheme.size() + 1);
    if (!reference.starts_with("//")) return {};
  }
  if (reference.starts_with("//")) {
    reference.remove_prefix(2);
    const size_t end = reference.find_first_of("/?");
    if (!iequals(reference.substr(0, end), authority)) return {};
    if (end == std::string_view::npos) return "/";
    reference.remove_prefix(end);
  }
  return reference.starts_with('/') ? reference : std::string_view();
}

}  // namespace weir::http
