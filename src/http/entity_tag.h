// Entity tags (RFC 9110 8.8.3): names for the states of a representation, strong where the same tag
// means the same bytes. Views of the field that they were read from.
#pragma once

#include <cstdint>
#include <string_view>

namespace weir::http {

struct EntityTag {
  std::string_view opaque;  // with its quotes; empty: there is none, or what came is not a tag
  bool weak = false;

  explicit operator bool() const { return !opaque.empty(); }
};

// The whole of `text` as one tag. What is no tag by the grammar (no quotes, "w/", spaces inside) is
// empty: it equals nothing, not even itself.
EntityTag read_entity_tag(std::string_view text);

enum class TagComparison : uint8_t { kStrong, kWeak };  // RFC 9110 8.8.3.2
bool equal(const EntityTag& a, const EntityTag& b, TagComparison comparison);

// Takes the next member off a list of tags ("#entity-tag"; commas may stand inside of tags). False
// at the end. A member that is not a tag comes out empty, and the list goes on behind it.
bool take_entity_tag(std::string_view& list, EntityTag& out);

// True for a field that names every tag: "*", and nothing else.
inline bool is_any_tag(std::string_view value) { return value == "*"; }

// True when a line of If-Match or If-None-Match lists `tag`.
bool lists_tag(std::string_view line, const EntityTag& tag, TagComparison comparison);

}  // namespace weir::http
