#include "http/entity_tag.h"

#include "base/strings.h"

namespace weir::http {
namespace {

// etagc: visible bytes without the quote, and those beyond ASCII.
bool is_tag_byte(char c) {
  const auto byte = static_cast<uint8_t>(c);
  return byte > 0x20 && byte != '"' && byte != 0x7f;
}

void skip(std::string_view& list, std::string_view bytes) {
  const size_t at = list.find_first_not_of(bytes);
  list.remove_prefix(at == std::string_view::npos ? list.size() : at);
}

// A tag at the front of `list`, up to and with its last quote; nothing is taken when there is none.
EntityTag take_tag(std::string_view& list) {
  const size_t open = list.starts_with("W/") ? 2 : 0;
  if (open >= list.size() || list[open] != '"') return {};
  const size_t close = list.find('"', open + 1);
  if (close == std::string_view::npos) return {};
  EntityTag tag = {list.substr(open, close - open + 1), open != 0};
  for (const char c : tag.opaque.substr(1, tag.opaque.size() - 2)) {
    if (!is_tag_byte(c)) tag.opaque = {};
  }
  list.remove_prefix(close + 1);
  return tag;
}

}  // namespace

EntityTag read_entity_tag(std::string_view text) {
  const EntityTag tag = take_tag(text);
  return text.empty() ? tag : EntityTag();
}

bool equal(const EntityTag& a, const EntityTag& b, TagComparison comparison) {
  if (comparison == TagComparison::kStrong && (a.weak || b.weak)) return false;
  return !a.opaque.empty() && a.opaque == b.opaque;
}

bool take_entity_tag(std::string_view& list, EntityTag& out) {
  skip(list, ", \t");
  if (list.empty()) return false;
  out = take_tag(list);
  skip(list, " \t");
  if (list.empty() || list.front() == ',') return true;
  out = {};
  const size_t comma = list.find(',');
  list.remove_prefix(comma == std::string_view::npos ? list.size() : comma);
  return true;
}

bool lists_tag(std::string_view line, const EntityTag& tag, TagComparison comparison) {
  EntityTag listed;
  while (take_entity_tag(line, listed)) {
    if (equal(listed, tag, comparison)) return true;
  }
  return false;
}

}  // namespace weir::http
