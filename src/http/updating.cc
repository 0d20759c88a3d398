#include <algorithm>

#include "base/strings.h"
#include "http/freshness.h"

namespace weir::http {
namespace {

// What the stored content is, as it is stored, and not as the server would send it now (3.2).
bool describes_content(const Header& field) {
  constexpr uint64_t kDescribing = bit(HeaderId::kContentLength) | bit(HeaderId::kContentEncoding) |
                                   bit(HeaderId::kContentRange);
  return (bit(field.id) & kDescribing) != 0;
}

// RFC 3986 5.2.4, of a path that begins with "/". Byte by byte: so do keys count.
std::string_view remove_dot_segments(std::string_view path, Arena& arena) {
  if (path.find("/.") == std::string_view::npos) return path;
  char* const begin = static_cast<char*>(arena.allocate(path.size(), 1));
  char* out = begin;
  for (size_t at = 0; at < path.size();) {
    const size_t next = std::min(path.find('/', at + 1), path.size());
    const std::string_view segment = path.substr(at + 1, next - at - 1);
    if (segment == "..") {
      while (out != begin && *--out != '/') continue;
    } else if (segment != ".") {
      out = std::copy(path.begin() + at, path.begin() + next, out);
    }
    const bool last = next == path.size();
    if (last && (segment == "." || segment == "..")) *out++ = '/';
    at = next;
  }
  return {begin, static_cast<size_t>(out - begin)};
}

std::string_view without_own_port(std::string_view authority, std::string_view scheme) {
  const std::string_view port = scheme == "https" ? ":443" : ":80";
  if (authority.ends_with(port)) authority.remove_suffix(port.size());
  return authority;
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
  HeaderList kept(stored.arena());
  for (const Header& field : news) {
    // A cookie is for whom it was sent to: of the answer's own it was known that all may have them.
    if (field.id == HeaderId::kSetCookie || describes_content(field)) continue;
    if (!is_kept(policy, field, news, says)) continue;
    kept.add_copy(field);
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

std::string_view own_path(std::string_view reference, const Place& place, Arena& arena) {
  reference = reference.substr(0, reference.find_first_of("?#"));
  std::string_view rest = reference;
  if (const size_t colon = rest.find(':'); colon < rest.find('/')) {
    if (!iequals(rest.substr(0, colon), place.scheme)) return {};
    rest.remove_prefix(colon + 1);
    if (!rest.starts_with("//")) return {};
  }
  if (rest.starts_with("//")) {
    rest.remove_prefix(2);
    const size_t end = std::min(rest.find('/'), rest.size());
    if (!iequals(without_own_port(rest.substr(0, end), place.scheme),
                 without_own_port(place.authority, place.scheme))) {
      return {};
    }
    rest.remove_prefix(end);
    if (rest.empty()) rest = "/";
  } else if (rest.empty()) {
    return place.path;
  } else if (!rest.starts_with('/')) {
    rest = arena.concat({place.path.substr(0, place.path.rfind('/') + 1), rest});
  }
  return rest.starts_with('/') ? remove_dot_segments(rest, arena) : std::string_view();
}

}  // namespace weir::http
