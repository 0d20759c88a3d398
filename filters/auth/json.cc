#include "filters/auth/json.h"

#include <set>
#include <string>
#include <utility>
#include <vector>

namespace weir::filters::auth {

std::optional<Json> parse_json_object(std::string_view text) {
  constexpr int kDepthMax = 16;
  bool good = true;
  std::vector<std::set<std::string>> names;  // of the objects around the present place
  const auto look = [&](int depth, Json::parse_event_t event, Json& parsed) {
    switch (event) {
      case Json::parse_event_t::object_start: names.emplace_back(); break;
      case Json::parse_event_t::object_end: names.pop_back(); break;
      case Json::parse_event_t::key:
        good = good && names.back().insert(parsed.get_ref<const std::string&>()).second;
        break;
      default: break;
    }
    good = good && depth <= kDepthMax;
    return true;
  };
  // Refused at once where it is too deep: what is built has to be taken down again.
  int depth = 0;
  bool quoted = false;
  for (size_t i = 0; i < text.size(); ++i) {
    if (quoted && text[i] == '\\')
      ++i;
    else if (text[i] == '"')
      quoted = !quoted;
    else if (!quoted && (text[i] == '{' || text[i] == '[') && ++depth > kDepthMax)
      return std::nullopt;
    else if (!quoted && (text[i] == '}' || text[i] == ']'))
      --depth;
  }
  Json json = Json::parse(text, look, false);
  if (!good || !json.is_object()) return std::nullopt;
  return json;
}

const std::string* text_member(const Json& object, const char* name) {
  const auto found = object.find(name);
  return found == object.end() ? nullptr : found->get_ptr<const std::string*>();
}

}  // namespace weir::filters::auth
